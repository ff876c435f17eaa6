"""CIFAR-10 and CIFAR-100 in the files that they are published in (Krizhevsky 2009; cs.toronto.edu/~kriz/cifar.html)."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .split import ClassificationSplit, check_classes

Labels = Literal["fine", "coarse"]
SIDE = 32
PIXELS = 3 * SIDE * SIDE  # bytes of a picture: all of its red, then green, then blue, each row by row
DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError)  # what reading a damaged archive raises


class Layout(NamedTuple):
    """One form of one of the data sets.

    Attributes:
        folder: what the published archive holds.
        archive: what it is called.
        train: files of training's pictures.
        test: files of the test's.
        names: where the classes' names are: the file, and what of it, by kind of label. In the binary form there is a
            file for each kind, in the Python form one dictionary.
        label_names: what the kinds of labels are called, in the order of a binary record's bytes.
    """

    folder: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: dict[Labels, tuple[str, str]]
    label_names: dict[Labels, str]

    @property
    def binary(self) -> bool:
        """Whether files are records of bytes and not pickled dictionaries."""
        return self.train[0].endswith(".bin")

    @property
    def files(self) -> tuple[str, ...]:
        """All that is read."""
        return (*self.train, *self.test, *dict.fromkeys(file for file, _ in self.names.values()))


LAYOUTS = (
    Layout(
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
        tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
        ("test_batch.bin",),
        {"fine": ("batches.meta.txt", "")},
        {"fine": "labels"},
    ),
    Layout(
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        tuple(f"data_batch_{k}" for k in range(1, 6)),
        ("test_batch",),
        {"fine": ("batches.meta", "label_names")},
        {"fine": "labels"},
    ),
    Layout(
        "cifar-100-binary",
        "cifar-100-binary.tar.gz",
        ("train.bin",),
        ("test.bin",),
        {"coarse": ("coarse_label_names.txt", ""), "fine": ("fine_label_names.txt", "")},
        {"coarse": "coarse_labels", "fine": "fine_labels"},
    ),
    Layout(
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        ("train",),
        ("test",),
        {"coarse": ("meta", "coarse_label_names"), "fine": ("meta", "fine_label_names")},
        {"coarse": "coarse_labels", "fine": "fine_labels"},
    ),
)


class Batch(NamedTuple):
    """Pictures ``[I, 3072]`` uint8 of one file and their labels ``[I]`` of one kind, as they are stored."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]


def read_cifar(root: Path, split: str, labels: Labels = "fine") -> ClassificationSplit:
    """Pictures of "train" or "test" and their labels.

    Args:
        root: a folder as it is published, one that holds it, or the archive.
        split: which.
        labels: CIFAR-100 has 100 classes, "fine", and 20 "coarse" ones that these belong to.

    Raises:
        DataError: there is no such data, a file of it is missing or damaged, or a label has no class.
    """
    layout, place = find(root)
    if labels not in layout.names:
        raise DataError(f"{place} is CIFAR-10, which has no {labels} labels: leave --data.labels out.")
    files = layout.train if split == "train" else layout.test
    names_file, key = layout.names[labels]
    contents = read_files(place, layout, (*files, names_file))
    classes = read_names(place / names_file, contents[names_file], key)
    check_classes(classes, place / names_file)
    batches: list[Batch] = []
    for file in files:
        read = read_records if layout.binary else read_dictionary
        batch = read(place / file, contents.pop(file), layout, labels)
        check_labels(place / file, batch.labels, len(classes))
        batches.append(Batch(as_pixels(batch.pictures), batch.labels))
    return ClassificationSplit(
        source=place,
        folder=place,
        names=np.array([f"{f}, image {k}" for f, b in zip(files, batches, strict=True) for k in range(len(b.labels))]),
        labels=np.concatenate([batch.labels for batch in batches]),
        classes=classes,
        pixels=np.concatenate([batch.pictures for batch in batches]),
    )


def find(root: Path) -> tuple[Layout, Path]:
    """Which of the layouts ``root`` is or holds, and the folder or archive itself.

    Raises:
        DataError: none, or several.
    """
    if not root.exists():
        raise DataError(f"There is no data folder {root}: pass yours with --data.root=FOLDER.")
    if root.is_file():
        found = [(layout, root) for layout in LAYOUTS if layout.folder in top_folders(root)]
    else:
        within = [(layout, root / layout.folder) for layout in LAYOUTS if (root / layout.folder).is_dir()]
        itself = [(layout, root) for layout in LAYOUTS if any((root / file).is_file() for file in layout.files)]
        packed = [(layout, root / layout.archive) for layout in LAYOUTS if (root / layout.archive).is_file()]
        found = itself or within or packed
    if not found:
        raise DataError(
            f"{root} is and holds none of {', '.join(layout.folder for layout in LAYOUTS)}: unpack one of "
            "CIFAR's archives and pass the folder with --data.root=FOLDER, or pass the archive; a folder for each "
            "class is for --data=FolderClassification."
        )
    if len(found) > 1:
        raise DataError(
            f"{root} holds {' and '.join(place.name if place != root else layout.folder for layout, place in found)}: "
            f"pass the one to take with --data.root."
        )
    return found[0]


def top_folders(archive: Path) -> set[str]:
    """The folder of the first file in ``archive``, which is that of all in an archive as published."""
    try:
        with tarfile.open(archive) as tar:
            return {member.name.split("/")[0] for member in [tar.next()] if member is not None}
    except DAMAGE as error:
        raise DataError(f"{archive} is no tar archive, or a damaged one.") from error


