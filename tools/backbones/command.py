"""`litmobile backbones`: reports what networks cost, all of them in one table or one of them layer by layer."""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import jsonargparse

from ...backbones.contract import Backbone
from ...errors import UserError
from .report import family_facts, is_backbone, network_facts, network_text, overview_text, shipped_families

MIN_SIZE = 32  # pixels: the stride of the coarsest feature maps
TYPE_NAMES = {float: "a number", int: "a whole number", bool: "true or false", str: "text", types.NoneType: "null"}
TYPE_NAMES[inspect.Parameter.empty] = "any value"

DESCRIPTION = (
    "Lists every published network with its parameters, multiply-adds, feature maps, accuracy and weights. Name a "
    "family to see one of its networks layer by layer; its constructor arguments are options: litmobile backbones "
    "MobileNetV2 --width 0.5 --size 320. Families are {families}. Your own classes work by import path."
)


def show(words: Sequence[str]) -> None:
    """Runs ``litmobile backbones WORDS``.

    Raises:
        UserError: there is no such family, or one of the options is wrong.
    """
    if words and not words[0].startswith("-"):
        family = find_family(words[0])
        arguments, options = parse_network_options(family, words[1:])
        facts = network_facts(family, arguments, options.size and parse_size(" ".join(options.size)))
    else:
        description = textwrap.fill(DESCRIPTION.format(families=", ".join(shipped_families())))
        options, unknown = parse_words("litmobile backbones", description, {}, {}, words)
        if unknown:
            raise UserError(
                f"litmobile backbones takes --json, or a family and then its options, but not {unknown[0]!r} here."
            )
        facts = {"families": [family_facts(family) for family in shipped_families().values() if family.variants]}
    if options.json:
        print(json.dumps(facts, indent=1, allow_nan=False))
    else:
        print(overview_text(facts["families"]) if "families" in facts else network_text(facts))


def find_family(name: str) -> type[Backbone]:
    """Finds a backbone class by its name, or by its import path if it is not one of litmobile's.

    Raises:
        UserError: there is no such class, or it is not a backbone.
    """
    families = shipped_families()
    if name in families:
        return families[name]
    module, _, attribute = name.rpartition(".")
    if not module:
        by_lower_case = {known.lower(): known for known in families}
        close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
        guess = f"did you mean {by_lower_case[close[0]]}? " if close else ""
        raise UserError(
            f"There is no backbone {name!r}: {guess}choose one of {', '.join(families)}, or pass the import path of "
            "your own, such as mypackage.MyBackbone."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name} cannot be imported: {error}.") from error
    if not is_backbone(found):
        raise UserError(f"{name} is not a backbone: pass a class that derives from litmobile.backbones.Backbone.")
    return found


# ------------------------------------------------------------------------------------------------------------- options


def parse_network_options(family: type[Backbone], words: Sequence[str]) -> tuple[dict[str, Any], argparse.Namespace]:
    """Parses the options of ``litmobile backbones FAMILY``.

    Returns:
        the constructor arguments that differ from their defaults, and the options as text.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    name = family.__name__
    parameters = constructor_parameters(family)
    if taken := {"size", "json"} & parameters.keys():
        raise UserError(
            f"{name} has an argument {taken.pop()!r}, which is an option of litmobile backbones itself: rename it."
        )
    kinds = {key: type_name(parameter.annotation) for key, parameter in parameters.items()}
    kinds["size"] = "one number, or height and width in pixels"
    description, defaults = (inspect.getdoc(family) or "").partition("\n\nRaises:")[0], family.defaults()
    options, unknown = parse_words(f"litmobile backbones {name}", description, kinds, defaults, words)
    if unknown:
        offer = ", ".join(f"--{key}" for key in (*kinds, "json"))
        raise UserError(f"{name} has no option {unknown[0].partition('=')[0]}: it takes {offer}.")
    arguments = {}
    for key, parameter in parameters.items():
        text = getattr(options, key)
        if text is None and parameter.default is parameter.empty:
            raise UserError(f"{name} needs --{key}, {kinds[key]}.")
        value = parameter.default if text is None else parse_value(key, text, parameter.annotation)
        if value != parameter.default:
            arguments[key] = value
    return arguments, options


def parse_words(
    command: str, description: str, kinds: Mapping[str, str], defaults: Mapping[str, Any], words: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """Splits a command line into options.

    Args:
        command: as the help shows it.
        description: text above the options in the help.
        kinds: what each option takes, in words; ``--json`` is added.
        defaults: of the options, for the help.
        words: the command line.

    Returns:
        the text given for each option, and the words that belong to none.

    Raises:
        UserError: an option has no value, or one that it does not take.
    """
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        command, description=description, formatter_class=layout, exit_on_error=False, allow_abbrev=False
    )
    for key, kind in kinds.items():
        text = f"{kind} (default: {defaults[key]})" if key in defaults else kind
        parser.add_argument(f"--{key}", nargs="+" if key == "size" else None, metavar="VALUE", help=text)
    parser.add_argument("--json", action="store_true", help="print the same facts as JSON, for programs")
    try:
        return parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        option = str(error.argument_name)
        kind = kinds.get(option.removeprefix("--"))
        raise UserError(f"{option} needs a value, {kind}." if kind else f"{option} takes no value.") from error


def constructor_parameters(family: type[Backbone]) -> dict[str, inspect.Parameter]:
    """Returns the constructor's parameters by name, with those of its parents where it forwards ``**options``."""
    found: dict[str, inspect.Parameter] = {}
    for cls in family.__mro__:
        try:
            signature = inspect.signature(cls.__init__, eval_str=True)
        except NameError:  # a type that is imported for type checkers alone
            signature = inspect.signature(cls.__init__)
        parameters = list(signature.parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def parse_value(key: str, text: str, kind: Any) -> Any:
    """Converts ``text`` to the type ``kind`` as the command line of ``litmobile fit`` does.

    Raises:
        UserError: it is not of that type.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=Any if kind is inspect.Parameter.empty or isinstance(kind, str) else kind)
    try:
        return parser.parse_args([f"--value={text}"]).value
    except argparse.ArgumentError as error:
        raise UserError(f"--{key} takes {type_name(kind)}, not {text}.") from error


def type_name(kind: Any) -> str:
    """Describes a type in words that a user of the command line knows."""
    if typing.get_origin(kind) in (typing.Literal, typing.Union, types.UnionType):
        return " or ".join(map(type_name, typing.get_args(kind)))
    return TYPE_NAMES.get(kind, str(kind))


def parse_size(text: str) -> tuple[int, int]:
    """Parses an image size such as "320", "320 240" or "320x240" into height and width in pixels.

    Raises:
        UserError: it is none of these, or too small.
    """
    match = re.fullmatch(r"(\d+)(?:(?:\s*[x×,]\s*|\s+)(\d+))?", text.strip())
    if match is None:
        raise UserError(f"--size takes one number or height and width in pixels, such as 320 or 320x240, not {text!r}.")
    height, width = int(match[1]), int(match[2] or match[1])
    if min(height, width) < MIN_SIZE:
        raise UserError(f"--size must be at least {MIN_SIZE} pixels, the stride of the coarsest maps, not {text}.")
    return height, width
