"""Finds backbone classes by name or import path, and parses their constructor arguments as options."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from .... import backbones
from ....backbones.contract import Backbone, format_arguments
from ....errors import UserError, first_line
from ...options.parser import Parser


def shipped_families() -> dict[str, type[Backbone]]:
    """Returns every family that litmobile ships, by name."""
    return {name: found for name in dir(backbones) if is_backbone(found := getattr(backbones, name))}


def is_backbone(found: object) -> TypeGuard[type[Backbone]]:
    """Whether an object is a backbone class that can be built."""
    return isinstance(found, type) and issubclass(found, Backbone) and not inspect.isabstract(found)


def import_family(path: str) -> type[Backbone]:
    """Imports a backbone class by its import path, e.g. "mypackage.MyBackbone".

    Raises:
        UserError: the class does not exist, or is not a backbone.
    """
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{path} cannot be imported: {error}.") from error
    if not is_backbone(found):
        raise UserError(f"{path} is not a backbone: pass a class that derives from litmobile.backbones.Backbone.")
    return found


def add_constructor_options(parser: Parser, family: type[Backbone], skip: Collection[str] = ()) -> dict[str, Any]:
    """Adds the constructor arguments of ``family``, but those in ``skip``, to a parser and returns their defaults.

    Raises:
        UserError: an argument has the name of an option that the parser has already.
    """
    taken = parser.get_defaults(skip_validation=True).keys()
    inner = Parser()
    inner.add_class_arguments(family, fail_untyped=False, skip=set(skip))
    defaults = vars(inner.get_defaults(skip_validation=True))
    if both := sorted(taken & defaults.keys()):
        raise UserError(f"{family.__name__} has an argument {both[0]!r}, which is the command's option: rename it.")
    parser.add_class_arguments(family, fail_untyped=False, skip=set(skip))
    return defaults


def build_backbone(family: type[Backbone], arguments: Mapping[str, Any]) -> Backbone:
    """Builds a backbone in evaluation mode, on the current device.

    Raises:
        UserError: the family refuses an argument.
    """
    try:
        return family(**arguments).eval()
    except ValueError as error:  # the message of a user's own family is for the user, too
        raise UserError(str(error)) from error
    except Exception as error:
        call = f"{family.__name__}({format_arguments(arguments)})"
        raise UserError(f"{call} cannot be built: {first_line(error)}.") from error
