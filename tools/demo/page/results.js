// Lists predictions in words, for all readers: objects by class, shares of pixels, or the best classes.

import { selectDetections } from "./drawing.js";

const SUMMARIZED = 3; // classes of pixels in a sentence

/** Creates an element; strings among the children become text. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  created.append(...children);
  return created;
}

function swatch(colour) {
  const created = element("span", { class: "swatch", "aria-hidden": "true" });
  created.style.backgroundColor = colour;
  return created;
}

export const formatCount = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
const formatShare = (share) => `${(100 * share).toFixed(1)} %`;

/** What an image shows, in one sentence. */
export function summarize(answer, network, settings) {
  if (answer.detections) {
    const shown = selectDetections(answer, settings);
    const counts = countLabels(shown).map(([label, number]) => `${number} ${network.classes[label]}`);
    return `${formatCount(shown.length, "object")}${counts.length ? `: ${counts.join(", ")}` : ""}`;
  }
  if (answer.shares) {
    const largest = answer.shares.slice(0, SUMMARIZED);
    return largest.map(({ label, share }) => `${network.classes[label]} ${formatShare(share)}`).join(", ");
  }
  const [{ label, score }] = answer.scores;
  return `${network.classes[label]} ${formatShare(score)}`;
}

function countLabels(detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]);
}

/** Lists the prediction in `parent`; `onChange` is called when a class is switched on or off. */
export function showResults(parent, answer, network, settings, onChange) {
  if (answer.detections) showDetections(parent, answer, network, settings, onChange);
  else if (answer.shares) parent.replaceChildren(listShares(answer.shares, network));
  else parent.replaceChildren(listScores(answer.scores, network));
}

function showDetections(parent, answer, network, settings, onChange) {
  const labels = [...new Set(answer.detections.map(({ label }) => label))].sort((one, other) => one - other);
  const counts = new Map(countLabels(answer.detections.filter(({ score }) => score >= settings.score)));
  const shown = labels.filter((label) => counts.has(label) || settings.hidden.has(label));
  const listed = shown.join();
  if (parent.dataset.listed !== listed || !parent.firstChild) { // otherwise the focus would be lost
    parent.dataset.listed = listed;
    parent.replaceChildren(listClasses(shown, network, settings, onChange), makeTable());
  }
  shown.forEach((label, row) => {
    parent.querySelectorAll(".entries .value")[row].textContent = counts.get(label) ?? 0;
  });
  fillTable(parent.querySelector("details"), selectDetections(answer, settings), network);
}

function listClasses(labels, network, settings, onChange) {
  const entries = labels.map((label) => {
    const box = element("input", { type: "checkbox" });
    box.checked = !settings.hidden.has(label);
    box.addEventListener("change", () => {
      if (box.checked) settings.hidden.delete(label);
      else settings.hidden.add(label);
      onChange();
    });
    const name = element("span", { class: "name" }, network.classes[label]);
    const number = element("span", { class: "value" });
    return element("li", {}, element("label", {}, box, swatch(network.colours[label]), name, number));
  });
  return element("ul", { class: "entries", "aria-label": "Shown classes" }, ...entries);
}

function makeTable() {
  const names = ["Class", "Score", "x", "y", "Width", "Height"];
  const head = element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name))));
  const area = { class: "scroll", tabindex: "0", role: "region", "aria-label": "Boxes in pixels of the image" };
  const table = element("table", {}, head, element("tbody"));
  const details = element("details", {}, element("summary", {}, "Boxes in pixels"), element("div", area, table));
  details.addEventListener("toggle", () => details.fill?.());
  return details;
}

/** Fills the table, once it is open: a camera would fill it with every frame. */
function fillTable(details, detections, network) {
  details.fill = () => {
    if (!details.open) return;
    const rows = detections.map(({ box: [left, top, right, bottom], score, label }) => {
      const values = [left, top, right - left, bottom - top].map((value) => value.toFixed(0));
      const cells = [network.classes[label], score.toFixed(2), ...values].map((text) => element("td", {}, text));
      return element("tr", {}, ...cells);
    });
    details.querySelector("tbody").replaceChildren(...rows);
  };
  details.fill();
}

function listShares(shares, network) {
  const entries = shares.map(({ label, share }) => element(
    "li", {}, swatch(network.colours[label]), element("span", { class: "name" }, network.classes[label]),
    element("span", { class: "value" }, formatShare(share)),
  ));
  return element("ul", { class: "entries", "aria-label": "Shares of the pixels" }, ...entries);
}

function listScores(scores, network) {
  const entries = scores.map(({ label, score }) => {
    const bar = element("div", { class: "bar" });
    bar.style.width = `${100 * score}%`;
    return element(
      "li", {}, element("span", { class: "name" }, network.classes[label]),
      element("span", { class: "value" }, formatShare(score)),
      element("div", { class: "track", "aria-hidden": "true" }, bar),
    );
  });
  return element("ol", { class: "entries bars", "aria-label": "Most probable classes" }, ...entries);
}

/** Shows how long the last prediction took. */
export function showLatency(list, { network, server, roundTrip }, framesPerSecond) {
  const rows = [["Network alone", `${network.toFixed(1)} ms`], ["Server in all", `${server.toFixed(1)} ms`],
    ["Round trip", `${roundTrip.toFixed(1)} ms`]];
  if (framesPerSecond) rows.push(["Images a second", framesPerSecond.toFixed(1)]);
  list.replaceChildren(...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  list.hidden = false;
}
