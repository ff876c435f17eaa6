"""`litmobile fit | validate | test`: LightningCLI for tasks and data, and the folder of each run."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import Namespace, set_parsing_settings
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback, Checkpoint, Timer
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_info

from .. import backbones, heads
from ..class_paths import allow_class, allow_code
from ..errors import TaskError, UserError
from ..lazy_exports import import_exports
from ..tasks import classification, detection, segmentation
from ..tasks import run as run_folder
from ..tasks.callbacks import Stopped
from ..tasks.data.module import DataModule
from ..tasks.data.start_methods import choose_start_method
from ..tasks.evidence import evidence_path
from ..tasks.memory import keep_freed_memory
from ..tasks.pretrained import AtomicCheckpointIO
from ..tasks.task import Task
from .engines.choice import ENGINES_BY_SUFFIX
from .engines.network import ExportedNetwork, load_exported, results_folder
from .library_messages import silence_libraries
from .options.configurations import drop_replaced_options, find_class, find_configuration, merge_configurations
from .options.parser import Parser
from .options.trainer_options import (
    RunTrainer,
    as_list,
    check_trainer_options,
    explain_constructor_error,
    explain_refusals,
    explain_restoring,
)
from .options.typed_values import find_missing_value, task_role
from .options.yaml_text import dump_yaml
from .report.command import write_report
from .run_config import SaveRunConfig

import_exports(backbones, heads, classification, detection, segmentation)  # the parser finds imported classes only
set_parsing_settings(config_read_mode_fsspec_enabled=False)  # Lightning lets configurations name addresses of servers
CLASS_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")


class TrainingParser(Parser, LightningArgumentParser):
    """Parser that drops the options of a class when another class replaces it."""

    def merge_config(self, cfg_from: Namespace, cfg_to: Namespace) -> Namespace:
        """Merges values over defaults; if a value replaces a default class, the options of that class are dropped."""
        return super().merge_config(cfg_from, drop_replaced_options(cfg_to.clone(), cfg_from.as_dict()))


#: end of the help of all commands that take the options of a training
OWN_OPTIONS_HELP = (
    "Also --run FOLDER: the folder of the run, which is resumed or evaluated if it exists; and --allow-code FOLDER "
    "(repeatable): lets configurations name classes of your modules in FOLDER, whose code is run."
)
#: added to it for validate and test
EXPORTED_HELP = " With --model FILE.onnx and --run or --config: evaluates an exported file; --engine NAME runs it."
RUN_VARIABLE = "LITMOBILE_RUN_FOLDER"
#: arguments of LightningCLI that all commands with the options of fit share
CLI_OPTIONS: dict[str, Any] = {
    "parser_class": TrainingParser,
    "model_class": Task,
    "datamodule_class": LightningDataModule,
    "trainer_class": RunTrainer,
    "subclass_mode_model": True,
    "subclass_mode_data": True,
    "auto_configure_optimizers": False,
    "seed_everything_default": 0,
    "trainer_defaults": run_folder.TRAINER_DEFAULTS,
    "run": False,
    "load_from_checkpoint_support": False,  # checkpoints describe their network themselves
}


class RunOptions(NamedTuple):
    """litmobile's own options, and those for LightningCLI.

    Attributes:
        folder: ``--run``.
        configs: files of ``--config``, in order.
        flags: all other words, in order.
        exported: file of ``--model`` that is evaluated instead of a checkpoint.
        engine: ``--engine``, which runs that file.
    """

    folder: Path | None
    configs: list[Path]
    flags: list[str]
    exported: Path | None = None
    engine: str | None = None


def split_options(command: str, words: Sequence[str]) -> RunOptions:
    """Separates ``--run`` and ``--config`` from the other ``words``, in any order.

    Code in the folders of ``--allow-code``, and classes whose import paths are among the words, may be used.

    Raises:
        UserError: a configuration or a folder does not exist.
    """
    parser = argparse.ArgumentParser(f"litmobile {command}", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run", type=lambda text: Path(text).expanduser())
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--allow-code", type=Path, action="append", default=[])
    if command in ("validate", "test"):
        parser.add_argument("--model", action="append", default=[])
        parser.add_argument("--engine")
    try:
        known, flags = parser.parse_known_args(words)
    except ArgumentError as error:
        raise UserError(f"{error.argument_name} needs a value.") from error
    models: list[str] = getattr(known, "model", [])
    files = [name for name in models if Path(name).suffix.lower() in ENGINES_BY_SUFFIX]
    flags = [*(f"--model={name}" for name in models if name not in files), *flags]  # names of tasks
    if files and known.run is None and not known.config and not any(flag.startswith("--data") for flag in flags):
        raise UserError(f"--model {files[-1]} needs --run FOLDER or --config NAME, which say what data to evaluate.")
    for folder in known.allow_code:
        allow_code(folder)
    for path in CLASS_PATH.findall(" ".join(flags)):
        allow_class(path)
    configs = [find_configuration(name) for name in known.config]
    engine = getattr(known, "engine", None)
    if engine is not None and not files:
        raise UserError(f"--engine={engine} is for --model FILE; runs are always run by PyTorch.")
    return RunOptions(known.run, configs, flags, Path(files[-1]).expanduser() if files else None, engine)


def merged_arguments(configs: Sequence[Path], flags: Sequence[str]) -> list[str]:
    """Builds the arguments for the parser: all configuration files merged into one, then ``flags``."""
    merged = merge_configurations(configs, flags)
    task_role.set(find_role(merged, flags))
    return [*([f"--config={dump_yaml(merged)}"] if merged else []), *flags]


def find_role(config: dict[str, Any], flags: Sequence[str]) -> str:
    """Returns the role of the task that ``flags`` or ``config`` name, e.g. "detection"; empty if they name none."""
    named = [flag.removeprefix("--model=") for flag in flags if flag.startswith("--model=")]
    model = config.get("model")
    name = named[-1] if named else model.get("class_path") if isinstance(model, dict) else model
    task = find_class(name, Task) if isinstance(name, str) else None
    return getattr(task, "role", "") if task is not None and issubclass(task, Task) else ""


def run(command: str, words: Sequence[str]) -> None:
    """Runs ``litmobile COMMAND WORDS``, where COMMAND is fit, validate or test."""
    sys.argv = [sys.argv[0], command, *words]  # processes that Lightning starts run this command again
    options = split_options(command, words)
    configs, flags = options.configs, options.flags
    exported = None if options.exported is None else load_exported(options.exported, options.engine)
    path, is_named = choose_folder(options)
    with run_folder.claim_folder(path, is_named) as folder, ExitStack() as resources:
        os.environ[RUN_VARIABLE] = str(folder)
        run_folder.remove_old_results(folder)
        is_new = command == "fit" and run_folder.is_new(folder)
        if options.folder is not None and not is_new:
            configs = [stored_config(options.folder), *configs]
            flags = flags if exported else [*stored_checkpoint(command, folder), *flags]
        keep_freed_memory()
        silence_libraries()
        try:
            RunCLI(command, folder, is_new, resources, merged_arguments(configs, flags), exported).start()
        except Stopped as stopped:
            rank_zero_info(f"The run {stopped}. Resume it with litmobile fit --run {folder}")
            sys.exit(128 + stopped.signal)  # as shells do


fit, validate, test = (partial(run, command) for command in ("fit", "validate", "test"))


def stored_config(folder: Path) -> Path:
    """Returns the configuration file of the run in ``folder``.

    Raises:
        UserError: ``folder`` is not a run.
    """
    config = folder / run_folder.CONFIG
    if not config.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no {run_folder.CONFIG}.")
    return config


def stored_checkpoint(command: str, folder: Path) -> list[str]:
    """Returns arguments for a checkpoint in ``folder``: the last for "fit", the best (or else the last) for others.

    Raises:
        UserError: the run has no checkpoint to evaluate.
    """
    names = ("last",) if command == "fit" else ("best", "last")
    found = [path for name in names if (path := run_folder.checkpoint_path(folder, name)).is_file()]
    if not found and command != "fit":
        raise UserError(f"{folder} has no checkpoint to {command}.")
    return ["--ckpt_path", str(found[0])] if found else []


def choose_folder(options: RunOptions) -> tuple[Path, bool]:
    """Returns the folder for the results, and whether it is given: by ``--run``, or by the first process to the others.

    That of an exported file lies beside the file. Otherwise it is named after the last configuration and the time.
    """
    if options.exported is not None:
        return results_folder(options.exported), True
    if options.folder is not None:
        return options.folder, True
    if "LOCAL_RANK" in os.environ and RUN_VARIABLE in os.environ:
        return Path(os.environ[RUN_VARIABLE]), True
    name = options.configs[-1].stem if options.configs else "run"
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}", False


class ConstructorError(BaseException):
    """Carries a constructor's exception past the parser, which would otherwise try another type."""


