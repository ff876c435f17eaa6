"""Names and copies the images of a converted data set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ...errors import UserError
from ...tasks.data.files import normalise_path
from ...tasks.detection import DetectionSplit


class ImageNames:
    """Gives each image of a data set a file name whose stem no other image has, also where case does not count.

    Annotation files are named like their image without its suffix, and folders are not kept.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self.changed: dict[str, str] = {}  #: new names of the images whose own name could not be kept

    def choose(self, name: str, suffix: str = "") -> str:
        """Returns the name of an image in the written folder.

        Args:
            name: its file in the source, relative to any folder.
            suffix: another suffix for the written file, e.g. ".png".
        """
        path = PurePosixPath(normalise_path(name))
        printable = "".join(letter if letter.isprintable() else "_" for letter in path.stem)
        stem = first = printable.strip(" .") or "image"  # a list loses blanks, and a file with a dot in front is hidden
        number = 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{first}-{number}"
        self._taken.add(stem.casefold())
        chosen = stem + (suffix or path.suffix)
        if chosen != path.name:
            self.changed[name] = chosen
        return chosen


def find_turned_images(split: DetectionSplit) -> set[int]:
    """Returns the images that a reader who does not know their annotated size turns differently by their EXIF data."""
    return set(np.flatnonzero((split.image_facts().sizes != split.sizes).any(axis=1)).tolist())


def copy_images(pairs: Iterable[tuple[Path, Path]], has_links: bool) -> int:
    """Copies files; the folders of the targets must exist.

    Args:
        pairs: each source and its target.
        has_links: whether to create hard links where the file system can, instead of copies.

    Returns:
        The number of hard links.
    """
    links = 0
    for source, target in pairs:
        if has_links and create_link(source, target):
            links += 1
        else:
            shutil.copyfile(source, target)
    return links


def create_link(source: Path, target: Path) -> bool:
    """Creates a hard link to the file that ``source`` is or points to; returns whether the file system can."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True


def write_turned_images(split: DetectionSplit, targets: Mapping[int, Path]) -> None:
    """Writes images as their annotations see them, as PNG files without loss.

    Args:
        split: the split.
        targets: file to write for the index of each image.
    """
    for index, target in targets.items():
        pixels = cv2.cvtColor(split.image(index), cv2.COLOR_RGB2BGR)
        target.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def check_output(folder: Path, root: Path) -> None:
    """Raises UserError unless ``folder`` can become a new data set: it is new or empty, and outside ``root``."""
    if folder.resolve().is_relative_to(root.resolve()):
        raise UserError(f"--out={folder} is inside {root}, which is never changed; name a folder outside it.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out={folder} is a file; name a folder that is new or empty.")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"--out={folder} is not empty; name a folder that is new or empty.")
