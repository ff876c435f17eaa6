"""Decides what a value of a configuration may be before jsonargparse gives it the type of its option.

jsonargparse imports and calls what a value names wherever a type is a class, a callable or `Any`. It offers no hook for
a check, but one of its functions adapts every value, nested ones included. :func:`adapt_value` replaces it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Union, cast

import yaml
from jsonargparse import Namespace, _typehints
from jsonargparse._util import NestedArg, get_typehint_origin, parse_value_or_config

from ...class_paths import import_class
from ...errors import ClassPathError, format_name, suggest

#: "detection", "segmentation" or "classification": whose classes are listed for an unknown name; empty for all
task_role: ContextVar[str] = ContextVar("task_role", default="")

adapt_typehints = _typehints.adapt_typehints


def adapt_value(value: Any, typehint: Any, serialize: bool = False, default: Any = None, **options: Any) -> Any:
    """Adapts ``value`` to ``typehint`` as jsonargparse does, but only if it names no function and no other class.

    A whole number becomes text where only text fits, so that classes can be called 0 and 1.

    Raises:
        ClassPathError: the value names something that ``typehint`` does not accept.
        ValueError: the value has another type.
    """
    options |= {"serialize": serialize, "default": default}
    if serialize or (type(value) in (str, int, float, bool) and value == default):
        return adapt_typehints(value, typehint, **options)
    if typehint is str and (value is None or isinstance(value, bool | float)):
        raise ValueError(f'takes text: put "{json.dumps(value)}" in quotes.')
    if typehint is Any:
        return parse_plain_value(value)
    if type(value) is int and accepts_text(typehint):
        try:
            return adapt_typehints(value, without_text(typehint), **options)
        except (TypeError, ValueError):
            return str(value)
    check_named_class(value, typehint)
    return adapt_typehints(value, typehint, **options)


def parse_plain_value(value: Any) -> Any:
    """Parses text as YAML, and builds nothing: the option's owner decides what becomes of a class that is named."""
    if isinstance(value, str):
        with suppress(yaml.YAMLError):
            return parse_value_or_config(value, enable_path=False, simple_types=True)[0]
    return value


def accepts_text(typehint: Any) -> bool:
    """Whether ``typehint`` is text, or a union with text."""
    return typehint is str or (get_typehint_origin(typehint) is Union and str in typehint.__args__)


def without_text(typehint: Any) -> Any:
    """Returns the union ``typehint`` without text; None for text alone."""
    others = tuple(kind for kind in getattr(typehint, "__args__", ()) if kind is not str)
    return Union[others] if others else type(None)  # noqa: UP007 — built at run time


def check_named_class(value: Any, typehint: Any) -> None:
    """Checks the class that ``value`` names, if ``typehint`` is a class, a callable or a type.

    Raises:
        ClassPathError: it is unknown, not trusted, or not of the kind that ``typehint`` expects.
    """
    path = named_class(value)
    if not names_classes(typehint):
        return
    if has_unchecked_options(value):
        raise ClassPathError(f"cannot use {path or 'a class'} with dict_kwargs: write its options below init_args.")
    kind = expected_kind(typehint)
    if path is None and is_callable(typehint) and not isinstance(value, NestedArg | Mapping | Namespace | Callable):
        raise ClassPathError(f"cannot use {value!r}: it is not the name of a class.")  # jsonargparse would pass it on
    if path is None:
        return
    if kind is None:
        raise ClassPathError(f"cannot use {path}: configurations cannot name functions, or classes of any kind.")
    if "." in path:
        import_class(path, kind)
    elif path not in known_classes(kind):
        names = list_choices(kind)
        listed = f"; choose among {', '.join(names)}" if names else ""
        raise ClassPathError(f"there is no class {format_name(path)}{listed}{suggest(path, names)}")


def named_class(value: Any) -> str | None:
    """Returns the name or import path of the class that ``value`` names."""
    if isinstance(value, NestedArg):
        value = value.val if value.key == "class_path" else None
    elif isinstance(value, Mapping | Namespace):
        value = value.get("class_path")
    return value if isinstance(value, str) else None


def has_unchecked_options(value: Any) -> bool:
    """Whether ``value`` gives a class options that its constructor does not declare."""
    if isinstance(value, NestedArg):
        return value.key.partition(".")[0] == "dict_kwargs"
    return isinstance(value, Mapping | Namespace) and "dict_kwargs" in value


def names_classes(typehint: Any) -> bool:
    """Whether jsonargparse takes a value of ``typehint`` for the name of a class or function."""
    origin = get_typehint_origin(typehint)
    if typehint is type or origin is type or is_callable(typehint):
        return True
    return _typehints.is_single_subclass_or_closed_type(typehint, origin)


def expected_kind(typehint: Any) -> type | None:
    """Returns the class that values of ``typehint`` must be derived from; None if it admits anything."""
    kind = typehint
    if is_callable(typehint):
        kind = _typehints.get_callable_return_type(typehint)
    elif get_typehint_origin(typehint) is type:
        kind = typehint.__args__[0]
    kind = get_typehint_origin(kind) or kind
    if not inspect.isclass(kind) or kind in (Any, object, type) or _typehints.is_protocol(kind):
        return None  # a protocol is no kind, because unrelated classes have its methods
    return cast("type", kind)


def find_missing_value(cls: type, options: Mapping[str, Any]) -> str | None:
    """Returns the name of an option of ``cls`` that is None although its type does not admit it, or None.

    The parser lets null pass for every option.
    """
    for name in (name for name, value in options.items() if value is None):
        owner = next((base for base in cls.__mro__ if name in get_own_parameters(base)), cls)
        parameter = get_own_parameters(owner).get(name)
        if parameter is None or parameter.default is None or parameter.annotation is parameter.empty:
            continue
        if not re.search("None|Optional|Any", str(parameter.annotation)):
            return name
    return None


def get_own_parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of the constructor that ``cls`` defines itself."""
    return inspect.signature(vars(cls)["__init__"]).parameters if inspect.isfunction(vars(cls).get("__init__")) else {}


def is_callable(typehint: Any) -> bool:
    """Whether ``typehint`` is a callable, whose values jsonargparse imports."""
    origin = get_typehint_origin(typehint) or typehint
    return origin in _typehints.callable_origin_types or _typehints.is_instance_factory_protocol(typehint)


def known_classes(kind: type) -> dict[str, str]:
    """Returns the import paths of the imported classes derived from ``kind``, by the name that suffices for them."""
    return {path.rpartition(".")[2]: path for path in _typehints.get_all_subclass_paths(kind)}


def list_choices(kind: type) -> list[str]:
    """Returns the names of the classes derived from ``kind`` that packages export, for the task if some are for one."""
    known = known_classes(kind)
    exported = {name: path for name, path in known.items() if is_exported(path)} or known
    roles = {name: getattr(find_loaded(path), "role", None) for name, path in exported.items()}
    if any(roles.values()):
        wanted = ("", task_role.get()) if task_role.get() else ("", *filter(None, roles.values()))
        return sorted(name for name, role in roles.items() if role in wanted)
    return sorted(exported)


def is_exported(path: str) -> bool:
    """Whether the class at ``path`` belongs to the interface of a package, not to one of its modules."""
    return hasattr(sys.modules.get(path.rpartition(".")[0]), "__path__")


def find_loaded(path: str) -> object:
    """Returns the class at ``path``, unless it is local or inside another class."""
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


_typehints.adapt_typehints = adapt_value
