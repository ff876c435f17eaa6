"""Finds images and lists in users' folders, which may also contain other files and sub-folders."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..images import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES, check_regular_file

MAX_NAMED = 5  # names that a message lists
#: folders left behind by archives, Python, and the systems of servers and desktops
STRAY_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "lost+found")
#: usual folder names of each split; the first that exists is used
SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


SPLIT_WORD = re.compile(r"(?<![a-z])(" + "|".join(sum(SPLIT_FOLDERS.values(), ())) + r")(?![a-z])")
WORDS = {word: split for split, words in SPLIT_FOLDERS.items() for word in words}


def find_split_word(name: str) -> str | None:
    """Returns "train", "val" or "test" if ``name`` contains one word for it, as in "train2017" or "Validation"."""
    found = {WORDS[word] for word in SPLIT_WORD.findall(name.lower())}
    return found.pop() if len(found) == 1 else None


def check_root(folder: Path) -> None:
    """Raises DataError if ``folder`` does not exist."""
    if not folder.is_dir():
        raise DataError(f"There is no data folder {folder}; pass yours with --data.root=FOLDER.")


def resolve_split_name(root: Path, names: Mapping[str, str | None], split: str) -> str:
    """Returns the data set's own name of "train", "val" or "test".

    Raises:
        DataError: ``names`` has no name for it, or ``root`` does not exist.
    """
    name = names[split]
    if name is None:
        raise DataError(f"This data has no {split} split; name one with --data.{split}=NAME.")
    check_root(root)
    return name


def read_image_set(listing: Path) -> list[str]:
    """Reads the first word of every line of a Pascal VOC list: image names without suffix.

    Raises:
        DataError: the list does not exist, or it is not encoded as UTF-8.
    """
    if not listing.is_file():
        lists = ", ".join(sorted(file.stem for file in listing.parent.glob("*.txt"))[:8]) or "no lists"
        raise DataError(f"There is no list {listing}; {listing.parent} contains {lists}.")
    return [line.split()[0] for line in read_text(listing).splitlines() if line.split()]


def read_text(file: Path) -> str:
    """Reads a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: the file cannot be read, or has another encoding.
    """
    check_regular_file(file)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not encoded as UTF-8; save it as UTF-8.") from error


def is_stray_folder(name: str) -> bool:
    """Whether programs create folders of this name, such as .ipynb_checkpoints and __MACOSX."""
    return name.startswith(".") or name in STRAY_FOLDERS


def is_image_file(name: str) -> bool:
    """Whether the file name has the suffix of an image and does not start with a dot."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def is_unreadable_image(name: str) -> bool:
    """Whether the file name is that of an image of a kind that cannot be read, such as HEIC."""
    return name.lower().endswith(UNREADABLE_SUFFIXES) and not name.startswith(".")


