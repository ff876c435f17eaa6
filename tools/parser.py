"""The parser of the training options: written-out names only, and refusals in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from torch import optim

from .. import backbones, heads
from ..tasks import classification, detection, schedule, segmentation
from .configurations import drop_replaced_options

#: classes that an unknown name may stand for
CLASSES = [
    name
    for module in (backbones, heads, classification, detection, segmentation, schedule, optim)
    for name, value in vars(module).items()
    if isinstance(value, type)
]
EXAMPLES = {"data": "FolderClassification", "model": "DetectionTask"}
# parts of the parser's own messages, innermost last
KEY = re.compile(r'Parser key "([\w.]+)"')
NO_BASE_CLASS = re.compile(r"given class_path '[\w.]+\.(?:LightningDataModule|Task)'")
FINISHED = re.compile(r"--[\w.-]+[ :].*?(?=\. Got value: |$)", re.MULTILINE)
UNKNOWN = re.compile(r"(?:ccept option|Option) '([\w.]+)'(?! is required)|Unrecognized arguments: -*([^\s=]+)")
REQUIRED = re.compile(r"Option '([\w.]+)' is required")
NOT_IMPORTED = re.compile(r"No module named '[\w.]+'|module '[\w.]+' has no attribute '\w+'")
NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
UNION = re.compile(r"Subtypes: \[(.*)\]$[\s\S]*?^\s*Given value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
SUBTYPE = re.compile(r"<class '[\w.]+'>|[\w.]+(?:\[[^\]]*\]+)?")
EXPECTED = re.compile(r"Expected an? (.+?)\. Got value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
TYPES = re.compile(r"(?:<class '|typing\.)?(?:\w+\.)*(\w+)(?:'>)?")


class Parser(LightningArgumentParser):
    """Refuses abbreviated options, and drops the options of a replaced class.

    jsonargparse parses the options of a class with a parser of its own. The innermost one makes a sentence of what it
    refuses; each outer one adds its key.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        strict: dict[str, Any] = {"allow_abbrev": False, "exit_on_error": False}
        super().__init__(*arguments, **strict | options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        parser = getattr(ex, "subcommand_parser", self)
        super().error(explain_refusal(message, parser.get_defaults(skip_validation=True).keys()), ex)

    def merge_config(self, cfg_from: Namespace, cfg_to: Namespace) -> Namespace:
        """Merges values over defaults; those of a class that is not the default's are not for the new one."""
        return super().merge_config(cfg_from, drop_replaced_options(cfg_to.clone(), cfg_from.as_dict()))


def explain_refusal(report: str, names: Iterable[str]) -> str:
    """What one parser reports, as a sentence that starts with the option's full key.

    Args:
        report: the parser's message, which may have many lines.
        names: the options that the parser has.
    """
    key = "".join(KEY.findall(report)[:1])
    if NO_BASE_CLASS.search(report):  # options were given, but not of which class
        return f"--{key} must name a class, e.g. --{key}={EXAMPLES.get(key, 'CLASS')}."
    if finished := FINISHED.findall(report):  # by an inner parser
        return finished[-1].replace("--", f"--{key}." if key else "--")
    if unknown := UNKNOWN.search(report):
        name = unknown[1] or unknown[2]
        return f"--{name} is not an option{suggest(name, names, '--')}"
    if required := REQUIRED.search(report):
        if required[1] in ("model", "data"):
            return "--config NAME, --run FOLDER, or --model and --data are required; litmobile --help lists the names."
        return f"--{required[1]} is required."
    if missing := NOT_IMPORTED.search(report):
        return f"--{key} cannot be imported: {missing[0]}."
    if unions := UNION.findall(report):
        types = [format_type(name) for name in SUBTYPE.findall(unions[-1][0]) if "NoneType" not in name]
        if set(types) - {"Tensor"} and all(name[0].islower() or name == "Tensor" for name in types):
            return f"--{key} takes {' or '.join(types)}, not {unions[-1][1]}."
    if no_class := NO_CLASS.search(report):
        return f"--{key}: there is no class {no_class[1]}{suggest(no_class[1], CLASSES)}"
    if expected := EXPECTED.findall(report):
        types = [format_type(name) for name, _ in expected if "NoneType" not in name]
        return f"--{key} takes {' or '.join(dict.fromkeys(types))}, not {expected[-1][1]}."
    last = KEY.sub("", report.strip().splitlines()[-1]).strip("- :.")
    return f"--{key}: {last}." if key else f"{last}."


def suggest(name: str, names: Iterable[str], prefix: str = "") -> str:
    """The end of a sentence about an unknown ``name``: the most similar one of ``names``, if there is one."""
    by_lower = {known.lower(): known for known in names}
    similar = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {prefix}{by_lower[similar[0]]}?" if similar else "."


def format_type(name: str) -> str:
    """A type in the parser's words as users write it; a literal as its values."""
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", name):
        return literal[1].replace("'", "").replace(", ", " or ")
    return TYPES.sub(r"\1", name)
