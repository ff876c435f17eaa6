"""Tiny studies on generated images, and a launcher that runs cells in the process of the test."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
import yaml

from litmobile.backbones import MobileNetV2
from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.evidence import evidence_path, save_evidence
from litmobile.tools.transfer.launchers.launcher import End
from litmobile.tools.transfer.live import LiveView, Progress
from litmobile.tools.transfer.plan.cells import Cell, Group, list_cells
from litmobile.tools.transfer.plan.contents import BackbonePlan, Block, Plan, TaskPlan
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.race import Race
from litmobile.tools.transfer.resolve import PlanCLI, ResolvedCell, Resolver
from litmobile.tools.transfer.run_cell import run_cell
from litmobile.tools.transfer.runner import Runner
from litmobile.tools.transfer.schedule import Schedule
from litmobile.tools.transfer.store import Study

from .data.images import write_class_folders

#: a plan of two trainings from scratch and one from weights; :func:`write_plan` adds data and weights
PLAN: dict[str, Any] = {
    "tasks": {
        "tones": {
            "recipe": "classification/finetune",
            "options": [
                "--model.preprocessing.size=[32,32]",
                "--data.batch_size=4",
                "--trainer.max_epochs=2",
                "--trainer.accelerator=cpu",
                "--trainer.log_every_n_steps=1",
            ],
        }
    },
    "backbones": {
        "V2": {"options": ["--model.backbone=MobileNetV2", "--model.backbone.width=0.35"]},
        "V1": {"options": ["--model.backbone=MobileNetV1", "--model.backbone.width=0.25"]},
    },
    "cells": [{"backbones": "all", "protocols": ["scratch"]}, {"backbones": ["V2"], "protocols": ["full"]}],
}


def write_tones(root: Path) -> None:
    """Write images of two classes, and weights of the backbone V2, into the folder ``root``."""
    for split, images in (("train", 8), ("val", 4), ("test", 4)):
        write_class_folders(root / split, images)
    torch.manual_seed(0)
    torch.save(MobileNetV2(width=0.35).state_dict(), root / "v2.pth")


def write_plan(path: Path, root: Path, changes: dict[str, Any] | None = None) -> Path:
    """Write :data:`PLAN` for the data in ``root`` to ``path``.

    Args:
        path: the file.
        root: folder of :func:`write_tones`.
        changes: values by keys that are joined by dots; None removes a key. A value that follows "+" is added to a
            list.
    """
    content = copy.deepcopy(PLAN)
    content["tasks"]["tones"]["options"].append(f"--data.root={root}")
    content["backbones"]["V2"]["weights"] = str(root / "v2.pth")
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        elif isinstance(value, str) and value.startswith("+"):
            place[last] = [*place[last], value[1:]]
        else:
            place[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


class CachingResolver(Resolver):
    """Parses equal options once in all tests of this process, because that takes most of a tiny study's time."""

    parsed: ClassVar[dict[tuple[str, ...], PlanCLI]] = {}

    def parse(self, group: Group) -> PlanCLI:
        words = tuple(self.words(group))
        if words not in self.parsed:
            self.parsed[words] = super().parse(group)
        return self.parsed[words]


def pretend(study: Study, digest: str, workers: int | None) -> int:
    """Finish a cell without a training; its figure follows from its hash. Use it in place of ``run_cell``."""
    request = json.loads((study.work_folder(digest) / "request.json").read_text())
    value = int(digest, 16) % 1000 / 1000
    figures = {request["main_figure"]: value}
    described = {key: request[key] for key in ("cell", "main_figure")}
    study.finish(digest, described | {"figures": figures, "value": value, "seconds": 1.0}, {}, [])
    return 0


