"""`litmobile fit | validate | test`: LightningCLI over tasks and data, and the folder that each run leaves."""

from __future__ import annotations

import importlib
import inspect
import itertools
import logging
import os
import sys
import time
import warnings
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

# imported for their names: --model.backbone=MobileNetV2 finds what has been imported
from .. import backbones, heads  # noqa: F401
from ..errors import TaskError, UserError
from ..tasks import run as run_folder
from ..tasks.checkpoints import WholeCheckpointIO
from ..tasks.classification import (  # noqa: F401
    CifarClassification,
    ClassificationTask,
    FolderClassification,
    ImageNetClassification,
    ListClassification,
)
from ..tasks.data import DataModule
from ..tasks.detection import CocoDetection, DetectionTask, VocDetection  # noqa: F401
from ..tasks.processes import is_first_process
from ..tasks.restart import Stopped
from ..tasks.segmentation import CamVid, Cityscapes, FolderSegmentation, SegmentationTask, VocSegmentation  # noqa: F401
from ..tasks.task import Task
from . import configurations
from .memory import keep_freed_memory
from .parser_errors import sentence

RUN_VARIABLE = "LITMOBILE_RUN_FOLDER"
STORED = ("seed_everything", "trainer", "model", "data")


class Parser(LightningArgumentParser):
    """Takes options that are written out: an abbreviated one is a typo until proved otherwise, at any depth."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        strict: dict[str, Any] = {"allow_abbrev": False, "exit_on_error": False}
        super().__init__(*arguments, **strict | options)


#: how LightningCLI reads options, and what models and data are: the same for every command that takes those of fit
KINDS: dict[str, Any] = {
    "parser_class": Parser,
    "model_class": Task,
    "datamodule_class": LightningDataModule,
    "subclass_mode_model": True,
    "subclass_mode_data": True,
    "auto_configure_optimizers": False,
    "seed_everything_default": 0,
}


def run(command: str, words: Sequence[str]) -> None:
    """Carries out ``litmobile COMMAND WORDS``."""
    words, folder = take_option(configurations.resolve(words), "--run")
    if folder is not None:
        words = [*stored_run(command, Path(folder), words), *words]
    keep_freed_memory()
    run_at = new_folder(words) if folder is None else Path(folder)
    # processes that Lightning starts run sys.argv again: they must find the same folder and the resolved words
    os.environ[RUN_VARIABLE] = str(run_at)
    sys.argv = [sys.argv[0], command, *words]
    quieten()
    with run_folder.remove_if_failed(run_at), ExitStack() as held:
        try:
            cli(run_at, held)
        except Stopped as stopped:
            rank_zero_info(f"The run {stopped}; go on with litmobile fit --run {run_at}")
            sys.exit(128 + stopped.signal)  # as a shell says it


def quieten() -> None:
    """Keeps back what libraries say in every run and nobody can act on."""
    known = (
        "It is recommended to use .*sync_dist=True",  # all processes know the same figures
        "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning's own affair
        "Precision .* is not supported by the model summary",
        "Found .* in eval mode at the start of training",  # those of a frozen backbone
    )
    for message in known:
        warnings.filterwarnings("ignore", message=message)
    # before every checkpoint: how it could be read, which ours never is
    logging.getLogger("lightning.pytorch.trainer.connectors.checkpoint_connector").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "litlogger" not in record.getMessage()
    )


def cli(run_at: Path, held: ExitStack) -> None:
    """Parses ``sys.argv`` and runs the command that it asks for in the folder ``run_at``, which ``held`` locks."""
    try:
        RunCLI(
            run_at,
            held,
            **KINDS,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"folder": run_at, "save_to_log_dir": False},
            trainer_defaults=run_folder.TRAINER_DEFAULTS,
        )
    except ArgumentError as error:
        raise UserError(sentence(str(error), f"litmobile {sys.argv[1]}")) from error


def take_option(words: Sequence[str], name: str) -> tuple[list[str], str | None]:
    """Removes option ``name`` from ``words`` and gives the rest and its value."""
    rest: list[str] = []
    value: str | None = None
    remaining = iter(words)
    for word in remaining:
        if word == name:
            value = next(remaining, None)
            if value is None:
                raise UserError(f"{name} needs a value.")
        elif word.startswith(f"{name}="):
            value = word.removeprefix(f"{name}=")
        else:
            rest.append(word)
    return rest, value


def stored_run(command: str, folder: Path, words: Sequence[str]) -> list[str]:
    """Words that use the run in ``folder`` again: its configuration, and the checkpoint that ``command`` wants.

    Args:
        command: that uses it.
        folder: of the run.
        words: that will follow.

    Raises:
        ValueError: it is no run, or has no checkpoint.
    """
    if command == "fit" and run_folder.is_new(folder):
        return []  # a new run, with a folder of the user's choice
    config = stored_config(folder, words)
    names = ("last",) if command == "fit" else ("best", "last")
    found = [path for name in names if (path := run_folder.checkpoint(folder, name)).is_file()]
    if not found and command != "fit":
        raise UserError(f"{folder} has no checkpoint to {command}.")
    return [*config, *(["--ckpt_path", str(found[0])] if found else [])]


def stored_config(folder: Path, words: Sequence[str]) -> list[str]:
    """Words that take the configuration of the run in ``folder``, as far as it suits the ``words`` that will follow.

    Raises:
        ValueError: it is no run.
    """
    config = folder / run_folder.CONFIG
    if not config.is_file():
        raise UserError(f"{folder} is no folder of a run: it has no {run_folder.CONFIG}.")
    return ["--config", str(config), *own_splits(config, words)]


def own_splits(config: Path, words: Sequence[str]) -> list[str]:
    """Words that call splits by default, if ``words`` ask for data of another kind than ``config`` has.

    The parser hands on what two kinds of data both know, and so the names of folders that only one of them has.
    """
    _, asked = take_option(words, "--data")
    module, _, name = (asked or "").rpartition(".")
    if module:
        with suppress(ImportError):  # the parser says it better
            importlib.import_module(module)
    kind = next((kind for kind in every_kind(DataModule) if kind.__name__ == name), None)
    if kind is None or yaml.safe_load(config.read_text())["data"]["class_path"].rpartition(".")[2] == name:
        return []
    options = inspect.signature(kind).parameters
    defaults = {split: options[split].default for split in ("train", "val", "test") if split in options}
    given = {split: "null" if default is None else default for split, default in defaults.items()}
    return [
        f"--data={asked}",
        *(f"--data.{split}={default}" for split, default in given.items() if default is not inspect.Parameter.empty),
    ]


def every_kind(base: type[DataModule[Any]]) -> Iterator[type[DataModule[Any]]]:
    """All classes that have been derived from ``base``."""
    for kind in base.__subclasses__():
        yield kind
        yield from every_kind(kind)


def new_folder(words: Sequence[str]) -> Path:
    """A folder for a new run, named after its configuration and the time; processes that are started share it."""
    if "LOCAL_RANK" in os.environ and RUN_VARIABLE in os.environ:
        return Path(os.environ[RUN_VARIABLE])
    names = [Path(b).stem for a, b in itertools.pairwise(words) if a in ("--config", "-c")]
    names += [Path(word.partition("=")[2]).stem for word in words if word.startswith("--config=")]
    return Path("runs") / f"{names[-1] if names else 'run'}-{time.strftime('%Y%m%d-%H%M%S')}"


def as_list(value: Any) -> list[Any]:
    """None as nothing, one thing as a list of it."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


