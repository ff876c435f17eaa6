"""`litmobile backbones`: reports what networks cost, all of them in one table or one of them layer by layer."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from jsonargparse import Namespace

from ...backbones.contract import Backbone
from ...errors import UserError, suggest
from ..options.parser import Parser
from .report import family_facts, is_backbone, network_facts, network_text, overview_text, shipped_families

MIN_SIZE = 32  # pixels: the stride of the coarsest feature maps
JSON_HELP = "print the same facts as JSON, for programs"

DESCRIPTION = (
    "Lists every published network with its parameters, multiply-adds, feature maps, accuracy and weights. Name a "
    "family to see one of its networks layer by layer; its constructor arguments are options: litmobile backbones "
    "MobileNetV2 --width 0.5 --size 320. Families are {families}. Your own classes work by import path."
)


def show(words: Sequence[str]) -> None:
    """Runs ``litmobile backbones WORDS``.

    Raises:
        UserError: the family does not exist, or one of the options is wrong.
    """
    if words and not words[0].startswith("-"):
        family = find_family(words[0])
        arguments, options = parse_network_options(family, words[1:])
        facts = network_facts(family, arguments, options.size and parse_size(" ".join(options.size)))
    else:
        options = parse_overview_options(words)
        facts = {"families": [family_facts(family) for family in shipped_families().values() if family.variants]}
    if options.json:
        text = json.dumps(facts, indent=1, allow_nan=False)
    else:
        text = overview_text(facts["families"]) if "families" in facts else network_text(facts)
    print(text)


def find_family(name: str) -> type[Backbone]:
    """Finds a backbone class by its name, or by its import path if it is not one of litmobile's.

    Raises:
        UserError: the class does not exist, or is not a backbone.
    """
    families = shipped_families()
    if name in families:
        return families[name]
    module, _, attribute = name.rpartition(".")
    if not module:
        raise UserError(
            f"There is no backbone {name!r}{suggest(name, families)} Choose one of {', '.join(families)}, or pass the "
            "import path of your own, such as mypackage.MyBackbone."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name} cannot be imported: {error}.") from error
    if not is_backbone(found):
        raise UserError(f"{name} is not a backbone: pass a class that derives from litmobile.backbones.Backbone.")
    return found


def parse_network_options(family: type[Backbone], words: Sequence[str]) -> tuple[dict[str, Any], Namespace]:
    """Parses the options of ``litmobile backbones FAMILY``.

    Returns:
        the constructor arguments that differ from their defaults, and all options.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    description = (inspect.getdoc(family) or "").partition("\n")[0]
    parser = Parser(prog=f"litmobile backbones {family.__name__}", description=description)
    parser.add_class_arguments(family, fail_untyped=False)
    defaults = vars(parser.get_defaults(skip_validation=True))
    if taken := {"size", "json"} & defaults.keys():
        raise UserError(f"{family.__name__} has an argument {taken.pop()!r}, which is the command's option: rename it.")
    parser.add_argument("--size", nargs="+", help="image size in pixels: one number, or height and width, e.g. 320x240")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    options = parser.parse_words(words)
    return {key: options[key] for key, default in defaults.items() if options[key] != default}, options


def parse_overview_options(words: Sequence[str]) -> Namespace:
    """Parses the options of ``litmobile backbones`` without a family."""
    unknown = [word for word in words if word not in ("--json", "--help", "-h")]
    if unknown:
        raise UserError(f"litmobile backbones takes --json, or a family and its options, but not {unknown[0]!r} here.")
    description = textwrap.fill(DESCRIPTION.format(families=", ".join(shipped_families())))
    parser = Parser(prog="litmobile backbones", description=description)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    return parser.parse_words(words)


def parse_size(text: str) -> tuple[int, int]:
    """Parses an image size such as "320", "320 240" or "320x240" into height and width in pixels.

    Raises:
        UserError: ``text`` has another format, or the size is too small.
    """
    match = re.fullmatch(r"(\d+)(?:(?:\s*[x×,]\s*|\s+)(\d+))?", text.strip())
    if match is None:
        raise UserError(f"--size takes one number or height and width in pixels, such as 320 or 320x240, not {text!r}.")
    height, width = int(match[1]), int(match[2] or match[1])
    if min(height, width) < MIN_SIZE:
        raise UserError(f"--size must be at least {MIN_SIZE} pixels, the stride of the coarsest maps, not {text}.")
    return height, width
