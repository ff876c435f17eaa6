"""The files of a data set's folder, listed once, and the split and image that an annotation file belongs to."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from ....errors import DataError
from ...data.files import check_root, find_split_word, is_image_file, iterate_files, normalise_path

MASK_FOLDER = re.compile(r"mask|segmentation|(?<![a-z])labels?(?![a-z])", re.IGNORECASE)
PROBES = 50  # files by which a format is recognised


class Listing:
    """The files below a folder, without hidden and stray ones.

    Args:
        root: the folder.
        images: pattern of the image folder relative to ``root``, e.g. "images/{split}". Default: any folder.
        annotations: pattern of the annotation files or their folder, e.g. "labels/{split}". Default: any file.
        splits: names of splits that the user gave; folders of these names are splits.

    Raises:
        DataError: the folder does not exist.
    """

    def __init__(
        self, root: Path, images: str | None = None, annotations: str | None = None, splits: Collection[str] = ()
    ) -> None:
        check_root(root)
        self.root = root
        self.splits = splits
        names = (name for name in iterate_files(root) if not name.rpartition("/")[2].startswith("."))
        # without pipes, which would never end, and links to nothing
        self.files = sorted(name for name in names if is_image_file(name) or (root / name).is_file())
        self._split_of_folder: dict[str, str] = {}  # a folder may hold 100,000 files
        self._image_pattern = None if images is None else compile_pattern(images)
        self._annotation_pattern = None if annotations is None else compile_pattern(annotations)

    def annotations(self, *suffixes: str) -> list[str]:
        """Returns the files with one of ``suffixes`` that the pattern of the annotations selects."""
        pattern = self._annotation_pattern
        files = (name for name in self.files if name.lower().endswith(suffixes))
        return [name for name in files if pattern is None or pattern.match(name)]

    @cached_property
    def images(self) -> list[str]:
        """The image files that the pattern of the images selects."""
        pattern = self._image_pattern
        return [name for name in self.files if is_image_file(name) and (pattern is None or pattern.match(name))]

    @cached_property
    def image_folders(self) -> set[str]:
        """The folders that contain images, also in their sub-folders; "." is the root."""
        folders = {PurePosixPath(image).parent for image in self.images}
        return {folder.as_posix() for inner in folders for folder in (inner, *inner.parents)}

    def split_of(self, name: str) -> str:
        """Returns the data set's own name of the split that a file belongs to; "" if the name does not tell.

        It is the ``{split}`` of a pattern, or the last folder that is named like a split.
        """
        for pattern in (self._annotation_pattern, self._image_pattern):
            if pattern is not None and "split" in pattern.groupindex and (match := pattern.match(name)):
                return match["split"]
        folder = name.rpartition("/")[0]
        if folder not in self._split_of_folder:
            parts = reversed(folder.split("/"))
            split = next((part for part in parts if part in self.splits or find_split_word(part)), "")
            self._split_of_folder[folder] = split
        return self._split_of_folder[folder]

    def is_of_split(self, name: str, split: str, others: Collection[str] = ()) -> bool:
        """Whether a file may belong to ``split``, because its folders do not name another one.

        Args:
            name: the file.
            split: the data set's own name of the split; "" is a data set without splits.
            others: names of all splits of the data set.
        """
        folder, word = self.split_of(name), find_split_word(split)
        if folder in ("", split) or not split:
            return True
        return folder not in others and word in (None, find_split_word(folder))

    def find_image(self, annotation: str, named: str | None = None) -> str | None:
        """Returns the image that an annotation file describes: the one with its stem, or else the one it names.

        Of several images, the one whose folders are most like the file's is meant.

        Raises:
            DataError: two images fit equally well.
        """
        found = self._by_stem.get(get_stem(annotation)) or (self._by_stem.get(get_stem(named), []) if named else [])
        found = [image for image in found if self.is_of_split(image, self.split_of(annotation))]
        return self._choose_image(found, annotation, named or "")

    def find_path(self, path: str, annotation: str, may_strip: bool = False) -> str | None:
        """Returns the image at ``path``, which an annotation file names; its folder may be in any folder.

        Args:
            path: e.g. "cam1/0001.jpg"; folders may be separated by backslashes.
            annotation: the annotation file.
            may_strip: whether the path may begin with folders that only another computer has.

        Raises:
            DataError: two images fit equally well.
        """
        parts = [part for part in normalise_path(path).split("/") if part not in ("", ".", "..")]
        found = self._by_stem.get(get_stem(path), [])
        found = [image for image in found if self.is_of_split(image, self.split_of(path))]
        for start in range(len(parts) if may_strip else 1):
            end = "/".join(parts[start:])
            ends = [image for image in found if f"/{normalise_path(image)}".endswith(f"/{end}")]
            if ends:
                return end if end in ends else self._choose_image(ends, annotation, path)
        return None

    def _choose_image(self, images: list[str], annotation: str, named: str) -> str | None:
        """Returns which of ``images``, which all fit, an annotation file describes; None if there are none.

        It is one beside the file, then one called as the file names it, then one that is not in a folder of masks, then
        one whose folders are most like the file's.

        Raises:
            DataError: two images fit equally well.
        """
        if len(images) < 2:
            return images[0] if images else None
        folders, file = PurePosixPath(annotation).parts[:-1], normalise_path(named).rpartition("/")[2]
        images = [image for image in images if PurePosixPath(image).parts[:-1] == folders] or images
        images = [image for image in images if normalise_path(image).rpartition("/")[2] == file] or images
        images = [image for image in images if not MASK_FOLDER.search(image.rpartition("/")[0])] or images
        likeness = [len(set(folders) & set(PurePosixPath(image).parts[:-1])) for image in images]
        best = [image for image, shared in zip(images, likeness, strict=True) if shared == max(likeness)]
        if len(best) > 1:
            both = f"{best[0]} or {best[1]}"
            raise DataError(f"{self.root / annotation} may describe {both}; choose with --data.images=PATTERN.")
        return best[0]

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        images: defaultdict[str, list[str]] = defaultdict(list)
        for image in self.images:
            images[get_stem(image)].append(image)
        return images

    def describe(self) -> str:
        """Returns the kinds of files and the first folders, for messages."""
        suffixes: defaultdict[str, int] = defaultdict(int)
        for name in self.files:
            suffixes[PurePosixPath(name).suffix.lower() or "no suffix"] += 1
        kinds = sorted(suffixes, key=lambda suffix: -suffixes[suffix])[:6]
        folders = list(dict.fromkeys(PurePosixPath(name).parts[0] + "/" for name in self.files if "/" in name))[:8]
        counted = ", ".join(f"{suffixes[kind]} × {kind}" for kind in kinds) or "no files"
        return counted + (f" in {', '.join(folders)}" if folders else "")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Returns an expression for the files that a pattern such as "images/{split}" names, or that lie below it."""
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in pattern.strip("/").split("{split}")]
    first = "(?P<split>[^/]+)".join(parts[:2])
    return re.compile("(?P=split)".join([first, *parts[2:]]) + "(?:/|$)")


def get_stem(name: str) -> str:
    """Returns a file name without its folder and suffix, in the spelling by which names are compared."""
    return os.path.splitext(normalise_path(name).rpartition("/")[2])[0]  # noqa: PTH122 — ten times as fast


def find_split(names: Collection[str], wanted: str) -> str | None:
    """Returns which of the ``names`` of splits is "train", "val" or "test"; None if none is.

    The one split of a folder that has no splits is for training.

    Raises:
        DataError: several names could be meant.
    """
    if wanted == "train" and len(names) == 1 and not any(map(find_split_word, names)):
        return next(iter(names))
    found = [name for name in names if name == wanted] or [name for name in names if find_split_word(name) == wanted]
    if len(found) > 1:
        both = f"{found[0]} and {found[1]}"
        raise DataError(f"The splits {both} are both named like {wanted}; choose with --data.{wanted}=NAME.")
    return found[0] if found else None


def iterate_lines(text: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields the number and the words of each line that is not empty."""
    for number, line in enumerate(text.splitlines(), start=1):
        if words := line.split():
            yield number, words
