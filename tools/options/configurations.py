"""Finds and merges configurations, and drops the options of replaced classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, Namespace

from ...class_paths import import_class
from ...errors import ClassPathError, UserError
from .yaml_text import read_yaml

Config = TypeVar("Config", bound=Any)  # a dictionary, or jsonargparse's Namespace


def shipped_folder() -> Path:
    """Folder of the shipped configurations."""
    return Path(str(resources.files("litmobile.configs")))


def list_shipped() -> list[str]:
    """Names of the shipped configurations, such as detection/ssdlite_coco."""
    root = shipped_folder()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.glob("*/*.yaml"))


def find_configuration(name: str) -> Path:
    """Finds the file of configuration ``name``: the user's file if it exists, else the shipped one.

    Raises:
        UserError: neither exists.
    """
    own = Path(name).expanduser()
    if own.is_file():
        return own
    shipped = shipped_folder() / f"{name.removesuffix('.yaml')}.yaml"
    if shipped.is_file():
        return shipped
    raise UserError(f"There is no configuration {name!r}: give a file, or one of {', '.join(list_shipped())}.")


def merge_configurations(files: Sequence[Path], flags: Sequence[str]) -> dict[str, Any]:
    """Merges configuration files; later files override earlier ones.

    If a file or one of ``flags`` replaces a class, the options of the old class are dropped. Other flags are ignored.
    """
    merged: dict[str, Any] = {}
    for file in files:
        content = read_yaml(file)
        check_structure(content, file)
        merged = merge_nested(drop_replaced_options(merged, content), content)
    for flag, following in zip_longest(flags, flags[1:], fillvalue=""):
        key, equals, value = flag.partition("=")
        value = value if equals else following
        if key.startswith("--") and all(part.isidentifier() for part in value.split(".")):
            change: Any = value
            for part in reversed([part for part in key[2:].split(".") if part not in ("init_args", "class_path")]):
                change = {part: change}
            merged = drop_replaced_options(merged, change)
    return merged


def check_structure(content: dict[str, Any], file: Path) -> None:
    """Checks what the parser relies on in the ``content`` of ``file``.

    Raises:
        UserError: the Trainer's options are no mapping, a key contains dots, or a class is not described by its name
            and its options.
    """
    if not isinstance(content.get("trainer", {}), dict):
        raise UserError(f"{file}: trainer must have options below it, such as max_epochs: 10.")
    for key in content:
        if key == "config":
            raise UserError(f"{file}: a configuration cannot name another one: pass both with --config.")
        if "." in key:
            raise UserError(f"{file}: write the parts of the key {key} below each other, without dots.")
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if not isinstance(value.get("class_path", ""), str):
                raise UserError(f"{file}: class_path must be the name of a class, not {value['class_path']!r}.")
            if not isinstance(value.get("init_args", {}), dict | None):
                raise UserError(f"{file}: init_args must have options below it, not {value['init_args']!r}.")


def merge_nested(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Merges nested dictionaries; values of ``new`` override those of ``old``.

    Over a class, ``new`` may have the name of another class alone, or options without ``init_args`` around them.
    """
    merged = dict(old)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and "class_path" in before:
            if isinstance(value, str):
                value = {"class_path": value}
            elif isinstance(value, dict) and not value.keys() & {"class_path", "init_args"}:
                value = {"init_args": value}
        merged[key] = merge_nested(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def drop_replaced_options(config: Config, changes: MutableMapping[str, Any]) -> Config:
    """Drops from ``config`` the options of classes that ``changes`` replaces; options that both inherit are kept.

    An option that two classes each declare themselves, such as ``norm_eps``, can mean something different in each. An
    option that two data sets inherit from one base class, such as ``batch_size``, is the same option.

    Args:
        config: configuration so far, as a dictionary or namespace; changed in place.
        changes: configuration that follows, nested like a configuration file; a class may be given by its name only.

    Returns:
        ``config``.
    """
    for key, change in changes.items():
        old = config.get(key)
        if not isinstance(old, dict | Namespace):  # a value, of any type that an option has
            continue
        if "class_path" in old:
            new = {"class_path": change} if isinstance(change, str) else change
            options = old.get("init_args") or {}
            if isinstance(new, MutableMapping):
                drop_unshared_options(old["class_path"], options, new.get("class_path"))
                nested = new.get("init_args", new)
                drop_replaced_options(options, nested if isinstance(nested, MutableMapping) else {})
        elif isinstance(change, MutableMapping):
            drop_replaced_options(old, change)
    return config


def drop_unshared_options(old_path: str, options: Any, new_name: object) -> None:
    """Drops the ``options`` of the class at ``old_path`` that the class ``new_name`` does not also inherit."""
    old = find_class(old_path, object)
    new = None if old is None or not isinstance(new_name, str) else find_class(new_name, old)
    if old is None or new is None or new is old:  # the parser refuses classes that cannot be found
        return
    accepted = ArgumentParser().add_class_arguments(new, fail_untyped=False)
    for option in [*vars(options)] if hasattr(options, "__dict__") else [*options]:
        if option not in accepted or declaring_class(old, option) is not declaring_class(new, option):
            del options[option]


def declaring_class(cls: type, option: str) -> type | None:
    """Finds the class whose constructor declares ``option``: ``cls``, or a base that receives its ``**options``."""
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters
            if option in parameters:
                return base
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                return None
    return None


def find_class(name: str, like: type) -> type | None:
    """Finds a class by import path or name; a name is searched among the classes that share a base with ``like``."""
    if "." in name:
        try:
            return import_class(name, object)
        except ClassPathError:
            return None
    bases = [base for base in like.__mro__ if base is not object]
    return next((cls for base in bases for cls in (base, *subclasses(base)) if cls.__name__ == name), None)


def subclasses(base: type) -> Iterator[type]:
    """All classes derived from ``base``."""
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)
