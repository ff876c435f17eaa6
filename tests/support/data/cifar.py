"""CIFAR's Python files with a few images each, in exactly the published format."""

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


def compute_pixel(batch: int, image: int, row: int, column: int, channel: int) -> int:
    """Return the value of a pixel, which differs between neighbours, channels and images."""
    return (batch * 31 + image * 17 + row * 5 + column * 3 + channel * 71) % 256


def make_planes(batch: int, count: int) -> np.ndarray:
    """Return images ``[count, 3072]`` in CIFAR's order: channel, row, column."""
    image, channel, row, column = np.meshgrid(*(np.arange(n) for n in (count, 3, 32, 32)), indexing="ij")
    return compute_pixel(batch, image, row, column, channel).astype(np.uint8).reshape(count, -1)


def write_cifar(root: Path, form: str, count: int = 20) -> Path:
    """Write the folder ``form`` into ``root``.

    Image k of a batch has label k % 10 in CIFAR-10, and coarse label k % 20 and fine label 5·(k % 20) in CIFAR-100.
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
        content = {"batch_label": name, "data": make_planes(batch, count), **labels}
        (folder / name).write_bytes(dump_python_2(content))
    (folder / data_set.meta["filename"]).write_bytes(dump_python_2(names))
    return folder


def pack_cifar(folder: Path) -> Path:
    """Write an archive of ``folder`` next to it."""
    archive = folder.parent / DATA_SETS[folder.name].filename
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(folder, folder.name)
    return archive


def patch_checksums(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Make torchvision expect the checksums of this folder or archive."""
    data_set = DATA_SETS.get(path.name) or next(kind for kind in DATA_SETS.values() if kind.filename == path.name)
    if path.is_file():
        patch.setattr(data_set, "tgz_md5", compute_md5(path))
        return
    for files in ("train_list", "test_list"):
        patch.setattr(data_set, files, [[name, compute_md5(path / name)] for name, _ in getattr(data_set, files)])
    patch.setattr(data_set, "meta", data_set.meta | {"md5": compute_md5(path / data_set.meta["filename"])})


def compute_md5(file: Path) -> str:
    """Return the MD5 checksum of ``file``."""
    return hashlib.md5(file.read_bytes()).hexdigest()


def dump_python_2(value: object) -> bytes:
    """Pickle as Python 2 and NumPy 1 did, with byte strings, which Python 3 cannot write."""
    return b"\x80\x02" + encode_element(value) + b"."


def encode_element(value: object) -> bytes:
    """Return the opcodes that build ``value``."""
    if isinstance(value, str):
        return b"U" + pack("<B", len(value)) + value.encode()
    if isinstance(value, int):
        return b"J" + pack("<i", value)
    if isinstance(value, dict):
        return b"}(" + b"".join(encode_element(k) + encode_element(v) for k, v in value.items()) + b"u"
    if isinstance(value, Sequence):
        return b"](" + b"".join(encode_element(entry) for entry in value) + b"e"
    assert isinstance(value, np.ndarray)
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\n" + encode_element(value.dtype.str[1:]) + b"K\x00K\x01\x87R"
    kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(encode_element(side) for side in value.shape) + b"t"
    data = value.tobytes()
    return empty + b"(K\x01" + shape + kind + b"\x89T" + pack("<i", len(data)) + data + b"tb"
