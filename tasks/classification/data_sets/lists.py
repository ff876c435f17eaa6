"""Reads labels from CSV lists: each line names an image and its class."""

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

from ....errors import DataError, format_name
from ...data.files import check_root, find_missing_files, format_list, read_text
from ...data.module import log_notes
from ..data import HoldoutClassification
from ..split import ClassificationSplit, check_classes

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
INTEGER = re.compile(r"-?[0-9]+")


class Rows(NamedTuple):
    """Line numbers from 1, images and labels of a list, ``[I]`` each.

    They are lists of strings because a million objects would slow down Python's garbage collector.
    """

    lines: list[int]
    images: list[str]
    labels: list[str]


class ListClassification(HoldoutClassification):
    """CSV lists of images and their classes: ``root/train.csv``, ``root/val.csv`` and ``root/test.csv``.

    The first line of a list names its columns, separated by commas, semicolons or tabs.

    Args:
        root: folder that contains the lists, e.g. ``data/ships``.
        train: training list in ``root``.
        val: validation list in ``root``, e.g. ``valid.csv``. Default: ``val.csv`` if it exists, and otherwise
            ``val_fraction`` of the training images.
        test: list for ``litmobile test``. Default: ``test.csv``.
        image_root: folder in ``root`` that the image names are relative to, e.g. ``images``.
        image_column: name of the column of image files, e.g. ``filename``.
        label_column: name of the column of labels, e.g. ``class``.
        classes: class names in the order of the class indices, e.g. ``[boat, ship]``. The lists contain these names, or
            indices from 0. Default: all training labels, sorted, as numbers if all are integers.

    Raises:
        DataError: in ``setup``, if a list or an image is missing, or a line is wrong.
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
        """Path of the list of ``split``; it may not exist."""
        return self.root / (self.lists[split] or f"{split}.csv")

    def read_stored(self, split: str) -> ClassificationSplit:
        rows = self.read_image_set(split)
        file = self.list_file(split)
        classes = self.class_names or sort_labels(rows if split == "train" else self.read_image_set("train"))
        check_classes(classes, self.list_file("train"))
        labels = index_labels(file, rows, classes, allow_indices=self.class_names is not None)
        if self.on_invalid == "raise":
            check_files(file, rows, self.image_root)
        return ClassificationSplit(
            source=file,
            folder=self.image_root,
            names=np.array(rows.images),
            labels=np.array(labels, dtype=np.int64),
            classes=tuple(classes),
            notes=note_empty_classes(file, labels, classes) if split == "train" else (),
        )

    def check_splits(self) -> None:
        super().check_splits()
        log_notes(note_shared_images(self.splits))

    def read_image_set(self, split: str) -> Rows:
        """Reads the rows of the list of ``split``.

        Raises:
            DataError: the list does not exist, or :func:`read_rows` refuses it.
        """
        file = self.list_file(split)
        check_root(self.root)
        if not file.is_file():
            lists = format_list(sorted(path.name for path in self.root.glob("*.csv")))
            other = "" if lists else ", or read class folders with --data=FolderClassification"
            raise DataError(
                f"The list {file} does not exist; {self.root} contains {lists or 'no lists'}: choose one with "
                f"--data.{split}=FILE{other}."
            )
        return read_rows(file, self.image_column, self.label_column)


def read_rows(file: Path, image_column: str, label_column: str) -> Rows:
    """Reads a list. Its first line names the columns and shows whether commas, semicolons or tabs separate them.

    Raises:
        DataError: the file is not such a list, lacks a column, lists no images, has an empty cell, or lists an image
            twice.
    """
    text = read_text(file)
    if not text.strip():
        raise DataError(f"{file} is empty: its first line has to name the columns.")
    delimiter = max(DELIMITERS, key=text.lstrip().partition("\n")[0].count)
    table = iterate_cells(file, text, delimiter)
    _, columns = next(table, (1, []))
    for name in (image_column, label_column):
        if columns.count(name) != 1:
            raise DataError(
                f"{file} has {'several columns' if name in columns else 'no column'} {name!r}: its first line names "
                f"{format_list(columns) or 'none'}."
            )
    image_index, label_index = columns.index(image_column), columns.index(label_column)
    rows = Rows([], [], [])
    for line, cells in table:
        if len(cells) != len(columns):
            raise DataError(
                f"{file}, line {line} has {len(cells)} cells for {len(columns)} columns: put quotes around "
                f"cells that contain a {DELIMITERS[delimiter]}."
            )
        image, label = cells[image_index], cells[label_index]
        if not image or not label:
            raise DataError(f"{file}, line {line} has no {label_column if image else image_column}.")
        rows.lines.append(line)
        rows.images.append(os.path.normpath(image))  # so that duplicates are recognised
        rows.labels.append(label)
    if not rows.lines:
        raise DataError(f"{file} lists no images.")
    check_duplicates(file, rows)
    return rows


def iterate_cells(file: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the stripped cells of every line that is not empty."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num} is not CSV: {error}.") from error


def check_duplicates(file: Path, rows: Rows) -> None:
    """Raises DataError if an image is listed twice."""
    first: dict[str, int] = {}
    for row, image in enumerate(rows.images):
        before = first.setdefault(image, row)
        if before != row:
            one, two = format_name(rows.labels[before]), format_name(rows.labels[row])
            labels = "the same label" if one == two else f"labels {one} and {two}"
            raise DataError(
                f"{file} lists {format_name(image)} in line {rows.lines[before]} and in line {rows.lines[row]}, with "
                f"{labels}: remove one of them."
            )


def sort_labels(rows: Rows) -> tuple[str, ...]:
    """Returns the distinct labels, sorted; as numbers if all are integers."""
    names = set(rows.labels)
    are_integers = all(INTEGER.fullmatch(name) for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if are_integers else (0, name)))


def index_labels(file: Path, rows: Rows, classes: Sequence[str], allow_indices: bool) -> list[int]:
    """Returns the class index of every row.

    Args:
        file: the list, for messages.
        rows: its rows.
        classes: names of the classes.
        allow_indices: whether a label may be a class index; a class of that name takes precedence.

    Raises:
        DataError: a label is not one of the classes.
    """
    indices = {str(k): k for k in range(len(classes))} if allow_indices else {}
    indices |= {name: k for k, name in enumerate(classes)}
    for line, label in zip(rows.lines, rows.labels, strict=True):
        if label not in indices:
            place = f"{file}, line {line}: the label {format_name(label)}"
            if allow_indices and INTEGER.fullmatch(label):
                raise DataError(f"{place} is outside 0 … {len(classes) - 1}, the indices of {len(classes)} classes.")
            raise DataError(f"{place} is not one of the classes {format_list(classes)}.")
    return [indices[label] for label in rows.labels]


def check_files(file: Path, rows: Rows, folder: Path) -> None:
    """Raises DataError if an image is not in ``folder``."""
    missing = find_missing_files(np.array(rows.images), folder)
    if missing:
        raise DataError(
            f"{file}: {len(missing)} of {len(rows.images)} images are not in {folder}, such as "
            f"{format_name(missing[0])} of line {rows.lines[rows.images.index(missing[0])]}."
        )


def note_shared_images(splits: Mapping[str, ClassificationSplit]) -> tuple[str, ...]:
    """Returns a sentence for each pair of splits whose lists share images."""
    notes = []
    for one, two in itertools.combinations(splits.values(), 2):
        shared = np.intersect1d(one.names, two.names)
        if len(shared):
            notes.append(
                f"{len(shared)} of {len(two)} images of {two.source} are also in {one.source}, such as "
                f"{format_name(str(shared[0]))}: metrics on them hide overfitting."
            )
    return tuple(notes)


def note_empty_classes(file: Path, labels: Sequence[int], classes: Sequence[str]) -> tuple[str, ...]:
    """Returns a sentence that names the classes without training images, if any.

    Raises:
        DataError: all images are of one class.
    """
    counts = np.bincount(labels, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if len(empty) == len(classes) - 1:
        raise DataError(f"{file} lists images of only one class, {format_name(classes[labels[0]])}.")
    return (f"{file} lists no images of {format_list(empty)}.",) if empty else ()