class DirectLauncher:
    """Runs each cell at once in this process.

    Args:
        study: the study.
        run: runs a cell, and returns its exit status.

    Attributes:
        started: hashes of the cells, in their order.
    """

    slots = 1

    def __init__(self, study: Study, run: Callable[[Study, str, int | None], int] = run_cell) -> None:
        self.study = study
        self.run = run
        self.started: list[str] = []
        self._ends: list[End] = []

    def start(self, digest: str) -> None:
        self.started.append(digest)
        self._ends.append(End(digest, self.run(self.study, digest, 0)))

    def wait(self, seconds: float) -> list[End]:
        ends, self._ends = self._ends, []
        return ends

    def close(self) -> None:
        """Nothing runs any more."""


class PlainResolver:
    """Resolves cells without configurations, in microseconds.

    Args:
        plan: the plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def resolve(self, cell: Cell) -> ResolvedCell:
        """Return the cell with a hash of its values."""
        digest = hashlib.blake2b(repr(cell).encode(), digest_size=10).hexdigest()
        figure = "knn5" if cell.is_probe else "top1"
        return ResolvedCell(cell, {"trainer": {}}, digest, "val", figure, (), {})


def make_plan(blocks: Sequence[Block], **options: Any) -> Plan:
    """Return a plan of the task "tones" with all backbones of the blocks, which have weights."""
    names = {name for block in blocks for name in block.backbones}
    backbones = {name: BackbonePlan(name, weights="weights") for name in sorted(names)}
    return Plan({"tones": TaskPlan("tones", "recipe")}, backbones, tuple(blocks), **options)


def make_schedule(plan: Plan, study: Study, races: bool = False) -> Schedule:
    """Return a schedule whose cells are resolved by :class:`PlainResolver`."""
    cells = list_cells(plan)
    resolver = cast(Resolver, PlainResolver(plan))
    return Schedule(resolver, study, cells, Race(study, cells) if races else None)


def finish_cell(study: Study, entry: ResolvedCell, right: Sequence[bool]) -> None:
    """Store a cell as finished, whose classifier is right in some images.

    Args:
        study: the study.
        entry: the cell.
        right: whether it is right, for each image; their classes alternate.
    """
    labels = np.arange(len(right), dtype=np.int32) % 2
    predicted = np.where(right, labels, 1 - labels)
    evidence = ClassificationEvidence(
        classes=("dark", "light"),
        names=tuple(f"{number}.png" for number in range(len(right))),
        scores=np.eye(2, dtype=np.float32)[predicted],
        ranking=np.column_stack((predicted, 1 - predicted)).astype(np.int32),
        labels=labels,
    )
    path = evidence_path(study.run_folder(entry.hash), entry.split)
    save_evidence(path, evidence, {})
    figure = "mean_recall" if entry.cell.is_probe else "top1"
    value = float(evidence.figures(np.ones((1, len(right))), [figure])[figure][0])
    described = {"cell": entry.cell.as_dict(), "split": entry.split, "main_figure": entry.main_figure}
    study.finish(entry.hash, described | {"figures": {}, "value": value, "seconds": 1.0}, entry.config, [path])


def run_study(
    plan: Path, folder: Path, run: Callable[[Study, str, int | None], int] = run_cell
) -> tuple[Schedule, DirectLauncher, str]:
    """Run a study in this process; returns its schedule, its launcher and what was printed.

    Args:
        plan: its plan.
        folder: its folder.
        run: runs a cell, see :class:`DirectLauncher`.
    """
    study = Study(folder)
    resolver = CachingResolver(read_plan(plan))
    schedule = Schedule(resolver, study, list_cells(resolver.plan))
    launcher, printed = DirectLauncher(study, run), io.StringIO()
    study.adopt(plan, schedule.list_hashes())
    Runner(schedule, study, launcher, LiveView(study, Progress(schedule.known, 1), printed)).run()
    return schedule, launcher, printed.getvalue()


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the contents of all finished cells of a study by hash."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("cells/*/cell.json")}


def read_figures(folder: Path) -> dict[str, dict[str, float | None]]:
    """Return the figures of all finished cells of a study by hash."""
    return {digest: record["figures"] for digest, record in read_records(folder).items()}
