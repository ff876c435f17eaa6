"""`litmobile inspect`: the data of a training looked at before it trains, with the options of `litmobile fit`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from ...errors import DataError, TaskError, UserError
from ...tasks.classification import ClassificationDataModule
from ...tasks.detection import DetectionDataModule
from ...tasks.preprocessing import Preprocessing
from ...tasks.segmentation import SegmentationDataModule
from ...tasks.task import Task
from .. import configurations
from ..parser_errors import sentence
from ..training import KINDS, RunCLI, stored_config, take_option
from . import classification_tables, detection_tables, segmentation_tables
from .classification import ClassificationInspection, inspect_classification
from .detection import Inspection, inspect_detection
from .segmentation import SegmentationInspection, inspect_segmentation

DESCRIPTION = (
    "Looks at the data of a training: objects, classes or their pixels, sizes, what is there twice, broken pictures "
    "and masks, and anchors that suit. The options are those of litmobile fit; --run FOLDER takes the configuration "
    "of a run, and --data alone will do. It ends with 1 where a training would stop for what was looked at."
)


class InspectCLI(LightningCLI):
    """Takes the options of a training and builds its model, if there is one, and its data."""

    model: Task | None
    datamodule: LightningDataModule

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """As for a training, but that no model is needed."""
        parser.add_lightning_class_args(Trainer, "trainer")
        parser.add_lightning_class_args(Task, "model", subclass_mode=True, required=False)
        parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds what a printed configuration of fit holds beside these, and this command's own options."""
        parser.add_method_arguments(Trainer, "fit", skip=set(RunCLI.subcommands()["fit"]))
        parser.add_argument(
            "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of the input, where no model says it"
        )
        parser.add_argument("--json", type=str, metavar="FILE", help="write the same figures for programs")
        parser.add_argument(
            "--no-pictures",
            action="store_true",
            help="do not read the pictures to find broken ones, of classification data their sizes and copies, and of "
            "segmentation data copies; masks are read",
        )

    def instantiate_classes(self) -> None:
        """Leaves the Trainer alone."""
        del self.config["trainer"]
        parts = self.parser.instantiate_classes(self.config)
        self.model, self.datamodule = parts.get("model"), parts["data"]


def inspect(words: Sequence[str]) -> None:
    """Carries out ``litmobile inspect WORDS``.

    Raises:
        ValueError: what was asked for contradicts itself, or no split of the data can be read.
    """
    words, run = take_option(configurations.resolve(words), "--run")
    if run is not None:
        words = [*stored_config(Path(run), words), *words]
    sys.argv = [sys.argv[0], *words]  # from where LightningCLI takes them
    try:
        asked = InspectCLI(
            **KINDS,
            save_config_callback=None,
            run=False,
            parser_kwargs={"prog": "litmobile inspect", "description": DESCRIPTION},
        )
    except ArgumentError as error:
        raise UserError(sentence(str(error), "litmobile inspect")) from error
    data, task, options = asked.datamodule, asked.model, asked.config
    target = None if options.json is None else Path(options.json)
    if target is not None and target.is_dir():
        raise UserError(f"--json has to name a file, and {target} is a folder.")
    inspection, text = look(data, task, options.size, pictures=not options.no_pictures)
    print(text)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(asdict(inspection), indent=1, allow_nan=False) + "\n")
    if inspection.stops:
        reasons = len(inspection.stops)
        counted = f", the first of {reasons} reasons being" if reasons > 1 else ""
        raise DataError(f"A training would stop{counted}: {inspection.stops[0]}")


def look(
    data: LightningDataModule, task: Task | None, size: Sequence[int] | None, pictures: bool
) -> tuple[Inspection | ClassificationInspection | SegmentationInspection, str]:
    """What is found in ``data``, and the same to read.

    Raises:
        ValueError: this is data of another kind, or cut, or ``size`` contradicts ``task``.
        DataError: there is no split that can be read.
    """
    if isinstance(data, DetectionDataModule):
        preprocessing = data.preprocessing or input_of(task, size, Preprocessing())
        preprocessing.check_uncut(type(data).__name__)
        objects = inspect_detection(data, task, preprocessing, pictures)
        return objects, detection_tables.tables(objects)
    if isinstance(data, ClassificationDataModule):
        preprocessing = data.preprocessing or input_of(task, size, Preprocessing((224, 224), "crop"))
        labelled = inspect_classification(data, preprocessing, pictures)
        return labelled, classification_tables.tables(labelled)
    if isinstance(data, SegmentationDataModule):
        preprocessing = data.preprocessing or input_of(task, size, Preprocessing((512, 512), "pad"))
        preprocessing.check_uncut(type(data).__name__)
        masked = inspect_segmentation(data, preprocessing, pictures)
        return masked, segmentation_tables.tables(masked)
    raise TaskError(
        f"litmobile inspect looks at detection, classification and segmentation data, which {type(data).__name__} is "
        "not."
    )


def input_of(task: Task | None, size: Sequence[int] | None, usual: Preprocessing) -> Preprocessing:
    """How images become the input of ``task``'s network; without a task what is ``usual``, or that of ``size``."""
    if task is None:
        return usual if size is None else replace(usual, size=(size[0], size[1]))
    if size is not None:
        raise TaskError("--size is for data without a model, which takes --model.preprocessing.size=[HEIGHT,WIDTH].")
    return task.preprocessing