class BaseCLI(LightningCLI):
    """LightningCLI that reports a wrong option in one sentence; errors from constructors keep type and traceback.

    Args:
        command: name of the command, e.g. "fit".
        options: arguments of LightningCLI.
    """

    def __init__(self, command: str, **options: Any) -> None:
        epilog = OWN_OPTIONS_HELP + (EXPORTED_HELP if command in ("validate", "test") else "")
        texts = {"prog": f"litmobile {command}", "epilog": epilog}
        options["parser_kwargs"] = texts | options.get("parser_kwargs", {})
        try:
            super().__init__(**CLI_OPTIONS | options)
        except ArgumentError as error:
            raise UserError(str(error)) from error

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise UserError(f"--seed_everything: {error}.") from error

    def instantiate_classes(self) -> None:
        with self.constructor_errors():
            super().instantiate_classes()

    @contextmanager
    def constructor_errors(self) -> Iterator[None]:
        """Lets constructors' exceptions leave the parser, which would otherwise report them as a wrong type."""
        is_parsing = True

        def build(class_type: type, *arguments: Any, **options: Any) -> Any:
            try:
                if missing := find_missing_value(class_type, options):
                    raise UserError(f"{class_type.__name__} needs a value for {missing}, not null.")
                return class_type(*arguments, **options)
            except Exception as error:
                if not is_parsing:  # heads and optimisers are built later
                    raise
                raise ConstructorError from explain_constructor_error(class_type, error)

        self.parser.add_instantiator(build, object)
        try:
            yield
        except ConstructorError as error:
            raise (error.__cause__ or error) from None
        finally:
            is_parsing = False


