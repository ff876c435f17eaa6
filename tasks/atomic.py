"""Writes files so that a reader, or the next start after a kill, never finds half of one."""

from __future__ import annotations

import csv
import io
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checksum import append_checksum
from ..errors import CheckpointError

PART = ".part"  # end of the names of files that are being written
STREAMS = (Path("/dev"), Path("/dev/fd"))  # folders of standard output and of pipes
MINUTE, DAY = 60.0, 86_400.0


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields the path of a new file beside ``path``, which replaces ``path`` at the end of the block.

    If the block fails, ``path`` stays as it was. The name of the new file ends in ".part" and contains a random number,
    so that two processes do not write to one file, and nobody can place a link there first. A device such as
    ``/dev/stdout`` is not replaced: the block writes to it.

    Raises:
        OSError: the file cannot be written; its ``filename`` is ``path``.
    """
    is_device = path.is_char_device() or path.absolute().parent in STREAMS
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path if is_device else path.with_name(f".{path.name}.{secrets.token_hex(8)}{PART}")
    try:
        yield part
        if not is_device:
            part.replace(path)
    except OSError as error:
        if error.filename in (None, str(part)):  # a full disk has no name, and users do not know the part
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if not is_device:
            part.unlink(missing_ok=True)


def remove_old_parts(folder: Path, name: str, seconds: float = MINUTE) -> None:
    """Removes files in ``folder`` that a killed process did not finish.

    Args:
        folder: may be missing.
        name: pattern of the finished files' names, e.g. "val*".
        seconds: time without a change after which no living process can be writing the file.
    """
    for part in folder.glob(f".{name}{PART}"):
        with suppress(OSError):  # another process has just finished or removed it
            if time.time() - part.lstat().st_mtime > seconds:
                part.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes ``content`` to ``path``, at once or not at all."""
    with replace_file(path) as part:
        part.write_bytes(content)


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Writes ``content`` with a checksum, beside an old file and then in its place, so no reader sees half a file.

    Raises:
        CheckpointError: the file could not be written.
    """
    import torch  # takes a second, which comparisons and other readers of results do not need

    archive = io.BytesIO()
    torch.save(content, archive)
    append_checksum(archive)
    try:
        with replace_file(path) as part, part.open("wb") as file:
            file.write(archive.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        previous = "the previous one is intact" if path.is_file() else "there is no previous one"
        raise CheckpointError(f"{path} could not be written ({error.strerror}); {previous}.") from error


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` to ``path`` as UTF-8, at once or not at all."""
    write_bytes(path, text.encode())


def write_table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Writes ``rows``, header included, to ``path`` as CSV, at once or not at all."""
    table = io.StringIO(newline="")
    csv.writer(table).writerows(rows)
    write_text(path, table.getvalue())


def save_image(image: NDArray[np.uint8], path: Path) -> None:
    """Writes ``image`` ``[H, W, 3]`` RGB to ``path`` in the format of its suffix, at once or not at all.

    Raises:
        OSError: the format cannot hold the image, or the file cannot be written.
    """
    is_encoded, content = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not is_encoded:
        raise OSError(f"{path} cannot be written as an image of {image.shape[1]}×{image.shape[0]} pixels.")
    write_bytes(path, content.tobytes())
