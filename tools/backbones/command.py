"""`litmobile backbones`: what the networks on offer cost, all of them in a table or one layer by layer."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
import types
import typing
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from jsonargparse import ArgumentParser

from ...backbones.contract import Backbone
from ...errors import UserError
from .facts import family_facts, network_facts, shipped
from .tables import network_text, overview_text

SMALLEST = 32  # pixels: the stride of the coarsest maps

DESCRIPTION = (
    "Shows every published network: its parameters, multiply-adds, maps, accuracy and weights. A family behind the "
    "command shows one network layer by layer, and takes its constructor's arguments as options: litmobile backbones "
    "MobileNetV2 --width 0.5 --size 320. Families are {families}, and classes of your own by import path."
)


def show(words: Sequence[str]) -> None:
    """Carries out ``litmobile backbones WORDS``.

    Raises:
        ValueError: there is no such family, or it refuses its options.
    """
    if words and not words[0].startswith("-"):
        family = family_called(words[0])
        arguments, size, as_json = network_options(family, words[1:])
        found = network_facts(family, arguments, size)
        print(json_text(asdict(found)) if as_json else network_text(found))
    else:
        as_json = overview_options(words)
        families = [family_facts(family) for family in shipped().values() if family.variants]
        print(json_text({"families": list(map(asdict, families))}) if as_json else overview_text(families))


def overview_options(words: Sequence[str]) -> bool:
    """Whether ``--json`` is given."""
    description = DESCRIPTION.format(families=", ".join(shipped()))
    parser = ArgumentParser(prog="litmobile backbones", description=description, exit_on_error=False)
    add_json(parser)
    try:
        return parser.parse_args(list(words)).json
    except ArgumentError as error:
        strays = re.search(r"Unrecognized arguments: (.*)", str(error))
        if strays is None:
            raise UserError(first_line_of(error)) from error
        raise UserError(
            f"litmobile backbones takes --json, or first a family and then its options, but no {strays[1]!r} here."
        ) from error


def network_options(
    family: type[Backbone], words: Sequence[str]
) -> tuple[dict[str, Any], tuple[int, int] | None, bool]:
    """The constructor arguments that are no defaults, ``--size``, and whether ``--json`` is given."""
    parser = ArgumentParser(
        prog=f"litmobile backbones {family.__name__}",
        description=f"Shows one {family.__name__} layer by layer.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    options = parser.add_class_arguments(family, None)
    taken = {"size", "json"}.intersection(options)
    if taken:
        raise UserError(
            f"{family.__name__} has an argument {taken.pop()!r}, which is an option of litmobile backbones itself: "
            "give it another name."
        )
    parser.add_argument(
        "--size", nargs="+", type=str, metavar="PIXELS", help="of the image: a number, or height and width (320x240)"
    )
    add_json(parser)
    try:
        given = vars(parser.parse_args(list(words)))
    except ArgumentError as error:
        raise UserError(sentence(error, family, options)) from error
    size, as_json = given.pop("size"), given.pop("json")
    defaults = family.defaults()
    arguments = {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
    return arguments, None if size is None else image_size(" ".join(size)), as_json


def add_json(parser: ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the same as JSON, for programs")


def family_called(name: str) -> type[Backbone]:
    """The family that ``name`` or an import path stands for.

    Raises:
        ValueError: there is none.
    """
    families = shipped()
    if name in families:
        return families[name]
    module, _, attribute = name.rpartition(".")
    if not module:
        lower = {known.lower(): known for known in families}
        close = difflib.get_close_matches(name.lower(), lower, n=1)
        guess = f"did you mean {lower[close[0]]}? " if close else ""
        raise UserError(
            f"There is no backbone {name!r}: {guess}choose one of {', '.join(families)}, or give the import path of "
            "yours, such as mypackage.MyBackbone."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name} cannot be imported: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, Backbone)) or inspect.isabstract(found):
        raise UserError(f"{name} is no backbone: give a class that derives from litmobile.backbones.Backbone.")
    return found


def image_size(text: str) -> tuple[int, int]:
    """Height and width out of "320", "320 240" or "320x240".

    Raises:
        ValueError: it is none of them, or too small.
    """
    found = re.fullmatch(r"(\d+)(?:(?:\s*[x×,]\s*|\s+)(\d+))?", text.strip())
    if found is None:
        raise UserError(f"--size takes one number or height and width in pixels, such as 320 or 320x240, not {text!r}.")
    height, width = int(found[1]), int(found[2] or found[1])
    if min(height, width) < SMALLEST:
        raise UserError(f"--size must be at least {SMALLEST} pixels, the stride of the coarsest maps, not {text}.")
    return height, width


def sentence(error: ArgumentError, family: type[Backbone], options: Sequence[str]) -> str:
    """What the parser refuses, in one sentence that names the option and what it takes."""
    text = str(error)
    offer = ", ".join(f"--{name}" for name in (*options, "size", "json"))
    if strays := re.search(r"Unrecognized arguments: (\S+)", text):
        return f"{family.__name__} has no option {strays[1].partition('=')[0]}: it takes {offer}."
    if missing := re.search(r"Option '(\w+)' is required", text):
        return f"{family.__name__} needs --{missing[1]}, {expected(family, missing[1])}."
    if bare := re.search(r"argument --(\w+): expected", text):
        return f"--{bare[1]} needs a value, {expected(family, bare[1])}."
    if refused := re.search(r'Parser key "(\w+)"', text):
        value = re.search(r"(?:Got|Given) value: (.*)", text)
        return f"--{refused[1]} takes {expected(family, refused[1])}, not {value[1] if value else 'this'}."
    return first_line_of(error)


def first_line_of(error: ArgumentError) -> str:
    """The parser's own words, as far as they are about what was given."""
    return str(error).splitlines()[0]


def expected(family: type[Backbone], option: str) -> str:
    """Values that ``option`` takes, in words."""
    if option == "size":
        return "one number, or height and width in pixels"
    hints = (typing.get_type_hints(cls.__init__) for cls in family.__mro__)  # where **kwargs go on to a parent
    return next((kind_text(found[option]) for found in hints if option in found), "a value")


def kind_text(kind: Any) -> str:
    """A type in words that a user of the command line knows."""
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(map(kind_text, typing.get_args(kind)))
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "text", types.NoneType: "null"}
    return words.get(kind, str(kind))


def json_text(content: dict[str, Any]) -> str:
    """JSON as the standard has it, without NaN."""
    return json.dumps(content, indent=1, allow_nan=False)
