"use strict";
// Sorts the rows of tables of the class "sortable" when the name of a column is clicked.
{
  const NUMBER = /^[^\p{L}\p{N}]*?([-−]?)(\d[\d,]*(?:\.\d+)?|\.\d+)(?:e([-+−]?\d+))?/iu;

  function readNumber(text) {
    const [, sign, digits, power] = NUMBER.exec(text) ?? [];
    if (digits === undefined) return null;
    const exponent = (power ?? "0").replace("−", "-");
    return (sign ? -1 : 1) * Number(`${digits.replaceAll(",", "")}e${exponent}`);
  }

  // the kind of a cell: 0 before 1 before 2 in both directions, because a missing value is neither high nor low
  function readKey(cell, isOfWords) {
    const text = cell.textContent.trim();
    if (!/[\p{L}\p{N}]/u.test(text)) return [2, ""];
    const number = isOfWords ? null : readNumber(text);
    return number === null ? [1, text] : [0, number];
  }

  function compare([kind, first], [otherKind, second], sign) {
    if (kind !== otherKind) return kind - otherKind;
    return sign * (kind ? first.localeCompare(second, "en", { numeric: true }) : first - second);
  }

  function sortRows(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const isDescending = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    const isOfWords = heads[column].classList.contains("words");
    const keyed = [...table.tBodies[0].rows].map((row) => [readKey(row.cells[column], isOfWords), row]);
    keyed.sort(([first], [second]) => compare(first, second, isDescending ? -1 : 1));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (!button.textContent.trim()) button.ariaLabel = "name";
      head.append(button);
      button.addEventListener("click", () => sortRows(table, column));
    });
  }
}
