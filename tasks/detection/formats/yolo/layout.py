"""Finds the label files of a folder in YOLO's format, and the images of each split."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .....errors import format_count, format_name
from ....data.files import SPLIT_FOLDERS, find_split_word, normalise_path, read_text
from ..listing import PROBES, Listing, get_stem
from ..parsing.class_lists import DEFAULT_LIST, DataYaml, is_class_list
from ..parsing.repairs import Repairs
from .labels import looks_like_labels

#: names of the splits in a YAML file and in Darknet's obj.data
KEYS = sum(SPLIT_FOLDERS.values(), ())
MIN_COLUMNS = 5  # of a box
NOT_LABELS = re.compile(r"readme|licen[sc]e|requirements", re.IGNORECASE)
DARKNET_LINE = re.compile(r"^\s*(\w+)\s*=\s*(\S.*?)\s*$", re.MULTILINE)


def find_labels(listing: Listing) -> list[str]:
    """Returns the text files that are named like an image or contain rows of numbers."""
    stems = {get_stem(image) for image in listing.images}
    found: list[str] = []
    for name in listing.annotations(".txt"):
        file = PurePosixPath(name).name
        if is_class_list(name) or file == DEFAULT_LIST or NOT_LABELS.match(file):
            continue
        # VOC's lists of images that show a class have two or three numbers in each line
        if get_stem(name) in stems or looks_like_labels(listing.root / name, MIN_COLUMNS):
            found.append(name)
    return found


def has_label(listing: Listing, labels: Sequence[str]) -> bool:
    """Whether one of the first ``labels`` that are not empty contains rows of numbers; captions do not."""
    filled = (name for name in labels if (listing.root / name).stat().st_size)
    return any(looks_like_labels(listing.root / name) for name, _ in zip(filled, range(PROBES), strict=False))


class Layout(NamedTuple):
    """Images of each split.

    Attributes:
        images: for the data set's own name of each split, its images.
        notes: sentences about what is named but not there.
    """

    images: dict[str, list[str]]
    notes: tuple[str, ...] = ()


def find_layout(listing: Listing, data: DataYaml | None, labels: Mapping[str, str], repairs: Repairs) -> Layout:
    """Finds the images of each split.

    Splits are those of the YAML file, of Darknet's obj.data, of lists such as train.txt, or of folders.

    Args:
        listing: the files of the folder.
        data: the YAML file, if there is one.
        labels: label file of each image that has one.
        repairs: decides whether a list may name images that do not exist.

    Raises:
        DataError: a list names an image that does not exist.
    """
    sources = [(data.file, data.content)] if data else []
    sources += [(name, read_darknet(listing, name)) for name in listing.files if name.endswith(".data")]
    for file, content in sources:
        named = {key: content[key] for key in KEYS if content.get(key)}
        base = str(content.get("path") or "")
        splits = {key: find_entries(listing, file, base, entries, repairs) for key, entries in named.items()}
        found = {key: images for key, images in splits.items() if images}
        if found:
            notes = [
                f"{listing.root / file} names {key}: {named[key]}, which has no images here."
                for key in splits
                if key not in found
            ]
            return Layout(found, tuple(notes))
    lists = [name for name in listing.files if name.endswith(".txt") and PurePosixPath(name).stem in KEYS]
    lists = [name for name in lists if is_image_list(listing, name)]
    if lists:
        return Layout({PurePosixPath(name).stem: read_list(listing, name, repairs) for name in lists})
    return group_by_folder(listing, labels)


def read_darknet(listing: Listing, name: str) -> dict[str, str]:
    """Reads Darknet's lines KEY = VALUE."""
    return dict(DARKNET_LINE.findall(read_text(listing.root / name)))


def find_entries(listing: Listing, file: str, base: str, entries: Any, repairs: Repairs) -> list[str]:
    """Returns the images in the folders, or in the lists, that ``file`` names for a split.

    Args:
        listing: the files of the data set's folder.
        file: the file that names them.
        base: its ``path``, to which entries are relative; often it is right on another computer only.
        entries: a folder, a list file, or a list of these.
        repairs: see :func:`find_layout`.
    """
    images: list[str] = []
    for entry in map(str, entries if isinstance(entries, list) else [entries]):
        if entry.endswith(".txt"):
            found = find_place(listing.files, file, base, entry)
            images += read_list(listing, found, repairs) if found else []
        else:
            folder = find_place(listing.image_folders, file, base, entry.partition("*")[0])
            below = "" if folder == "." else f"{folder}/"
            images += [name for name in listing.images if folder is not None and name.startswith(below)]
    return list(dict.fromkeys(images))


def find_place(known: Collection[str], file: str, base: str, entry: str) -> str | None:
    """Returns which of the ``known`` files or folders an entry of ``file`` means; None if there is none.

    The entry may begin with folders that only another computer has, but the name of a split is not one of these.
    """
    parts = [part for part in normalise_path(entry).split("/") if part not in ("", ".", "..")]
    last = max((k for k, part in enumerate(parts) if find_split_word(part)), default=len(parts) - 1)
    beside = posixpath.dirname(file)
    for start in range(max(last, 0) + 1):
        end = "/".join(parts[start:])
        for folder in (posixpath.join(beside, base), beside, ""):
            place = posixpath.normpath(posixpath.join(folder, end))
            if place in known:
                return place
    return None


def is_image_list(listing: Listing, name: str) -> bool:
    """Whether one of the first lines of a text file is the path of an image of the folder."""
    lines = read_text(listing.root / name).splitlines()[:PROBES]
    return any(listing.find_path(line.strip(), name, may_strip=True) for line in lines)


def read_list(listing: Listing, name: str, repairs: Repairs) -> list[str]:
    """Returns the images that the lines of a list name."""
    images: dict[str, None] = {}
    for number, line in enumerate(read_text(listing.root / name).splitlines(), start=1):
        image = listing.find_path(line.strip(), name, may_strip=True)
        if image is not None:
            images[image] = None
        elif line.strip():
            repairs.leave_out(f"{listing.root / name}: line {number} has {format_name(line.strip())}, which is missing")
    return list(images)


def group_by_folder(listing: Listing, labels: Mapping[str, str]) -> Layout:
    """Finds the images of each split, as folders name it; only folders in which an image has a label count.

    An image whose folder names no split is in that of its label file.
    """
    folders = {posixpath.dirname(image) for image in labels}
    splits: defaultdict[str, list[str]] = defaultdict(list)
    for image in listing.images:
        if posixpath.dirname(image) in folders:
            splits[listing.split_of(image) or listing.split_of(labels.get(image, ""))].append(image)
    others = splits.get("", [])
    if len(splits) > 1 and others and not any(image in labels for image in others):
        del splits[""]
        return Layout(
            splits,
            (f"{listing.root}: {format_count(len(others), 'images without a label file and a split')} left out.",),
        )
    return Layout(splits)
