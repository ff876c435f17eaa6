"""Options of Lightning's Trainer that litmobile refuses, and Lightning's own refusals in one sentence.

All other options and callbacks were tried once and work.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer, callbacks
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from ...errors import UserError
from ...tasks import callbacks as own_callbacks
from .typed_values import find_missing_value


class RunTrainer(Trainer):
    """Lightning's Trainer for the command line, where 1 means one batch and 1.0 all batches.

    Lightning declares these options as ``Optional[Union[int, float]]``. Python can replace this type by an equal one
    that another package wrote as ``Optional[Union[float, int]]``, and the parser would then read 1 as 1.0.
    """

    def __init__(
        self,
        *,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        overfit_batches: int | float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            overfit_batches=overfit_batches,
            **options,
        )


CONNECTOR, RESTORING = (
    "checkpoint_connector.py",
    re.compile("restore|resume"),
)  # Lightning's code that reads a checkpoint
#: errors that Lightning raises for a wrong option; others are bugs
REFUSALS = (MisconfigurationException, ValueError, TypeError, ImportError)
#: errors that constructors of Lightning's and PyTorch's classes raise for a wrong option
LIBRARY_REFUSALS = (*REFUSALS, RuntimeError, AssertionError)


class Refusal(NamedTuple):
    """Values of an option that are refused.

    Attributes:
        option: name of the Trainer's argument.
        includes: whether a value is refused.
        reason: why, and what to set instead.
    """

    option: str
    includes: Callable[[Any], bool]
    reason: str


def is_set(value: Any) -> bool:
    """Whether a switch is on."""
    return bool(value)


def is_zero(value: Any) -> bool:
    """Whether a number is given and below 1."""
    return value is not None and value < 1


def is_xla(value: Any) -> bool:
    """Whether the value names TPUs."""
    return value in ("tpu", "xla")


def is_zero_interval(value: Any) -> bool:
    """Whether a number of steps, or share of an epoch, is 0."""
    return isinstance(value, int | float) and value == 0


def is_not_positive(value: Any) -> bool:
    """Whether a number is given and at most 0."""
    return value is not None and value <= 0


def is_negative(value: Any) -> bool:
    """Whether a number is given and below 0."""
    return value is not None and value < 0


def copies_process(strategy: Any) -> bool:
    """Whether the strategy copies or pickles this process instead of starting the command again."""
    if isinstance(strategy, str):
        return not {"spawn", "fork", "notebook"}.isdisjoint(strategy.split("_"))
    return getattr(strategy, "_start_method", "popen") != "popen"


def is_unknown_strategy(value: Any) -> bool:
    """Whether the value is not the name of a strategy."""
    return isinstance(value, str) and value not in ("auto", *StrategyRegistry.available_strategies())


def is_unknown_accelerator(value: Any) -> bool:
    """Whether the value is not the name of an accelerator."""
    return isinstance(value, str) and value not in ("auto", "gpu", *AcceleratorRegistry.available_accelerators())


REFUSED_OPTIONS = (
    Refusal("barebones", is_set, "it turns off the logs and checkpoints of which a run consists"),
    Refusal("use_distributed_sampler", is_set, "the data distributes its images itself"),
    Refusal("accumulate_grad_batches", is_zero, "the smallest number is 1"),
    Refusal("limit_train_batches", is_not_positive, "a training needs one batch"),
    Refusal("gradient_clip_val", is_negative, "set a number above 0, or leave it out"),
    Refusal("val_check_interval", is_zero_interval, "to train without validation, set --trainer.limit_val_batches=0"),
    Refusal("check_val_every_n_epoch", is_zero, "to train without validation, set --trainer.limit_val_batches=0"),
    Refusal("accelerator", is_xla, "training was tried on CPUs and GPUs only"),
    Refusal("profiler", is_xla, "it profiles TPUs, on which training was not tried"),
    Refusal("accelerator", is_unknown_accelerator, "the usual names are auto, cpu and gpu"),
    Refusal("strategy", is_unknown_strategy, "the usual names are auto, ddp and ddp_find_unused_parameters_true"),
    Refusal("strategy", copies_process, "a run cannot be copied into other processes, so set --trainer.strategy=ddp"),
)
#: callbacks that do not fit litmobile's own training: why, or what to do instead
REFUSED_CALLBACKS: Mapping[type[Callback], str] = {
    callbacks.StochasticWeightAveraging: "set --model.ema_decay to average the weights",
    callbacks.WeightAveraging: "set --model.ema_decay to average the weights",
    callbacks.BatchSizeFinder: "set --data.batch_size",
    callbacks.LearningRateFinder: "set --model.optimizer.lr",
    callbacks.BaseFinetuning: "set --model.freeze_epochs to freeze the backbone",
    callbacks.GradientAccumulationScheduler: "set --trainer.accumulate_grad_batches",
    callbacks.Timer: "set --trainer.max_time",
    callbacks.ModelPruning: "it renames the weights, so other commands could not load them",
}
#: litmobile's callbacks that a run does not have, or that replace its own
FREE_CALLBACKS = (own_callbacks.CpuThreads, callbacks.ProgressBar)


def check_trainer_options(options: Mapping[str, Any], given: Sequence[Callback]) -> None:
    """Raises UserError if litmobile does not support one of the Trainer's ``options`` or ``given`` callbacks."""
    if missing := find_missing_value(RunTrainer, vars(options)):
        raise UserError(f"--trainer.{missing} needs a value, not null.")
    for option, includes, reason in REFUSED_OPTIONS:
        if includes(options.get(option)):
            value = (
                options[option] if isinstance(options[option], str | int | float) else type(options[option]).__name__
            )
            raise UserError(f"--trainer.{option}={value} is not supported: {reason}.")
    for callback in given:
        name = type(callback).__name__
        for refused, reason in REFUSED_CALLBACKS.items():
            if isinstance(callback, refused):
                raise UserError(f"--trainer.callbacks: {name} is not supported: {reason}.")
        if type(callback) in vars(own_callbacks).values() and not isinstance(callback, FREE_CALLBACKS):
            raise UserError(f"--trainer.callbacks: litmobile adds {name} itself; leave it out.")