class RunCLI(LightningCLI):
    """LightningCLI with a folder for each run.

    Args:
        folder: where the run leaves what it makes.
        held: takes the lock on the folder, once there is something to be written.
        arguments: LightningCLI's.
        options: LightningCLI's.
    """

    model: Task

    def __init__(self, folder: Path, held: ExitStack, *arguments: Any, **options: Any) -> None:
        self.folder = folder
        self.held = held
        super().__init__(*arguments, **options)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The three that make sense for a task; what each leaves out of the Trainer method's own arguments."""
        data = {"model", "dataloaders", "datamodule"}
        return {"fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"}, "validate": data, "test": data}

    def _parse_ckpt_path(self) -> None:
        """Does nothing, where Lightning lets hyper-parameters that a checkpoint holds win over flags."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        asked = self._get(self.config_init, "trainer", default={})
        training = self.subcommand == "fit"
        if training and is_first_process():
            self.held.enter_context(run_folder.locked(self.folder))
        kwargs.setdefault("default_root_dir", str(self.folder))
        if asked.get("logger") is None:
            kwargs["logger"] = run_folder.loggers(self.folder, self._resumed_step()) if training else False
        kwargs["plugins"] = [*as_list(asked.get("plugins")), WholeCheckpointIO()]
        if asked.get("profiler") is None:
            kwargs["profiler"] = run_folder.NoProfiler()
        # Lightning refuses callbacks of a kind that was switched off
        off = {"enable_progress_bar": ProgressBar, "enable_checkpointing": Checkpoint}
        unwanted = tuple(kind for option, kind in off.items() if asked.get(option) is False)
        ours = [c for c in run_folder.callbacks(self.folder, self.model) if not isinstance(c, unwanted)]
        kwargs["callbacks"] = [*(asked.get("callbacks") or []), *ours]
        trainer = super().instantiate_trainer(**kwargs)
        if asked.get("sync_batchnorm") and isinstance(trainer.accelerator, CPUAccelerator):
            raise TaskError(
                "PyTorch synchronises batch norms on GPUs only: leave --trainer.sync_batchnorm out on a CPU."
            )
        return trainer

    def _resumed_step(self) -> int | None:
        """How many steps the checkpoint that ``fit`` goes on with had taken."""
        path = self._get(self.config, "ckpt_path")
        if path is None or not Path(path).is_file():
            return None
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])

    def after_fit(self) -> None:
        """Tells where the run is and what it reached."""
        self._tell("fit")

    def after_validate(self) -> None:
        """Prints the report."""
        self._tell("validate")

    def after_test(self) -> None:
        """Prints the report."""
        self._tell("test")

    def _tell(self, command: str) -> None:
        if self.model.report is not None:
            rank_zero_info(f"\n{self.model.report.table}\n")
        rank_zero_info(
            f"The run is in {self.folder}" + (f"; litmobile validate --run {self.folder}" if command == "fit" else "")
        )


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved configuration into the run's folder once nothing that it asks for was refused."""

    def __init__(self, *arguments: Any, folder: Path, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.folder = folder

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet: a run that goes on must not lose its configuration to one that is refused."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save_config(trainer, pl_module, "fit")

    @rank_zero_only
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = self.config.clone()
        for key in set(vars(stored)) - set(STORED):
            del stored[key]
        parser: LightningArgumentParser = self.parser
        text = parser.dump(stored, skip_none=False, skip_validation=True)
        # whole or not at all, whoever reads it meanwhile
        part = self.folder / f"{run_folder.CONFIG}.part"
        part.write_text(text)
        part.replace(self.folder / run_folder.CONFIG)
