"""Configurations build only parts of the kind that the option expects, and import only trusted modules."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PosixPath
from typing import Any, TypeGuard

import pytest
import yaml
from jsonargparse import Namespace, _typehints
from jsonargparse._common import parser_context
from jsonargparse._util import import_object
from lightning.pytorch import LightningDataModule, Trainer

from litmobile import class_paths
from litmobile.tasks.task import Task
from litmobile.tools.cli import main
from litmobile.tools.options.typed_values import expected_kind
from litmobile.tools.training import TrainingParser
from support.cli import SHAPES
from support.harmful import HARMFUL, describe_class, write_module

PLAIN = (str, int, float, bool, PosixPath)
OWN = """
from litmobile.backbones import MobileNetV2

class Own(MobileNetV2):
    pass
"""


#: process groups have no signature; executorch, which exports import, has tensors whose options take any module
LEFT_OUT = ("torch.distributed", "executorch.")


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that harmful code would create; the folder of harmful_module.py and own_part.py is on the path."""
    write_module(tmp_path, tmp_path / "marker")
    (tmp_path / "own_part.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(class_paths, "_allowed_folders", set())
    monkeypatch.setattr(class_paths, "_allowed_paths", set())
    for name in ("harmful_module", "own_part", "antigravity"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path / "marker"


@pytest.fixture(scope="module")
def parsers() -> list[TrainingParser]:
    """One parser for each class that the options of a training can name, at any depth."""
    found: dict[type, TrainingParser] = {}
    waiting = [Trainer, *list_parts(Task), *list_parts(LightningDataModule)]
    while waiting:
        cls = waiting.pop()
        if cls in found or cls.__module__.startswith(LEFT_OUT):
            continue
        found[cls] = TrainingParser()
        found[cls].add_class_arguments(cls, fail_untyped=False)
        waiting += [part for action in found[cls]._actions for part in list_parts(getattr(action, "_typehint", None))]
    return list(found.values())


def list_parts(typehint: Any) -> Iterator[type]:
    """Return the classes that can be built for an option of the type ``typehint``."""
    types = _typehints.get_subclass_or_closed_types(typehint, also_lists=True, callable_return=True)
    for kind in filter(None, map(expected_kind, types or ())):
        for path in _typehints.get_all_subclass_paths(kind):
            with contextlib.suppress(AttributeError):  # raised for classes that a library makes while it trains
                yield import_object(path)


def is_typed(action: object) -> TypeGuard[_typehints.ActionTypeHint]:
    return isinstance(action, _typehints.ActionTypeHint)


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, list | tuple | set) else value is None or type(value) in PLAIN


def build(parser: TrainingParser, action: Any, value: object) -> Any:
    """Return what becomes of ``value`` in the option of ``action``; None if it is refused."""
    with parser_context(parent_parser=parser, load_value_mode="yaml", lenient_check=False):
        try:
            return action.instantiate_classes(action._check_type_(value, cfg=Namespace(), mode="yaml"))
        except (ValueError, TypeError):
            return None


def test_the_options_of_all_parts_are_known(parsers: list[TrainingParser]) -> None:
    names = {action.dest for parser in parsers for action in parser._actions}
    assert {
        "optimizer",
        "head",
        "backbone",
        "schedule",
        "callbacks",
        "logger",
        "plugins",
        "strategy",
        "profiler",
    } < names
    assert {"extra", "augmentation", "teacher", "on_train_start", "avg_fn", "auto_wrap_policy", "ddp_comm_hook"} < names
    assert len(parsers) > 100


@pytest.mark.parametrize("path", HARMFUL)
def test_no_option_of_any_part_runs_code(path: str, parsers: list[TrainingParser], marker: Path) -> None:
    """Every option, whatever its type, refuses the name of harmful code or keeps it as plain text."""
    config = describe_class(path, marker)
    forms = [form for value in (path, config, yaml.safe_dump(config)) for form in (value, [value], {"key": value})]
    options = {str(a._typehint): (parser, a) for parser in parsers for a in parser._actions if is_typed(a)}
    taken = [
        (action.dest, result)
        for parser, action in options.values()  # one of each type, because only the type decides
        for result in (build(parser, action, copy.deepcopy(form)) for form in forms)
        if not is_plain(result)
    ]
    assert not taken
    assert not marker.exists()
    assert not {"antigravity", "harmful_module"} & sys.modules.keys()


def nest(key: str, value: object) -> dict[str, Any]:
    for name in reversed(key.split(".")):
        value = {name: value}
    return value  # type: ignore[return-value]


def refuse(*words: str) -> str:
    with pytest.raises(SystemExit) as refused:
        main(list(words))
    return str(refused.value.code)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "inspect"])
@pytest.mark.parametrize("key", ["model.optimizer", "model.head", "trainer.callbacks", "data"])
def test_a_configuration_runs_no_code(
    command: str, key: str, marker: Path, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    for path in ("os.system", "harmful_module.run"):
        (tmp_path / "sent.yaml").write_text(yaml.safe_dump(nest(key, describe_class(path, marker))))
        message = refuse(command, "--config", SHAPES, "--config", "sent.yaml", "--data.root=x")
        assert_one_sentence(ValueError(message), f"--{key}", path)
    assert not marker.exists()


def test_code_beside_a_configuration_needs_permission(
    marker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("model: {backbone: own_part.Own}")
    words = ["fit", "--config", SHAPES, "--config", "mine.yaml", "--data.root=x", "--print_config"]
    message = refuse(*words)
    assert "--model.backbone cannot use own_part.Own" in message and f"--allow-code {tmp_path}" in message
    assert "own_part" not in sys.modules
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    refuse(*words, "--allow-code", str(tmp_path))
    assert "class_path: own_part.Own" in capsys.readouterr().out


def test_a_class_on_the_command_line_needs_no_permission(marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse("fit", "--config", SHAPES, "--model.backbone=own_part.Own", "--data.root=x", "--print_config")
    assert "class_path: own_part.Own" in capsys.readouterr().out


def test_the_folder_with_permission_must_exist() -> None:
    assert "--allow-code must name the folder" in refuse("fit", "--config", SHAPES, "--allow-code", "nowhere")


def test_no_configuration_comes_from_a_server() -> None:
    assert "There is no configuration" in refuse("fit", "--config", "https://example.org/sent.yaml")
    message = refuse("fit", "--config", SHAPES, "--data.root=x", "--model.backbone=memory://sent.yaml")
    assert "--model.backbone cannot use memory://sent.yaml" in message
