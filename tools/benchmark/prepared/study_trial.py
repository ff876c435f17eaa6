"""Tries a small study on this machine: `python -m litmobile.tools.benchmark.prepared.study_trial --to FOLDER`.

It generates images, writes a plan of two tasks and three backbones from scratch, and runs `litmobile transfer` with one
cell on each GPU, or on the CPU cores of a machine without GPUs. All cells have to finish, and each must have seen one
GPU. On one GPU and 16 cores it is meant to take less than eight minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
import yaml

from ....errors import format_count
from ...cli import main as run_command
from ...sample_data import CLASSES, write_shapes
from ...transfer.plan.cells import list_cells
from ...transfer.plan.reading import read_plan
from ...transfer.store import Study

SPLITS = ("train", "val")
BACKBONES = {
    "MobileNetV2 ×.5": ["--model.backbone=MobileNetV2", "--model.backbone.width=0.5"],
    "MobileNetV3-Small": ["--model.backbone=MobileNetV3", "--model.backbone.variant=small"],
    "ShuffleNetV2 ×.5": ["--model.backbone=ShuffleNetV2", "--model.backbone.width=0.5"],
}


class Trial(NamedTuple):
    """How much is trained.

    Attributes:
        images: generated training images; a quarter of that number is for validation.
        epochs: length of each training.
        size: side of the detectors' input; half of it is the classifiers'.
        seeds: number of seeds.
        backbones: names from :data:`BACKBONES`.
    """

    images: int = 300
    epochs: int = 6
    size: int = 160
    seeds: int = 2
    backbones: Sequence[str] = tuple(BACKBONES)


def run(folder: Path, trial: Trial = Trial()) -> None:  # noqa: B008 — immutable
    """Runs the study in ``folder``, continues one that is there already, and prints how long it took.

    Raises:
        SystemExit: a cell failed, or did not have one GPU.
    """
    data = folder / "data"
    write_shapes(data / "scenes", train=trial.images, val=max(1, trial.images // 4))
    for split in SPLITS:
        cut_objects(data / "scenes", split, data / "objects" / split)
    plan = folder / "plan.yaml"
    plan.write_text(yaml.safe_dump(make_plan(data, trial), sort_keys=False, allow_unicode=True), encoding="utf-8")
    start = time.monotonic()
    run_command(["transfer", str(plan), "--to", str(folder / "study")])
    seconds = time.monotonic() - start
    print(summarise(folder / "study", plan, torch.cuda.device_count(), seconds))


def cut_objects(scenes: Path, split: str, target: Path) -> None:
    """Writes each object of a split of the generated images as an image in ``target/CLASS``."""
    annotations = json.loads((scenes / "annotations" / f"instances_{split}.json").read_text(encoding="utf-8"))
    files = {image["id"]: scenes / split / image["file_name"] for image in annotations["images"]}
    for name in CLASSES.values():
        (target / name).mkdir(parents=True, exist_ok=True)
    for number, entry in enumerate(annotations["annotations"]):
        x, y, width, height = (round(value) for value in entry["bbox"])
        image = cv2.imread(str(files[entry["image_id"]]))
        assert image is not None  # written above
        cv2.imwrite(str(target / CLASSES[entry["category_id"]] / f"{number}.png"), image[y : y + height, x : x + width])


def make_plan(data: Path, trial: Trial) -> dict[str, Any]:
    """Returns the content of the plan."""
    common = [f"--trainer.max_epochs={trial.epochs}", "--data.batch_size=16", "--model.warmup_steps=20"]
    sizes = {"scenes": trial.size, "objects": trial.size // 2}
    recipes = {"scenes": "detection/finetune", "objects": "classification/finetune"}
    tasks = {
        name: {
            "recipe": recipe,
            "options": [
                f"--data.root={data / name}",
                f"--model.preprocessing.size=[{sizes[name]},{sizes[name]}]",
                *common,
            ],
        }
        for name, recipe in recipes.items()
    }
    return {
        "tasks": tasks,
        "backbones": {name: {"options": BACKBONES[name]} for name in trial.backbones},
        "cells": [{"backbones": "all", "protocols": ["scratch"], "seeds": list(range(trial.seeds))}],
    }


def summarise(folder: Path, plan: Path, gpus: int, seconds: float) -> str:
    """Returns what the study took.

    Args:
        folder: the study.
        plan: its plan.
        gpus: number of GPUs of this machine.
        seconds: that the study took.

    Raises:
        SystemExit: a cell is missing, or had not one GPU on a machine with GPUs.
    """
    records = Study(folder).read_cells().values()
    expected = len(list_cells(read_plan(plan)))
    if len(records) != expected:
        sys.exit(f"litmobile: {len(records)} of {format_count(expected, 'cells')} are finished.")
    wrong = [record for record in records if gpus and len(record["gpus"]) != 1]
    if wrong:
        counted = format_count(len(wrong), "cells")
        sys.exit(f"litmobile: {counted} did not have one GPU, such as {wrong[0]['hash']}: {wrong[0]['gpus']}.")
    where = f"each on one of {format_count(gpus, 'GPUs')}" if gpus else "on CPU cores"
    trained = sum(record["seconds"] for record in records)
    return f"{format_count(expected, 'cells')}, {where}, took {seconds:.0f} s; the cells took {trained:.0f} s together."


def main(words: Sequence[str] | None = None) -> None:
    """Runs the trial that the command line describes."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark.prepared.study_trial", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="for data, plan and study")
    run(parser.parse_args(words).to)


if __name__ == "__main__":
    main()
