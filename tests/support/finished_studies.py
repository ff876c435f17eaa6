"""Studies whose cells are finished without any training: evidence is drawn at random around a skill."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.evidence import Evidence, evidence_path, save_evidence
from litmobile.tools.transfer.plan.contents import Plan
from litmobile.tools.transfer.plan.protocols import PROTOCOLS
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.store import Study

CLASSES = ("ant", "bee", "fly")
IMAGES = 120
#: options of the model of each backbone
BACKBONES: dict[str, dict[str, Any]] = {
    "V1": {"class_path": "litmobile.backbones.MobileNetV1", "init_args": {"width": 0.25}},
    "V2": {"class_path": "litmobile.backbones.MobileNetV2", "init_args": {"width": 0.35}},
    "Shuffle": {"class_path": "litmobile.backbones.ShuffleNetV2", "init_args": {"width": 0.5}},
    "Own": {"class_path": "litmobile.backbones.EffNet", "init_args": {"width": 0.5, "extended": True}},
}
#: probability of a right answer, beside what task and protocol add
SKILLS = {"V1": 0.60, "V2": 0.75, "Shuffle": 0.55, "Own": 0.50}
GAINS = {"scratch": 0.0, "full": 0.2, "knn": 0.05, "ridge": 0.1, "frozen": 0.1, "norms": 0.15}
PLAN: dict[str, Any] = {
    "tasks": {name: {"recipe": "classification/finetune"} for name in ("insects", "leaves")},
    "backbones": {
        name: {"options": [f"--model.backbone={entry['class_path']}"], "weights": "imagenet"}
        for name, entry in BACKBONES.items()
    },
    "cells": [
        {"backbones": "all", "protocols": ["scratch", "full"], "seeds": [0, 1, 2]},
        {"backbones": ["V1", "V2"], "protocols": ["full"], "shares": [0.1, 0.25], "seeds": [0, 1, 2]},
        {"backbones": "all", "protocols": ["knn", "ridge"]},
    ],
}


def write_study(folder: Path, changes: Mapping[str, Any] | None = None) -> tuple[Study, Plan]:
    """Write a plan and all its cells.

    Args:
        folder: of the study.
        changes: keys of the plan to replace.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump(PLAN | dict(changes or {}), sort_keys=False), encoding="utf-8")
    plan, study = read_plan(file), Study(folder)
    for block in plan.blocks:
        for task in block.tasks:
            for backbone in block.backbones:
                for protocol in block.protocols:
                    for share in block.shares:
                        for seed in block.seeds if not PROTOCOLS[protocol].is_probe else block.seeds[:1]:
                            write_cell(study, task, backbone, protocol, share, seed)
    return study, plan


def write_cell(
    study: Study,
    task: str,
    backbone: str,
    protocol: str,
    share: float = 1.0,
    seed: int = 0,
    skill: float | None = None,
    evidence: Evidence | None = None,
    rate: float | None = None,
) -> str:
    """Write a finished cell, and return its hash; with a ``rate``, it is a trial of this learning rate."""
    key = f"{task}/{backbone}/{protocol}/{share}/{seed}/{rate}"
    digest = hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
    if skill is None:
        skill = SKILLS.get(backbone, 0.6) + GAINS[protocol] - 0.2 * (1 - share)
    if evidence is None:
        evidence = make_evidence(skill, int(digest[:8], 16))
    is_probe = PROTOCOLS[protocol].is_probe
    figure = "mean_recall" if is_probe else evidence.figure_names[0]
    figures = {name: float(evidence.figures(np.ones((1, len(evidence.names))), [name])[name][0]) for name in (figure,)}
    weights = "imagenet" if PROTOCOLS[protocol].needs_weights else None
    record = {
        "cell": {
            "task": task,
            "backbone": backbone,
            "weights": weights,
            "protocol": protocol,
            "share": share,
            "seed": seed,
            "learning_rate": None if is_probe else rate or 0.002,
            "role": "learning rate" if rate else "main",
        },
        "split": "val",
        "main_figure": protocol if is_probe else figure,
        "data": {},
        "weights_hash": weights,
        "figures": figures,
        "value": figures[figure],
        "seconds": 60.0,
        "commit": "0" * 40,
        "versions": {"torch": "2.8"},
    }
    folder = study.folder / "work" / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    path = evidence_path(folder, "val")
    save_evidence(path, evidence, {"split": "val"})
    study.finish(digest, record, make_config(backbone), [] if rate else [path])
    return digest


def make_config(backbone: str) -> dict[str, Any]:
    """Return the configuration of a cell, as far as reports read it."""
    model = {"backbone": BACKBONES.get(backbone), "preprocessing": {"size": [32, 32]}}
    return {"model": {"class_path": "litmobile.tasks.classification.ClassificationTask", "init_args": model}}


def make_evidence(skill: float, seed: int, images: int = IMAGES) -> ClassificationEvidence:
    """Return evidence of a classifier that is right with probability ``skill``; some images are hard for all."""
    shared = np.random.default_rng(0)
    labels = shared.integers(0, len(CLASSES), images)
    hardness = shared.normal(0, 0.1, images)
    random = np.random.default_rng(seed)
    is_right = random.random(images) < np.clip(skill + hardness + random.normal(0, 0.02), 0, 1)
    guesses = np.where(is_right, labels, (labels + random.integers(1, len(CLASSES), images)) % len(CLASSES))
    scores = np.full((images, len(CLASSES)), 0.1)
    scores[np.arange(images), guesses] = 0.8
    return ClassificationEvidence(
        classes=CLASSES,
        names=tuple(f"{k}.jpg" for k in range(images)),
        scores=scores.astype(np.float32),
        ranking=np.argsort(-scores, axis=1, kind="stable").astype(np.int32),
        labels=labels.astype(np.int32),
    )
