"""Labels in CSV lists: a line with an image and its class for each picture."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError, format_name
from ..data import log_notes
from ..files import check_root, find_missing_files, format_list, read_text
from .data import HoldoutClassification
from .split import ClassificationSplit, check_classes

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
WHOLE = re.compile(r"-?[0-9]+")


class Rows(NamedTuple):
    """What a list says: lines from 1, images and labels, ``[I]`` each.

    Lists of strings, where objects for a million rows would keep Python's search for garbage busy.
    """

    lines: list[int]
    images: list[str]
    labels: list[str]


def read_rows(file: Path, image_column: str, label_column: str) -> Rows:
    """Rows of a list, whose first line names the columns; parted by commas, semicolons or tabs, whichever that line is.

    Raises:
        DataError: there is no such column, no image, an empty cell, or the same image twice; or the file is no such
            list.
    """
    text = read_text(file)
    if not text.strip():
        raise DataError(f"{file} is empty: its first line has to name the columns.")
    delimiter = max(DELIMITERS, key=text.lstrip().partition("\n")[0].count)
    table = cells(file, text, delimiter)
    _, columns = next(table, (1, []))
    for name in (image_column, label_column):
        if columns.count(name) != 1:
            raise DataError(
                f"{file} has {'several columns' if name in columns else 'no column'} {name!r}: its first line names "
                f"{format_list(columns) or 'none'}."
            )
    image_place, label_place = columns.index(image_column), columns.index(label_column)
    rows = Rows([], [], [])
    for line, entries in table:
        if len(entries) != len(columns):
            raise DataError(
                f"{file}, line {line}: there are {len(entries)} cells, but {len(columns)} columns: put what holds a "
                f"{DELIMITERS[delimiter]} into quotes."
            )
        image, label = entries[image_place], entries[label_place]
        if not image or not label:
            raise DataError(f"{file}, line {line}: there is no {label_column if image else image_column}.")
        rows.lines.append(line)
        rows.images.append(os.path.normpath(image))  # one spelling of each, so that no image comes twice
        rows.labels.append(label)
    if not rows.lines:
        raise DataError(f"{file} lists no images.")
    check_images(file, rows)
    return rows


def cells(file: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not empty, without the blanks around them."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            entries = [cell.strip() for cell in row]
            if entries not in ([], [""]):
                yield reader.line_num, entries
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: this is no CSV: {error}.") from error


def check_images(file: Path, rows: Rows) -> None:
    """Raises DataError where an image stands in two lines."""
    first: dict[str, int] = {}
    for row, image in enumerate(rows.images):
        before = first.setdefault(image, row)
        if before != row:
            one, two = format_name(rows.labels[before]), format_name(rows.labels[row])
            labels = "the same label" if one == two else f"labels {one} and {two}"
            raise DataError(
                f"{file} has {format_name(image)} in line {rows.lines[before]} and in line {rows.lines[row]}, with "
                f"{labels}: leave one out."
            )


def classes_of(rows: Rows) -> tuple[str, ...]:
    """All labels of ``rows``, sorted; as numbers where all are whole numbers."""
    names = set(rows.labels)
    numbers = all(WHOLE.fullmatch(name) for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))


def numbered(file: Path, rows: Rows, classes: Sequence[str], numbers: bool) -> list[int]:
    """Labels of ``rows`` from 0, in the order of ``classes``.

    Args:
        file: that messages name.
        rows: of it.
        classes: their names.
        numbers: whether a label may be a class's number from 0 as well; a name that looks like one goes first.

    Raises:
        DataError: a label is none of the classes.
    """
    known = {str(k): k for k in range(len(classes))} if numbers else {}
    known |= {name: k for k, name in enumerate(classes)}
    for line, label in zip(rows.lines, rows.labels, strict=True):
        if label not in known:
            where = f"{file}, line {line}: the label {format_name(label)}"
            if numbers and WHOLE.fullmatch(label):
                raise DataError(f"{where} is outside 0 … {len(classes) - 1}: there are {len(classes)} classes.")
            raise DataError(f"{where} is none of the classes {format_list(classes)}.")
    return [known[label] for label in rows.labels]


def check_files(file: Path, rows: Rows, folder: Path) -> None:
    """Raises DataError where images of ``rows`` are not in ``folder``."""
    lost = find_missing_files(np.array(rows.images), folder)
    if lost:
        raise DataError(
            f"{file}: {len(lost)} of {len(rows.images)} images are not in {folder}, the first being "
            f"{format_name(lost[0])} of line {rows.lines[rows.images.index(lost[0])]}."
        )


class ListClassification(HoldoutClassification):
    """CSV lists of images and their classes: ``root/train.csv``, ``root/val.csv`` and ``root/test.csv``.

    The first line of a list names its columns, parted by commas, semicolons or tabs. Labels are names, or, where
    ``classes`` are given, their numbers from 0.

    Args:
        root: the folder.
        train: list in ``root`` to train on.
        val: list to validate on; None takes "val.csv" if there is one, and else splits a share off training's.
        test: list that ``litmobile test`` reads; None takes "test.csv".
        image_root: folder in ``root`` that the file names in the lists are relative to.
        image_column: name of the column of images.
        label_column: name of the column of labels.
        classes: names of the classes in the order of their labels; None takes all of training's labels, sorted, as
            numbers if they all are whole numbers.

    Raises:
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    def __init__(
        self,
        root: str,
        train: str = "train.csv",
        val: str | None = None,
        test: str | None = None,
        image_root: str = ".",
        image_column: str = "image",
        label_column: str = "label",
        classes: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if classes is not None:
            check_classes(classes, "classes")
        self.root = Path(root).expanduser()
        self.lists = {"train": train, "val": val, "test": test}
        self.image_root = self.root / image_root
        self.image_column = image_column
        self.label_column = label_column
        self.class_names = classes

    @property
    def has_val(self) -> bool:
        return self.lists["val"] is not None or self.list_file("val").is_file()

    def list_file(self, split: str) -> Path:
        """The list of ``split``, which need not be there."""
        return self.root / (self.lists[split] or f"{split}.csv")

    def read_stored(self, split: str) -> ClassificationSplit:
        rows = self.rows(split)
        file = self.list_file(split)
        classes = self.class_names or classes_of(rows if split == "train" else self.rows("train"))
        check_classes(classes, self.list_file("train"))
        labels = numbered(file, rows, classes, numbers=self.class_names is not None)
        if self.on_invalid == "raise":
            check_files(file, rows, self.image_root)
        return ClassificationSplit(
            source=file,
            folder=self.image_root,
            names=np.array(rows.images),
            labels=np.array(labels, dtype=np.int64),
            classes=tuple(classes),
            notes=tuple(unseen(file, labels, classes)) if split == "train" else (),
        )

    def check_splits(self) -> None:
        super().check_splits()
        log_notes(tuple(shared_images(self.splits)))

    def rows(self, split: str) -> Rows:
        """What the list of ``split`` says."""
        file = self.list_file(split)
        check_root(self.root)
        if not file.is_file():
            there = format_list(sorted(path.name for path in self.root.glob("*.csv"))) or "no lists"
            raise DataError(
                f"There is no list {file}: {self.root} has {there}; name the one to take with --data.{split}=FILE."
            )
        return read_rows(file, self.image_column, self.label_column)


def shared_images(splits: Mapping[str, ClassificationSplit]) -> list[str]:
    """A sentence for every two of ``splits`` whose lists name the same images."""
    told = []
    for one, two in itertools.combinations(splits.values(), 2):
        twice = np.intersect1d(one.names, two.names)
        if len(twice):
            told.append(
                f"{len(twice)} of the {len(two)} images of {two.source} are in {one.source}, too, the first being "
                f"{format_name(str(twice[0]))}: what is measured on them was learnt by heart."
            )
    return told


def unseen(file: Path, labels: Sequence[int], classes: Sequence[str]) -> list[str]:
    """A sentence about classes without images in training's list, where there are any.

    Raises:
        DataError: all images are of one class.
    """
    counts = np.bincount(labels, minlength=len(classes))
    lacking = [name for name, count in zip(classes, counts, strict=True) if not count]
    if len(lacking) == len(classes) - 1:
        raise DataError(f"{file} lists images of one class alone, {format_name(classes[labels[0]])}.")
    return [f"{file} lists no images of {format_list(lacking)}."] if lacking else []
