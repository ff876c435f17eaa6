"""Histories of a run: the rows of ``metrics.csv`` and the entries of ``metrics.json``.

Both survive damage: what can be read is kept, and a damaged file is kept beside under another name.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor

from .atomic import replace_file, write_text

METRICS, FIGURES = "metrics.csv", "metrics.json"
MAX_DIGITS = 18  # of a step
BUFFERED_ROWS = 10  # rows of metrics.csv in memory, which a kill loses and the resumed run writes again

Row = dict[str, str]


class MetricsLogger(Logger):
    """Writes metrics as rows of ``metrics.csv``, which is replaced as a whole and so never ends in half a row.

    Args:
        folder: the run's folder.
        resumed_step: earlier rows are kept; None keeps none.
    """

    def __init__(self, folder: Path, resumed_step: int | None = None) -> None:
        super().__init__()
        self.file = folder / METRICS
        self._columns: list[str] = []
        self._rows: list[dict[str, object]] = []  # not yet written
        self._start(resumed_step)

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.file.parent)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Writes nothing, because a run has its configuration in a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Tensor | float], step: int | None = None) -> None:
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self._rows.append({**values, "step": step or 0})
        if len(self._rows) >= BUFFERED_ROWS:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        if not self._rows:
            return
        has_new_columns = not set().union(*self._rows) <= set(self._columns)
        if has_new_columns or not self.file.is_file():
            self._columns = sorted(set(self._columns).union(*self._rows))
            self._rewrite([*(read_rows(self.file)[0] if self.file.is_file() else []), *self._rows])
        else:
            with replace_file(self.file) as part:
                shutil.copyfile(self.file, part)  # faster than to read and write the rows
                with part.open("a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, self._columns).writerows(self._rows)
        self._rows = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    @rank_zero_only
    def _start(self, resumed_step: int | None) -> None:
        set_unreadable_aside(self.file)
        rows, dropped = ([], 0) if resumed_step is None or not self.file.is_file() else read_rows(self.file)
        if dropped:
            keep_damaged(self.file, f"{dropped} of its lines")
        kept = [row for row in rows if int(row["step"]) < (resumed_step or 0)]
        if kept:
            self._columns = list(kept[0])
            self._rewrite(kept)
        else:
            self.file.unlink(missing_ok=True)

    def _rewrite(self, rows: list[Any]) -> None:
        with replace_file(self.file) as part, part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self._columns)
            table.writeheader()
            table.writerows(rows)


def read_rows(file: Path) -> tuple[list[Row], int]:
    """Reads the rows of ``metrics.csv`` that are complete and have a step, and counts the lines that are not.

    A last line without an end is not complete, because its last number may be cut.
    """
    header, *lines = file.read_bytes().split(b"\n")
    columns = split_line(header)
    complete = lines[:-1] if "step" in columns else []
    fields = [values for line in complete if len(values := split_line(line)) == len(columns)]
    rows = [dict(zip(columns, values, strict=True)) for values in fields]
    rows = [row for row in rows if row["step"].isdecimal() and len(row["step"]) <= MAX_DIGITS]
    read = len(rows) + ("step" in columns)
    return rows, sum(1 for line in (header, *lines) if line) - read


def split_line(line: bytes) -> list[str]:
    """Returns the fields of one line of a CSV file; none if it is not printable text."""
    try:
        fields = next(csv.reader([line.decode()]), [])
    except (UnicodeDecodeError, csv.Error):
        return []
    return fields if all(field.isprintable() for field in fields) else []


class FigureHistory:
    """The figures of all validations of a training, in ``metrics.json``.

    Args:
        folder: the run's folder.
        step: step of the training's start; the entries of later steps are replaced.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.file = folder / FIGURES
        set_unreadable_aside(self.file)
        entries, is_complete = read_entries(self.file) if self.file.is_file() else ([], True)
        if not is_complete:
            keep_damaged(self.file, "a part of it")
        self.entries = [entry for entry in entries if entry["step"] <= step]

    def add(self, entry: dict[str, Any]) -> None:
        """Adds ``entry`` with its "step", in place of an entry of the same step, and writes the file."""
        self.entries = [earlier for earlier in self.entries if earlier["step"] < entry["step"]] + [entry]
        write_text(self.file, json.dumps(self.entries, indent=1) + "\n")


def read_entries(file: Path) -> tuple[list[dict[str, Any]], bool]:
    """Reads the entries of ``metrics.json`` that have a step up to the first damage, and whether these are all."""
    text = file.read_bytes().decode(errors="replace").strip()
    rest = text.removeprefix("[")
    stored: list[Any] = []
    try:
        while rest := rest.lstrip(", \n"):
            entry, end = json.JSONDecoder().raw_decode(rest)
            stored.append(entry)
            rest = rest[end:]
    except (ValueError, RecursionError):  # at the closing bracket, or at the first damage
        pass
    entries = [entry for entry in stored if isinstance(entry, dict) and type(entry.get("step")) is int]
    return entries, not text or (rest == "]" and len(entries) == len(stored))


def keep_damaged(file: Path, lost: str) -> None:
    """Copies ``file`` beside itself under a new name, and warns that ``lost``, e.g. "2 of its lines", is left out."""
    copy = find_free_name(file)
    shutil.copyfile(file, copy)
    rank_zero_warn(f"{file} is damaged: left out {lost}, which cannot be read, and copied the whole file to {copy}.")


def set_unreadable_aside(file: Path) -> None:
    """Gives ``file`` another name, and warns, if it is a folder, another kind of file, or not readable."""
    if os.path.lexists(file) and not (file.is_file() and os.access(file, os.R_OK)):
        other = file.rename(find_free_name(file))
        rank_zero_warn(f"{file} cannot be read, so it is now {other}, and a new history begins.")


def find_free_name(file: Path) -> Path:
    """Returns a path beside ``file`` where nothing exists, not even a broken link."""
    names = (f"{file.stem}-damaged{number}{file.suffix}" for number in itertools.chain([""], itertools.count(2)))
    return next(path for name in names if not os.path.lexists(path := file.with_name(name)))