def read_files(place: Path, layout: Layout, files: Sequence[str]) -> dict[str, bytes]:
    """The contents of ``files`` in the folder or archive ``place``.

    Raises:
        DataError: one is missing, or the archive is damaged.
    """
    if place.is_dir():
        contents = {file: (place / file).read_bytes() for file in files if (place / file).is_file()}
    else:
        contents = unpacked(place, {f"{layout.folder}/{file}": file for file in files})
    missing = [file for file in files if file not in contents]
    if missing:
        raise DataError(f"{place} lacks {' and '.join(missing)}: unpack or download it again.")
    return contents


def unpacked(archive: Path, wanted: dict[str, str]) -> dict[str, bytes]:
    """The contents of some members of ``archive``, by what ``wanted`` calls them; in one pass, in memory."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name in wanted else None
                if file is not None:
                    contents[wanted[member.name]] = file.read()
                if len(contents) == len(wanted):
                    break
    except DAMAGE as error:
        raise DataError(f"{archive} is damaged or not whole: download it again.") from error
    return contents


def read_names(file: Path, content: bytes, key: str) -> tuple[str, ...]:
    """Names of the classes: the lines of a text, or what a pickled dictionary holds under ``key``."""
    if not key:
        try:
            return tuple(line.strip() for line in content.decode().splitlines() if line.strip())
        except UnicodeDecodeError as error:
            raise DataError(f"{file} is no text in UTF-8: {error}.") from error
    names = dictionary(file, content).get(key)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"{file} has no list of names under {key}.")
    return tuple(name.decode("latin-1") if isinstance(name, bytes) else name for name in names)


def read_records(file: Path, content: bytes, layout: Layout, labels: Labels) -> Batch:
    """The binary form: a record is a byte for each kind of label, and the picture."""
    kinds = list(layout.label_names)
    length = len(kinds) + PIXELS
    if not content or len(content) % length:
        raise DataError(f"{file} has {len(content)} bytes, which are no whole number of records of {length} bytes.")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, length)
    return Batch(records[:, len(kinds) :], records[:, kinds.index(labels)].astype(np.int64))


def read_dictionary(file: Path, content: bytes, layout: Layout, labels: Labels) -> Batch:
    """The Python form: a pickled dictionary of an array of pictures and lists of labels."""
    batch = dictionary(file, content)
    pictures, found = batch.get("data"), batch.get(layout.label_names[labels])
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.shape[1:] != (PIXELS,):
        raise DataError(f"{file} has no pictures of {PIXELS} bytes each under data.")
    if not isinstance(found, list) or not all(isinstance(label, int) and abs(label) < 2**63 for label in found):
        raise DataError(f"{file} has no list of labels under {layout.label_names[labels]}.")
    if len(found) != len(pictures):
        raise DataError(f"{file} has {len(pictures)} pictures and {len(found)} labels.")
    return Batch(pictures, np.array(found, dtype=np.int64))


def check_labels(file: Path, labels: NDArray[np.int64], classes: int) -> None:
    """Raises DataError where a label of ``file`` has no class."""
    strange = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(strange):
        raise DataError(f"{file}: image {strange[0]} has the label {labels[strange[0]]}, outside 0 … {classes - 1}.")


def as_pixels(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures as they are stored, ``[I, 3072]``, as ``[I, 32, 32, 3]`` RGB."""
    return np.ascontiguousarray(pictures.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def dictionary(file: Path, content: bytes) -> dict[str, Any]:
    """The pickled dictionary that ``content`` of ``file`` is, with strings for keys.

    Raises:
        DataError: it is something else, or holds anything that could run code.
    """
    try:
        found = PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Forbidden as error:
        raise DataError(f"{file} {error}.") from error
    except Exception as error:  # a damaged pickle can fail in any way: as a type, a value, an index, an end
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{file} is no pickle such as CIFAR's: {reason}.") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} is no file of CIFAR's: it holds a {type(found).__name__}, not a dictionary.")
    return {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}


class Forbidden(Exception):  # noqa: N818 — what it says follows the file's name
    """A pickle asks for what it must not."""


class PlainUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists, numbers, strings and arrays of bytes, and refuses what could run code."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        # NumPy 2 moved what NumPy 1, which CIFAR was written with, calls numpy.core
        allowed = {
            "numpy.core.multiarray._reconstruct": reconstruct,
            "numpy._core.multiarray._reconstruct": reconstruct,
            "numpy.ndarray": None,  # nothing but an argument of _reconstruct
            "numpy.dtype": byte_type,
            "_codecs.encode": encode,  # what Python 3 writes for bytes where Python 2 shall read them
        }
        name = f"{module_name}.{global_name}"
        if name not in allowed:
            raise Forbidden(f"asks for {name}, which CIFAR's pickles do not, and was not loaded")
        return allowed[name]


def reconstruct(*_: Any) -> NDArray[np.uint8]:
    """An empty array, which its own state then fills."""
    return np.empty(0, dtype=np.uint8)


def byte_type(name: str | bytes, *_: Any) -> np.dtype[np.uint8]:
    """NumPy's type of an array: bytes alone will do."""
    if name not in ("u1", b"u1", "uint8"):
        raise Forbidden(f"holds an array of {name!r}, which CIFAR's pickles do not, and was not loaded")
    return np.dtype(np.uint8)


def encode(text: str, *_: Any) -> bytes:
    """Bytes that were written as a string of Latin-1."""
    return text.encode("latin-1")
