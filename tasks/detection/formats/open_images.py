"""Reads Open Images' CSV files: one for each split, with the boxes of all images as fractions of their sides."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Self

from ....errors import DataError, format_count
from ...data.files import SPLIT_WORD, find_split_word, is_image_file
from .base import AnnotatedImage, AnnotatedObject, RecordFormat
from .listing import Listing, get_stem
from .parsing.fields import FieldError, parse_flag, parse_fraction, parse_name
from .parsing.repairs import Repairs

COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
GROUP = "IsGroupOf"
UNKNOWN = "-1"  # value of a flag that was not verified
#: how the codes of classes begin in Google's knowledge graph
CODES = ("/m/", "/g/", "/t/")


class OpenImagesFormat(RecordFormat):
    """Open Images' boxes, as published or as FiftyOne exports them.

    Images that a file does not mention are left out, because nobody has verified that they are empty.

    Args:
        listing: the files of the folder.
        splits: the CSV file of each split.
    """

    name = "open_images"
    title = "Open Images"

    def __init__(self, listing: Listing, splits: dict[str, str]) -> None:
        super().__init__(listing)
        self.splits = splits
        self.names, self.names_file = read_descriptions(listing)

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        splits: dict[str, str] = {}
        for name in listing.annotations(".csv"):
            if not has_boxes(listing.root / name):
                continue
            word = SPLIT_WORD.search(PurePosixPath(name).name.lower())
            split = word.group() if word else listing.split_of(name)
            if splits.setdefault(split, name) != name:
                raise DataError(
                    f"{listing.root} has several CSV files for {split or 'all images'}, {splits[split]} and {name}; "
                    "choose with --data.annotations=PATTERN."
                )
        folders = sorted({listing.split_of(image) for image in listing.images})
        if [*splits] == [""] and len(folders) > 1 and "" not in folders:
            splits = dict.fromkeys(folders, splits[""])  # one file for the images in the folders of all splits
        return cls(listing, splits) if splits else None

    def describe_classes(self) -> str:
        return f"names of the classes from {self.names_file}" if self.names_file else "classes of the objects"

    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        file = self.listing.root / self.splits[split]
        found = self._find_images(split)
        objects: defaultdict[str, list[AnnotatedObject]] = defaultdict(list)
        rows = iterate_rows(file)
        columns = find_columns(next(rows)[1], file)
        for line, row in rows:
            try:
                image, thing = self._read_row(row, columns)
                if image not in found and is_image_file(image):  # the id is written as the name of the file
                    image = get_stem(image)
                objects[image].append(thing)
            except FieldError as error:
                repairs.leave_out(f"{file}: line {line} has {error}")
        is_shared = len(set(self.splits.values())) < len(self.splits)
        others = {get_stem(name) for name in self.listing.images} if is_shared else ()
        missing = [image for image in objects if image not in found and image not in others]
        if missing:
            repairs.leave_out(
                f"{file} has boxes of {format_count(len(missing), 'missing images')}, such as {missing[0]}"
            )
        unmentioned = len(found.keys() - objects.keys())
        if unmentioned:
            repairs.count("images that the file does not mention left out", unmentioned)
        images = [image for image in objects if image in found]
        return [AnnotatedImage(found[image], objects[image], is_relative=True) for image in images]

    def _find_images(self, split: str) -> dict[str, str]:
        """Returns the images that may belong to a split by their ids.

        Raises:
            DataError: two images have one id.
        """
        found: dict[str, str] = {}
        for name in self.listing.images:
            own = find_split_word(self.listing.split_of(name))
            if split and own not in (None, find_split_word(split)):
                continue
            if found.setdefault(get_stem(name), name) != name:
                both = f"{found[get_stem(name)]} and {name}"
                raise DataError(f"{self.listing.root}: the images {both} have the same ImageID; keep one.")
        return found

    def _read_row(self, row: Sequence[str], columns: dict[str, int]) -> tuple[str, AnnotatedObject]:
        """Returns an object and the id of its image.

        Raises:
            FieldError: a value cannot be used.
        """
        if len(row) != len(columns):
            raise FieldError(f"{len(row)} columns instead of {len(columns)}")
        image, code, *coordinates = [row[columns[key]] for key in COLUMNS]
        x1, x2, y1, y2 = map(parse_fraction, coordinates)
        group = row[columns[GROUP]] if GROUP in columns else "0"
        try:
            name = self.names.get(code) or self.names.setdefault(code, parse_name(code))
            is_group = group not in ("0", UNKNOWN) and parse_flag(group)
        except FieldError as error:
            raise FieldError(f"the LabelName or {GROUP} {error}") from error
        return image, AnnotatedObject(name, (x1, y1, x2, y2), is_crowd=is_group)


def has_boxes(file: Path) -> bool:
    """Whether a CSV file contains boxes; a damaged file does if it is called so."""
    header = read_header(file)
    is_called_so = "bbox" in file.name or file.name == "detections.csv"
    return set(COLUMNS) <= set(header) or (is_called_so and COLUMNS[0] in header)


def find_columns(header: Sequence[str], file: Path) -> dict[str, int]:
    """Returns the index of each column.

    Raises:
        DataError: a column is missing.
    """
    columns = {column.strip(): index for index, column in enumerate(header)}
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise DataError(f"{file} has no column {missing[0]}; Open Images' boxes have {', '.join(COLUMNS)}.")
    return columns


def iterate_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the line and the values of each row of a CSV file.

    Raises:
        DataError: the file is not a CSV file in UTF-8.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not encoded as UTF-8; save it as UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{file} is not a CSV file: {error}.") from error


def read_header(file: Path) -> list[str]:
    """Returns the values in the first line of a CSV file, whatever its encoding."""
    with file.open("rb") as stream:
        line = stream.readline().replace(b"\0", b"")  # 0 in UTF-16
    with suppress(csv.Error):
        return [
            column.strip("\ufeff\ufffd\r\n ") for row in csv.reader([line.decode(errors="replace")]) for column in row
        ]
    return []


def read_descriptions(listing: Listing) -> tuple[dict[str, str], str | None]:
    """Returns the names of classes by their codes, and a file that they are from, if there is one.

    Different classes of one name get their code in brackets.

    Raises:
        DataError: a file cannot be read, or two files name a class differently.
    """
    names: dict[str, str] = {}
    source: str | None = None
    for name in (name for name in listing.files if name.lower().endswith(".csv")):
        if len(read_header(listing.root / name)) != 2:
            continue
        for _, row in iterate_rows(listing.root / name):
            if len(row) == 2 and row[0].startswith(CODES):
                source = source or name
                if names.setdefault(row[0], row[1]) != row[1]:
                    raise DataError(
                        f"{listing.root / name} and {source} name the class {row[0]} differently; keep one."
                    )
    counts = Counter(names.values())
    return {code: f"{name} ({code})" if counts[name] > 1 else name for code, name in names.items()}, source
