"""Reads what a run's folder says about one evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import EvaluationError
from ...tasks.evidence import Evidence, load_evidence
from ...tasks.history import FIGURES, METRICS, Row, read_entries, read_rows
from ...tasks.run import CONFIG
from ..compare.sources import KINDS


class Example(NamedTuple):
    """A picture of an evaluated image, truth beside prediction.

    Attributes:
        kind: "worst", "best" or "label_error".
        name: file name of the image.
        caption: what is right and wrong.
        picture: content of a JPEG file.
    """

    kind: str
    name: str
    caption: str
    picture: bytes


@dataclass(frozen=True)
class Contents:
    """What a page is made of.

    Attributes:
        folder: the run's folder.
        split: "val" or "test".
        evidence: what the evaluation kept of each image.
        identity: what was evaluated, with hashes and versions.
        configuration: the run's options as YAML; empty without a run.
        steps: rows of ``metrics.csv``.
        validations: entries of ``metrics.json``.
        examples: pictures of evaluated images.
    """

    folder: Path
    split: str
    evidence: Evidence
    identity: dict[str, Any]
    configuration: str
    steps: list[Row]
    validations: list[dict[str, Any]]
    examples: list[Example]


def find_evidence(folder: Path, split: str) -> Path:
    """Returns the path of the evidence of an evaluation."""
    return folder / f"{split}-evidence.npz"


def read_contents(folder: Path, split: str) -> Contents:
    """Reads a run's folder, or one that ``litmobile evaluate`` wrote. Only the evidence has to be there.

    Raises:
        EvaluationError: the folder has no evidence of this split, or it is damaged.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder} does not exist; pass the folder of a run.")
    stored = load_evidence(find_evidence(folder, split), KINDS)
    config, metrics, figures = (folder / name for name in (CONFIG, METRICS, FIGURES))
    return Contents(
        folder=folder,
        split=split,
        evidence=stored.evidence,
        identity=stored.identity,
        configuration=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        steps=read_rows(metrics)[0] if metrics.is_file() else [],
        validations=read_entries(figures)[0] if figures.is_file() else [],
        examples=read_examples(folder, split),
    )


def read_examples(folder: Path, split: str) -> list[Example]:
    """Reads the pictures that an evaluation left; none if their list is missing or damaged.

    Pictures outside of ``folder`` are left out: the list of a foreign run could name any file.
    """
    file, root = folder / f"{split}-examples.json", folder.resolve()
    try:
        rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        found = [(row["kind"], row["name"], row["caption"], (folder / row["file"]).resolve()) for row in rows]
    except (ValueError, KeyError, TypeError):
        return []
    return [
        Example(kind, name, caption, path.read_bytes())
        for kind, name, caption, path in found
        if path.is_relative_to(root) and path.is_file()
    ]