def iterate_files(folder: Path | str, prefix: str = "", parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields the files in ``folder`` and its sub-folders, without stray folders, in the order of the file system.

    Uses only the listings of folders, because a data set may have a million files. A link to a parent is not followed.
    Broken links, FIFOs and devices count as files; reading them is refused.

    Args:
        folder: where to look; may be missing, which yields nothing.
        prefix: put before every name.
        parents: folders that contain ``folder`` and were entered already.

    Raises:
        DataError: a folder cannot be listed.
    """
    if not Path(folder).is_dir():
        return
    parents = (*parents, str(folder))
    for entry in scan_folder(folder):
        if not is_folder(entry):
            yield prefix + entry.name
        elif not is_stray_folder(entry.name) and not is_link_to(entry, parents):
            yield from iterate_files(entry.path, f"{prefix}{entry.name}/", parents)


def scan_folder(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yields the entries of ``folder``.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether ``entry`` is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_link_to(entry: os.DirEntry[str], folders: Sequence[str]) -> bool:
    """Whether ``entry`` is a symbolic link to one of ``folders``."""
    return entry.is_symlink() and any(Path(entry.path).samefile(folder) for folder in folders)


def format_list(names: Sequence[str]) -> str:
    """Joins the first names for a message, e.g. "cat, dog, …"."""
    return ", ".join(map(format_name, names[:MAX_NAMED])) + (", …" if len(names) > MAX_NAMED else "")


def format_stray_files(folder: Path, stray: Sequence[str]) -> str:
    """Returns one sentence that counts and names the files in ``folder`` that are not images."""
    counted = "1 file that is not an image" if len(stray) == 1 else f"{len(stray)} files that are not images"
    return f"{folder} contains {counted}, left out: {format_files(stray)}."


def format_unreadable_images(folder: Path, names: Sequence[str]) -> str:
    """Returns one sentence that counts and names the images in ``folder`` that cannot be read, and says what to do."""
    is_one = len(names) == 1
    counted = "1 image of a kind" if is_one else f"{len(names)} images of kinds"
    remedy = f"convert {'it' if is_one else 'them'} to JPEG or PNG"
    return f"{folder} contains {counted} that cannot be read ({format_files(names)}): {remedy}."


def note_unreadable_images(folder: Path, excluded: Collection[str] = ()) -> tuple[str, ...]:
    """Returns a sentence about the images in ``folder`` that cannot be read, or nothing if there are none.

    Args:
        folder: where to look; its sub-folders, too.
        excluded: sub-folders to leave out.
    """
    files = (file for file in iterate_files(folder) if file.partition("/")[0] not in excluded)
    names = sorted(file for file in files if is_unreadable_image(file.rpartition("/")[2]))
    return (format_unreadable_images(folder, names),) if names else ()


def format_files(names: Sequence[str]) -> str:
    """Joins the first names for a message, and counts the kinds if there are more."""
    if len(names) <= MAX_NAMED:
        return format_list(names)
    kinds = Counter(Path(name).suffix or Path(name).name for name in names)
    counted = ", ".join(f"{count} × {format_name(kind)}" for kind, count in kinds.most_common(MAX_NAMED))
    return f"{format_list(names)}; {counted}"


def normalise_path(name: str) -> str:
    """Returns a file name in Unicode's NFC, with slashes between its folders, so that equal names compare equal."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def match_file_names(names: Sequence[str], folder: Path) -> NDArray[np.str_]:
    """Returns the ``names`` as the files in ``folder`` are spelled; a name without a file stays as it is.

    A name may differ from its file in Unicode's normal form, may separate folders by backslashes as on Windows, and may
    begin with folders that only another computer has.

    Args:
        names: file names relative to ``folder``, as annotations give them.
        folder: the folder of the images; may be missing.
    """
    # one listing per folder: asking for each file takes minutes on a network drive
    listings: dict[str, dict[str, str]] = {}

    def find(name: str) -> str | None:
        inner, file = posixpath.split(posixpath.normpath(name))
        if inner.startswith(("..", "/")):
            return None
        if inner not in listings:
            entries = scan_folder(folder / inner) if (folder / inner).is_dir() else ()
            listings[inner] = {normalise_path(entry.name): entry.name for entry in entries}
        spelled = listings[inner].get(normalise_path(file))
        return None if spelled is None else posixpath.join(inner, spelled)

    def match(name: str) -> str:
        if found := find(name):
            return found
        parts = [part for part in normalise_path(name).split("/") if part]
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((found for tail in tails if (found := find(tail))), name)

    return np.array([match(name) for name in names], dtype=np.str_)


def find_missing_files(names: NDArray[np.str_], folder: Path) -> list[str]:
    """Returns the ``names``, relative to ``folder``, whose files do not exist.

    Raises:
        DataError: ``folder`` does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist.")
    # one listing per folder: asking for each file takes minutes on a network drive
    present: dict[str, set[str]] = {}
    missing: list[str] = []
    for name in names.tolist():
        inner, file = os.path.split(name)
        if inner not in present:
            entries = scan_folder(folder / inner) if (folder / inner).is_dir() else ()
            present[inner] = {entry.name for entry in entries}
        if file not in present[inner]:
            missing.append(name)
    return missing
