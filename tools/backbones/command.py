"""`litmobile backbones`: lists all published networks with their cost, feature maps, accuracy and weights."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from ...errors import UserError
from ..options.parser import Parser
from ..profile.backbone.families import shipped_families
from .report import family_facts, overview_text

DESCRIPTION = (
    "Lists every published network with its parameters, multiply-adds, feature maps, accuracy and weights. litmobile "
    "profile NAME shows what one network costs. Families are {families}."
)


def show(words: Sequence[str]) -> None:
    """Runs ``litmobile backbones WORDS``.

    Raises:
        UserError: one of the words is not an option.
    """
    if words and not words[0].startswith("-"):
        raise UserError(f"litmobile backbones lists all networks; litmobile profile {words[0]} shows what one costs.")
    unknown = [word for word in words if word not in ("--json", "--help", "-h")]
    if unknown:
        raise UserError(f"litmobile backbones takes --json only, not {unknown[0]!r}.")
    families = shipped_families()
    description = textwrap.fill(DESCRIPTION.format(families=", ".join(families)))
    parser = Parser(prog="litmobile backbones", description=description)
    parser.add_argument("--json", action="store_true", help="print the same facts as JSON, for programs")
    options = parser.parse_words(words)
    facts = [family_facts(family) for family in families.values() if family.variants]
    print(json.dumps({"families": facts}, indent=1, allow_nan=False) if options.json else overview_text(facts))
