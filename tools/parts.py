"""Builds the task and the data of a training without a Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from ..errors import TaskError
from ..tasks.data.module import DataModule
from ..tasks.data.start_methods import choose_start_method
from ..tasks.task import Task
from .library_messages import silence_libraries
from .options.typed_values import task_role
from .options.yaml_text import dump_yaml
from .training import BaseCLI, find_role


class PartsCLI(BaseCLI):
    """Parses the options of a training and builds its data and, if one is given, its model."""

    model: Task | None
    datamodule: LightningDataModule

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of a training; the model is optional."""
        parser.add_lightning_class_args(Trainer, "trainer")
        parser.add_lightning_class_args(Task, "model", subclass_mode=True, required=False)
        parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the checkpoint, which a printed configuration of fit contains."""
        parser.add_argument("--ckpt_path", type=str | None, help="ignored")

    def instantiate_classes(self) -> None:
        """Builds the model and the data, but no Trainer."""
        del self.config["trainer"]
        with self.constructor_errors():
            parts = self.parser.instantiate_classes(self.config)
        self.model, self.datamodule = parts.get("model"), parts["data"]


class Parts(NamedTuple):
    """Task and data of a training."""

    task: Task
    data: DataModule[Any]


def build_parts(config: Mapping[str, Any]) -> Parts:
    """Builds the task and the data of a resolved configuration, after seeding all random generators as it says.

    Args:
        config: content of a run's ``config.yaml``. Classes outside litmobile must have been allowed before.

    Raises:
        TaskError: it has no model, or its data are not of litmobile.
        UserError: an option is wrong.
    """
    silence_libraries()
    task_role.set(find_role(dict(config), ()))
    cli = PartsCLI("fit", args=[f"--config={dump_yaml(dict(config))}"], save_config_callback=None)
    task, data = cli.model, cli.datamodule
    if task is None or not isinstance(data, DataModule):
        raise TaskError("A training needs a --model and --data of litmobile.")
    if data.start_method is None:
        data.start_method = choose_start_method()
    return Parts(task, data)