@contextmanager
def explain_refusals(options: Mapping[str, Any]) -> Iterator[None]:
    """Turns errors that Lightning itself raises in the block into UserErrors of one sentence.

    Args:
        options: the Trainer's options.
    """
    try:
        yield
    except REFUSALS as error:
        if not is_raised_by_lightning(error):
            raise
        named = find_options(str(error), options)
        prefix = ", ".join(f"--trainer.{name}" for name in named) or "--trainer"
        raise UserError(f"{prefix}: {first_sentence(str(error))}.") from error


def explain_constructor_error(class_type: type, error: Exception) -> Exception:
    """Returns a UserError of one sentence if a library refuses an option or is missing, else ``error``."""
    is_refusal = class_type.__module__.startswith(("lightning.", "torch.")) and isinstance(error, LIBRARY_REFUSALS)
    if not (is_refusal or isinstance(error, ImportError)):
        return error
    reason = UserError(f"{class_type.__name__} cannot be used: {first_sentence(str(error))}.")
    reason.__cause__ = error
    return reason


@contextmanager
def explain_restoring(path: object) -> Iterator[None]:
    """Turns errors that restoring the checkpoint ``path`` raises in the block into a UserError of one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # wrong content can raise anything, in Lightning and in all that it restores
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(f.filename).name == CONNECTOR and RESTORING.search(f.name) for f in frames):
            raise
        reason = f"{type(error).__name__}: {first_sentence(str(error))}"
        raise UserError(f"{path} cannot be restored, because its content is damaged ({reason}).") from error


def is_raised_by_lightning(error: BaseException) -> bool:
    """Whether a line of Lightning's own code raised ``error``."""
    *_, innermost = traceback.extract_tb(error.__traceback__)
    assert lightning.__file__ is not None
    return Path(innermost.filename).is_relative_to(Path(lightning.__file__).parent)


def first_sentence(message: str) -> str:
    """Returns the first sentence of a message, on one line and without its full stop."""
    line = message.strip().splitlines()[0] if message.strip() else "refused"
    return line.partition(". ")[0].replace("`", "").rstrip(".! ")


def find_options(message: str, options: Mapping[str, Any]) -> list[str]:
    """Returns the changed options whose name, or else whose value, occurs in ``message``."""
    words = simplify(message)
    parameters = inspect.signature(Trainer).parameters
    changed = {name: options[name] for name in parameters if name in options}
    changed = {name: value for name, value in changed.items() if value != parameters[name].default}
    named = [name for name in changed if name in message]
    return named or [name for name, value in changed.items() if isinstance(value, str) and simplify(value) in words]


def simplify(text: str) -> str:
    """Returns ``text`` in the spelling in which values of options and names in messages agree."""
    return text.lower().replace("-", "_")


def as_list(value: Any) -> list[Any]:
    """Returns ``value`` as a list; None gives an empty list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
