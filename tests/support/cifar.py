"""CIFAR's Python files with a few images each, to the byte as they are published."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COARSE = tuple(f"group {k}" for k in range(20))
FINE = tuple(f"kind {k}" for k in range(100))
DATA_SETS = {"cifar-10-batches-py": CIFAR10, "cifar-100-python": CIFAR100}


def pixel(batch: int, image: int, row: int, column: int, channel: int) -> int:
    """Value of the images: different everywhere."""
    return (batch * 31 + image * 17 + row * 5 + column * 3 + channel * 71) % 256


def planes(batch: int, count: int) -> np.ndarray:
    """Images ``[count, 3072]`` as CIFAR stores them: channel, row, column."""
    image, channel, row, column = np.meshgrid(*(np.arange(n) for n in (count, 3, 32, 32)), indexing="ij")
    return pixel(batch, image, row, column, channel).astype(np.uint8).reshape(count, -1)


def write_cifar(root: Path, form: str, count: int = 20) -> Path:
    """Writes the folder ``form`` into ``root``.

    Image k of a batch has label k % 10 of ten, or of a hundred the coarse one k % 20 and the fine one 5·(k % 20).
    """
    folder = root / form
    folder.mkdir(parents=True)
    data_set = DATA_SETS[form]
    coarse = [k % 20 for k in range(count)]
    labels = {"coarse_labels": coarse, "fine_labels": [5 * label for label in coarse]}
    names = {"fine_label_names": list(FINE), "coarse_label_names": list(COARSE)}
    if data_set is CIFAR10:
        labels, names = {"labels": [k % 10 for k in range(count)]}, {"label_names": list(TEN)}
    for batch, (name, _) in enumerate((*data_set.train_list, *data_set.test_list)):
        content = {"batch_label": name, "data": planes(batch, count), **labels}
        (folder / name).write_bytes(python_2_pickle(content))
    (folder / data_set.meta["filename"]).write_bytes(python_2_pickle(names))
    return folder


def pack_cifar(folder: Path) -> Path:
    """Writes the archive that contains ``folder``, beside it."""
    archive = folder.parent / DATA_SETS[folder.name].filename
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(folder, folder.name)
    return archive


def publish(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Makes the checksums of a folder or an archive the published ones."""
    data_set = DATA_SETS.get(path.name) or next(kind for kind in DATA_SETS.values() if kind.filename == path.name)
    if path.is_file():
        patch.setattr(data_set, "tgz_md5", md5(path))
        return
    for files in ("train_list", "test_list"):
        patch.setattr(data_set, files, [[name, md5(path / name)] for name, _ in getattr(data_set, files)])
    patch.setattr(data_set, "meta", data_set.meta | {"md5": md5(path / data_set.meta["filename"])})


def md5(file: Path) -> str:
    """The checksum of ``file``, as torchvision names it."""
    return hashlib.md5(file.read_bytes()).hexdigest()


def python_2_pickle(value: object) -> bytes:
    """Protocol 2 as Python 2 and NumPy 1 wrote it, which Python 3 cannot be made to write: strings are bytes."""
    return b"\x80\x02" + element(value) + b"."


def element(value: object) -> bytes:
    """The opcodes that build ``value``."""
    if isinstance(value, str):
        return b"U" + pack("<B", len(value)) + value.encode()
    if isinstance(value, int):
        return b"J" + pack("<i", value)
    if isinstance(value, dict):
        return b"}(" + b"".join(element(k) + element(v) for k, v in value.items()) + b"u"
    if isinstance(value, Sequence):
        return b"](" + b"".join(element(entry) for entry in value) + b"e"
    assert isinstance(value, np.ndarray)
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\n" + element(value.dtype.str[1:]) + b"K\x00K\x01\x87R"
    kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(element(side) for side in value.shape) + b"t"
    data = value.tobytes()
    return empty + b"(K\x01" + shape + kind + b"\x89T" + pack("<i", len(data)) + data + b"tb"
