"""Own and inherited options of every task and data set: types, defaults, help texts, and refusal of typos."""

from __future__ import annotations

import inspect

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule

from litmobile.tasks import classification, detection, segmentation
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.task import Task
from litmobile.tools.cli import main
from support.cli import get_refusal

MODULES = (classification, detection, segmentation)
PUBLIC = [value for module in MODULES for _, value in inspect.getmembers(module)]
TASKS = [cls for cls in PUBLIC if isinstance(cls, type) and issubclass(cls, Task)]
DATA_SETS = [
    cls for cls in PUBLIC if isinstance(cls, type) and issubclass(cls, DataModule) and not cls.__abstractmethods__
]
SHARED = {
    Task: {"backbone", "head", "optimizer", "ema_decay", "freeze_epochs", "weights", "channels_last"},
    DataModule: {"batch_size", "num_workers", "on_invalid", "seed", "augmentation"},
}
DATA_OF = {"detection": "CocoDetection", "classification": "FolderClassification", "segmentation": "FolderSegmentation"}
both = pytest.mark.parametrize("cls", [*TASKS, *DATA_SETS], ids=lambda cls: cls.__name__)


def list_options_for(cls: type) -> list[str]:
    """Return options of a training with ``cls``."""
    role = cls.role  # type: ignore[attr-defined]
    if issubclass(cls, Task):
        return [f"--model={cls.__name__}", "--model.backbone=MobileNetV2", f"--data={DATA_OF[role]}", "--data.root=x"]
    task = next(task for task in TASKS if task.role == role)
    return [f"--model={task.__name__}", "--model.backbone=MobileNetV2", f"--data={cls.__name__}", "--data.root=x"]


@both
def test_every_option_has_a_type_and_a_help_text(cls: type) -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(cls, fail_untyped=True)
    texts = {action.dest: action.help for action in parser._actions if "." not in action.dest}
    base = Task if issubclass(cls, Task) else DataModule
    assert set(texts) >= SHARED[base]
    missing = [name for name, text in texts.items() if not text]
    assert not missing


@both
def test_the_printed_config_has_the_inherited_options(cls: type, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["fit", *list_options_for(cls), "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    key, base = ("model", Task) if issubclass(cls, Task) else ("data", DataModule)
    assert set(config[key]["init_args"]) >= SHARED[base]


@both
def test_a_typo_of_an_inherited_option_is_refused(cls: type, capsys: pytest.CaptureFixture[str]) -> None:
    typo, option = (
        ("model.ema_deccay", "model.ema_decay") if issubclass(cls, Task) else ("data.batchsize", "data.batch_size")
    )
    message = get_refusal("fit", *list_options_for(cls), f"--{typo}=1", capsys=capsys)
    assert f"--{typo} is not an option; did you mean --{option}?" in message


@both
def test_help_of_a_class_lists_the_inherited_options(cls: type, capsys: pytest.CaptureFixture[str]) -> None:
    key, option = ("model", "ema_decay") if issubclass(cls, Task) else ("data", "num_workers")
    with pytest.raises(SystemExit):
        main(["fit", f"--{key}.help", cls.__name__])
    assert f"--{key}.{option}" in capsys.readouterr().out


def test_there_are_data_sets_for_every_task() -> None:
    assert {cls.role for cls in DATA_SETS} == {cls.role for cls in TASKS}  # type: ignore[attr-defined]
    assert all(issubclass(cls, LightningDataModule) for cls in DATA_SETS)
