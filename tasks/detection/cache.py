"""Parsed annotations, stored in files that processes and later starts map into memory."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from ..data.cache import cache_folder, load_array
from .evaluation.ground_truth import GroundTruth
from .split import DetectionSplit

VERSION = 2  # to be raised when a reader changes what it makes of a file
FACTS = "facts.json"


def annotation_key(content: bytes, *options: object) -> str:
    """Returns the name under which the split in a file of this ``content`` is stored, read with ``options``."""
    digest = blake2b(content, digest_size=16)
    digest.update(repr((VERSION, *options)).encode())
    return digest.hexdigest()


def load_split(key: str, source: Path) -> DetectionSplit | None:
    """Returns the stored split of ``key`` with its arrays mapped into memory; None if it is not stored, or damaged.

    Its folder is that of ``source``, because the images may have been moved since.
    """
    stored = cache_folder("annotations") / key
    try:
        facts = json.loads((stored / FACTS).read_text(encoding="utf-8"))
        arrays = {name: load_array(stored / f"{name}.npy") for name in facts["arrays"]}
        truth = {name.removeprefix("truth-"): array for name, array in arrays.items() if name.startswith("truth-")}
        own = {name: array for name, array in arrays.items() if not name.startswith("truth-")}
        classes, notes = tuple(facts["classes"]), tuple(facts["notes"])
        ground_truth = GroundTruth(classes=classes, **truth)
        return DetectionSplit(
            source=source, folder=source.parent, classes=classes, notes=notes, ground_truth=ground_truth, **own
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_split(key: str, split: DetectionSplit) -> DetectionSplit:
    """Stores ``split`` and returns it with its arrays mapped into memory; without room on the disk, as it is."""
    parent = cache_folder("annotations")
    truth = {f"truth-{field.name}": getattr(split.ground_truth, field.name) for field in fields(GroundTruth)}
    own = {field.name: getattr(split, field.name) for field in fields(split)}
    arrays = {name: value for name, value in (own | truth).items() if isinstance(value, np.ndarray)}
    try:
        parent.mkdir(parents=True, exist_ok=True)
        part = Path(mkdtemp(prefix=f".{key}.", dir=parent))
    except OSError:
        return split
    try:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        facts = {"classes": split.classes, "notes": split.notes, "arrays": list(arrays)}
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        os.rename(part, parent / key)  # noqa: PTH104 — fails if another process was first, whose files are equal
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
    stored = load_split(key, split.source)
    return split if stored is None else replace(stored, folder=split.folder)
