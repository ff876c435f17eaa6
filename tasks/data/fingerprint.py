"""Fingerprints of splits, which tell a resumed or evaluated run whether its data changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from .files import format_list

if TYPE_CHECKING:
    from .split import Split  # imports torch, which readers of evidence do not need


class Fingerprint(TypedDict):
    """What identifies a split, of plain types for a checkpoint.

    The folder is not part of it, so data may move.
    """

    images: int
    classes: list[str]
    names: str
    annotations: str


def take_fingerprint(split: Split) -> Fingerprint:
    """Hashes the names of the images and all arrays of the annotations; images and masks are not read."""
    arrays = [array for name, array in iterate_arrays(split) if name != "names"]
    return Fingerprint(
        images=len(split), classes=list(split.classes), names=hash_arrays(split.names), annotations=hash_arrays(*arrays)
    )


def iterate_arrays(data: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the arrays in the fields of a dataclass, also in those of nested ones, with the names of the fields."""
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray):
            yield field.name, value
        elif is_dataclass(value):
            yield from ((f"{field.name}.{name}", array) for name, array in iterate_arrays(value))


def hash_arrays(*arrays: np.ndarray) -> str:
    """Returns a hash of contents, types and shapes."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def describe_changes(before: Fingerprint, now: Fingerprint) -> str:
    """Describes how a split differs from an earlier fingerprint; "" if it does not."""
    changes: list[str] = []
    if now["images"] != before["images"]:
        changes.append(f"{now['images']} images instead of {before['images']}")
    elif now["names"] != before["names"]:
        changes.append("other image files or another order")
    if now["classes"] != before["classes"]:
        changes.append(f"the classes {format_list(now['classes'])} instead of {format_list(before['classes'])}")
    if now["annotations"] != before["annotations"]:
        changes.append("other annotations")
    return ", ".join(changes)
