"""Finds COCO's JSON files in a folder, and the folder of the images that each describes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np

from ....errors import DataError
from ...data.files import find_split_word, normalise_path
from ...data.split import OnInvalid
from ..split import DetectionSplit
from .base import Format
from .coco import read_coco
from .listing import Listing
from .parsing.json_files import find_keys, is_complete, read_json

KEYS = ("images", "annotations", "categories")
PANOPTIC_KEY = "segments_info"
#: COCO's own folder also has captions and key points of the same images
OWN_PREFIX = "instances_"
PROBES = 50  # file names by which the folder of the images is found


class CocoFormat(Format):
    """COCO's JSON files, one for each split, as COCO, Roboflow, CVAT and many others write them."""

    name = "coco"
    title = "COCO"

    def __init__(self, listing: Listing, splits: dict[str, str]) -> None:
        super().__init__(listing)
        self.splits = splits

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        found = listing.annotations(".json")
        own = [name for name in found if PurePosixPath(name).name.startswith(OWN_PREFIX)]
        files = own or [name for name in found if is_coco(listing.root / name)]
        if not files:
            return None
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for name in files:
            groups[name_split(listing, name)].append(name)
        for split, names in groups.items():
            if len(names) > 1:
                raise DataError(
                    f"{listing.root} has {len(names)} COCO files for {split}, {names[0]} and {names[1]}; choose with "
                    "--data.annotations=PATTERN."
                )
        splits = {split: names[0] for split, names in groups.items()}
        if len(splits) == 1:
            splits = divide_by_folder(listing, *next(iter(splits.items()))) or splits
        return cls(listing, splits)

    def read(self, split: str, on_invalid: OnInvalid) -> DetectionSplit:
        file = self.listing.root / self.splits[split]
        if len(self.splits) == len(set(self.splits.values())):
            return read_coco(file, lambda names: (self.find_folder(split, names), names), on_invalid)
        whole = read_coco(file, lambda names: (self.listing.root, self.find_paths(split, names)), on_invalid)
        return whole.take(np.array([self.listing.split_of(name) in (split, "") for name in whole.names.tolist()]))

    def find_paths(self, split: str, names: Sequence[str]) -> list[str]:
        """Returns the images ``names`` relative to the listed folder; a missing one keeps its name."""
        return [self.listing.find_path(name, self.splits[split], may_strip=True) or name for name in names]

    def describe_classes(self) -> str:
        return "classes of the JSON files" if len(set(self.splits.values())) > 1 else "classes of the JSON file"

    def find_folder(self, split: str, names: Sequence[str]) -> Path:
        """Returns the folder in which most of the first images ``names`` are.

        Of several, the one that is named like the split is taken, or else the one beside the JSON file.
        """
        by_file: defaultdict[str, list[str]] = defaultdict(list)
        for image in (image for image in self.listing.images if self.listing.is_of_split(image, split, self.splits)):
            by_file[normalise_path(image).rpartition("/")[2]].append(image)
        votes: Counter[str] = Counter()
        for name in names[:PROBES]:
            parts = normalise_path(name).split("/")
            for image in by_file[parts[-1]]:
                votes[remove_shared_end(image, parts)] += 1
        if not votes:
            return self.listing.root / split  # the message about missing images names it
        beside = PurePosixPath(self.splits[split]).parent.as_posix()
        best = [folder for folder, count in votes.items() if count == max(votes.values())]
        best = [folder for folder in best if split and split in folder.split("/")] or best
        best = [folder for folder in best if folder == beside] or best
        if len(best) > 1:
            raise DataError(
                f"The images of {self.splits[split]} may be in {best[0] or '.'} or in {best[1] or '.'} of "
                f"{self.listing.root}; choose with --data.images=PATTERN."
            )
        return self.listing.root / best[0]


def divide_by_folder(listing: Listing, split: str, name: str) -> dict[str, str]:
    """Returns the splits that the folders of a file's images name; none if the file, or not every folder, names one.

    Args:
        listing: the files of the data set.
        split: name of the split that the file describes, or of the file.
        name: the file.

    Raises:
        DataError: an image may be in two folders.
    """
    if find_split_word(split) or len({listing.split_of(image) for image in listing.images} - {""}) < 2:
        return {}
    try:
        content = read_json(listing.root / name)
        paths = [str(image["file_name"]) for image in content["images"]]
    except (DataError, KeyError, TypeError):
        return {}  # reading the split says what is wrong
    found = [image for path in paths if (image := listing.find_path(path, name, may_strip=True))]
    splits = dict.fromkeys(map(listing.split_of, found), name)
    return {} if "" in splits or len(splits) < 2 else splits


def is_coco(file: Path) -> bool:
    """Whether a JSON file seems to contain COCO's boxes; a panoptic file does not.

    A damaged file does if it begins like one, so that reading it names the damage.
    """
    if not find_keys(file, KEYS[0]):
        return False
    keys = find_keys(file, *KEYS, PANOPTIC_KEY)
    return PANOPTIC_KEY not in keys and (keys >= set(KEYS) or ("images" in keys and not is_complete(file)))


def name_split(listing: Listing, name: str) -> str:
    """Returns the name of the split that a COCO file describes."""
    stem = PurePosixPath(name).stem
    if stem.startswith(OWN_PREFIX):
        return stem.removeprefix(OWN_PREFIX)
    return stem if find_split_word(stem) else listing.split_of(name) or stem


def remove_shared_end(path: str, parts: Sequence[str]) -> str:
    """Returns the folder of ``path`` from which the last of ``parts`` lead to it."""
    folders = path.split("/")
    shared = 1
    while shared < min(len(folders), len(parts)) and folders[-1 - shared] == parts[-1 - shared]:
        shared += 1
    return "/".join(folders[:-shared])
