"""CIFAR's files with a few pictures each, to the byte in the forms that they are published in."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from struct import pack

import numpy as np

TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COARSE = tuple(f"group {k}" for k in range(20))
FINE = tuple(f"kind {k}" for k in range(100))
BATCHES_OF_TEN = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
ARCHIVES = {
    "cifar-10-batches-bin": "cifar-10-binary.tar.gz",
    "cifar-10-batches-py": "cifar-10-python.tar.gz",
    "cifar-100-binary": "cifar-100-binary.tar.gz",
    "cifar-100-python": "cifar-100-python.tar.gz",
}


def pixel(batch: int, image: int, row: int, column: int, channel: int) -> int:
    """What the pictures hold: something else everywhere."""
    return (batch * 31 + image * 17 + row * 5 + column * 3 + channel * 71) % 256


def planes(batch: int, count: int) -> np.ndarray:
    """Pictures ``[count, 3072]`` as CIFAR stores them: channel, row, column."""
    image, channel, row, column = np.meshgrid(*(np.arange(n) for n in (count, 3, 32, 32)), indexing="ij")
    return pixel(batch, image, row, column, channel).astype(np.uint8).reshape(count, -1)


def write_cifar(root: Path, form: str, count: int = 20) -> Path:
    """Write the folder ``form`` into ``root``.

    Image k of a batch has label k % 10 of ten, or of a hundred the coarse one k % 20 and the fine one 5·(k % 20).
    """
    folder = root / form
    folder.mkdir(parents=True)
    ten = "cifar-10-" in form
    coarse = [k % 20 for k in range(count)]
    fine = [k % 10 if ten else 5 * (k % 20) for k in range(count)]
    kinds = {"labels": fine} if ten else {"coarse_labels": coarse, "fine_labels": fine}
    for batch, name in enumerate(BATCHES_OF_TEN if ten else ["train", "test"]):
        if form.endswith(("bin", "binary")):
            labels = np.array(list(kinds.values()), dtype=np.uint8).T
            (folder / f"{name}.bin").write_bytes(np.concatenate((labels, planes(batch, count)), axis=1).tobytes())
        else:
            (folder / name).write_bytes(python_2_pickle({"batch_label": name, "data": planes(batch, count), **kinds}))
    if form == "cifar-10-batches-bin":
        (folder / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")
    elif form == "cifar-10-batches-py":
        (folder / "batches.meta").write_bytes(python_2_pickle({"num_vis": 3072, "label_names": list(TEN)}))
    elif form == "cifar-100-binary":
        (folder / "coarse_label_names.txt").write_text("\n".join(COARSE) + "\n")
        (folder / "fine_label_names.txt").write_text("\n".join(FINE) + "\n")
    else:
        content = {"fine_label_names": list(FINE), "coarse_label_names": list(COARSE)}
        (folder / "meta").write_bytes(python_2_pickle(content))
    return folder


def pack_cifar(folder: Path) -> Path:
    """Write the archive that holds ``folder``, beside it."""
    archive = folder.parent / ARCHIVES[folder.name]
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(folder, folder.name)
    return archive


def python_2_pickle(value: object) -> bytes:
    """Protocol 2 as Python 2 and NumPy 1 wrote it, which Python 3 cannot be made to write: strings are bytes."""
    return b"\x80\x02" + element(value) + b"."


def element(value: object) -> bytes:
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
