"""The resolved configuration of a run: its file, and the hyper-parameters that loggers get."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

from ..tasks import run as run_folder
from ..tasks.atomic import write_text
from ..tasks.callbacks.tensorboard import PlainValue, log_hyperparameters
from ..tasks.task import Task
from .options.yaml_text import load_yaml

STORED = ("seed_everything", "trainer", "model", "data")


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved configuration into the run's folder once training starts, and gives it to the loggers.

    A resumed run keeps its configuration if the new options are refused.
    """

    def __init__(self, *arguments: Any, folder: Path, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.folder = folder

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes nothing yet; see :meth:`on_train_start`."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save_config(trainer, pl_module, "fit")

    @rank_zero_only
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        task = cast(Task, pl_module)
        stored = self.config.clone()
        for key in set(vars(stored)) - set(STORED):
            del stored[key]
        for key, value in task.decided_options.items():  # else a resumed run would decide again
            stored[f"model.init_args.{key}"] = value
        parser: LightningArgumentParser = self.parser
        text = parser.dump(stored, skip_none=False, skip_validation=True)
        write_text(self.folder / run_folder.CONFIG, text)
        log_hyperparameters(trainer.loggers, flatten_config(load_yaml(text)), task.monitor)


def flatten_config(config: Any, name: str = "") -> dict[str, PlainValue]:
    """Returns the values of a resolved configuration by their option, e.g. "model.backbone.width".

    The value of a part is its class path, and a list becomes text. Options without a value are left out.
    """
    if isinstance(config, dict):
        fields = {key: config[key] for key in config if key not in ("class_path", "init_args")}
        fields = {"": config.get("class_path")} | (config.get("init_args") or {}) | fields
        flat = (flatten_config(value, f"{name}.{key}".strip(".")) for key, value in fields.items())
        return {key: value for values in flat for key, value in values.items()}
    if config is None:
        return {}
    return {name: config if isinstance(config, bool | int | float | str) else str(config)}