class RunCLI(BaseCLI):
    """Builds a training or an evaluation whose results go into the run's folder.

    Args:
        command: "fit", "validate" or "test".
        folder: the run's folder.
        is_new: whether the run starts from the beginning in a new folder.
        resources: holds the lock on the folder.
        args: arguments for the parser.
        exported: a network that is evaluated instead of the task's own.
    """

    model: Task

    def __init__(
        self,
        command: str,
        folder: Path,
        is_new: bool,
        resources: ExitStack,
        args: Sequence[str],
        exported: ExportedNetwork | None = None,
    ) -> None:
        self.command = command
        self.exported = exported
        self.folder = folder
        self.is_new = is_new
        self.resources = resources
        super().__init__(
            command,
            args=list(args),
            save_config_callback=SaveRunConfig if command == "fit" else None,
            save_config_kwargs={"folder": folder, "save_to_log_dir": False},
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the option for the checkpoint."""
        parser.add_argument("--ckpt_path", type=str | None, help="checkpoint to use: a file, or best or last")

    def start(self) -> None:
        """Runs the command, then prints the result and the run's folder."""
        checkpoint = self._checkpoint()
        if self.exported is not None:
            self.exported.check_role(self.model.role)
            self.model.evaluate_exported(self.exported)
        with explain_refusals(self.config_init.trainer), explain_restoring(checkpoint):
            getattr(self.trainer, self.command)(self.model, datamodule=self.datamodule, ckpt_path=checkpoint)
        if hasattr(self.model, "evaluator"):
            rank_zero_info(f"\n{self.model.report().text}\n")
        elif self.command != "fit":  # as in the training without validation that the run was
            limit = "limit_test_batches" if self.command == "test" else "limit_val_batches"
            raise TaskError(f"No image was evaluated, because trainer.{limit} is 0; pass --trainer.{limit}=1.0.")
        self._write_page()  # also of a finished training, which may have been killed while it wrote the page
        has_checkpoint = run_folder.checkpoint_path(self.folder, "last").is_file()
        hint = f"; litmobile validate --run {self.folder}" if self.command == "fit" and has_checkpoint else ""
        what = "The run is" if self.exported is None else "The results are"
        rank_zero_info(f"{what} in {self.folder}{hint}")

    def _write_page(self) -> None:
        """Writes the page about the evaluation, if it left evidence."""
        split = "test" if self.command == "test" else "val"
        if run_folder.is_first_process() and evidence_path(self.folder, split).is_file():
            rank_zero_info(f"{write_report(self.folder, split)} shows the figures with intervals, errors and images.")

    def instantiate_classes(self) -> None:
        with explain_refusals(self.config.trainer):
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        given = self.config_init.trainer
        is_training = self.command == "fit"
        if is_training and run_folder.is_first_process():
            self.resources.enter_context(run_folder.lock_run(self.folder, self.is_new))
        kwargs.setdefault("default_root_dir", str(self.folder))
        if self.exported is not None:  # its engine runs on the CPU
            kwargs |= {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "32-true"}
        if given.get("logger") is None:
            kwargs["logger"] = run_folder.make_loggers(self.folder, self._resumed_step()) if is_training else False
        kwargs["plugins"] = [*as_list(given.get("plugins")), AtomicCheckpointIO()]
        kwargs["callbacks"] = self._make_callbacks(given)
        if isinstance(self.datamodule, DataModule) and self.datamodule.start_method is None:
            self.datamodule.start_method = choose_start_method()
        trainer = super().instantiate_trainer(**kwargs)
        is_ddp = isinstance(trainer.strategy, DDPStrategy) and given.get("strategy") in ("auto", "ddp")
        if is_ddp and is_training and self.model.unfreezing.unfreezes_later:
            # DDP has to find out which stages are frozen and get no gradients
            trainer = super().instantiate_trainer(**kwargs | {"strategy": "ddp_find_unused_parameters_true"})
        if given.get("sync_batchnorm") and isinstance(trainer.accelerator, CPUAccelerator):
            raise TaskError("PyTorch synchronises batch norms on GPUs only: leave out --trainer.sync_batchnorm.")
        return trainer

    def _make_callbacks(self, given: Any) -> list[Callback]:
        """Returns the callbacks that were ``given`` to the Trainer, and those of every run."""
        theirs = as_list(given.get("callbacks"))
        check_trainer_options(given, theirs)
        if given.get("max_time") is not None:  # first, so that the last validation knows that the time is over
            theirs.insert(0, Timer(given.max_time))
        # Lightning refuses callbacks of a kind that was switched off, and two progress bars
        switches = {"enable_progress_bar": LightningProgressBar, "enable_checkpointing": Checkpoint}
        off = [kind for option, kind in switches.items() if given.get(option) is False]
        off += [LightningProgressBar for callback in theirs if isinstance(callback, LightningProgressBar)]
        ours = run_folder.make_callbacks(self.folder, self.model.monitor)
        return [*theirs, *(callback for callback in ours if not isinstance(callback, tuple(off)))]

    def _checkpoint(self) -> str | None:
        """Returns the path of the checkpoint that is resumed from or evaluated."""
        path = self.config_init.ckpt_path  # Lightning would search "best" and "last" among its own
        return str(run_folder.checkpoint_path(self.folder, path)) if path in ("best", "last") else path

    def _resumed_step(self) -> int | None:
        """Step of the checkpoint that ``fit`` resumes from."""
        path = self._checkpoint()
        if path is None or not Path(path).is_file():
            return None
        return AtomicCheckpointIO().load_checkpoint(path)["global_step"]
