"""A parser for options that are constructor arguments: no abbreviations, and one sentence for each error."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NoReturn

from jsonargparse import ArgumentParser, Namespace

from ..errors import UserError, suggest

EXAMPLES = {"data": "FolderClassification", "model": "DetectionTask"}
# patterns in jsonargparse's messages; the part of the innermost parser comes last
OPTION = re.compile(r"--[\w.-]+")
KEY = re.compile(r'Parser key "([\w.]+)"')
NO_BASE_CLASS = re.compile(r"given class_path '[\w.]+\.(?:LightningDataModule|Task)'")
FINISHED = re.compile(r"--[\w.-]+[ :].*?(?=\. Got value: |$)", re.MULTILINE)
UNRECOGNIZED = re.compile(r"Unrecognized arguments: ([^\s=]+)")
UNKNOWN = re.compile(r"(?:Group '([\w.]+)' does not accept option|ccept option|Option) '([\w.]+)'(?! is required)")
VALUE = re.compile(r"argument (\S+): (expected|ignored)")
REQUIRED = re.compile(r"Option '([\w.]+)' is required")
NOT_IMPORTED = re.compile(r"No module named '[\w.]+'|module '[\w.]+' has no attribute '\w+'")
NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
UNION = re.compile(r"Subtypes: \[(.*)\]$[\s\S]*?^\s*Given value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
SUBTYPE = re.compile(r"<class '[\w.]+'>|[\w.]+(?:\[[^\]]*\]+)?")
EXPECTED = re.compile(r"Expected an? (.+?)\. Got value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
TYPES = re.compile(r"(?:<class '|typing\.)?(?:\w+\.)*(\w+)(?:'>)?")
TYPE_NAMES = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "text"}


class Parser(ArgumentParser):
    """Parser that refuses abbreviated options and reports each error in one sentence.

    jsonargparse parses the options of a class with a nested parser. The innermost parser writes the sentence, and each
    outer parser adds its key to the option.

    Attributes:
        known_classes: class names to suggest for an unknown class.
    """

    known_classes: ClassVar[Sequence[str]] = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        strict: dict[str, Any] = {"allow_abbrev": False, "exit_on_error": False}
        super().__init__(*arguments, **strict | options)
        self._sentence = ""  # the last refusal

    def parse_words(self, words: Sequence[str]) -> Namespace:
        """Parses a command line.

        Raises:
            UserError: an option is unknown, missing or has a wrong value, or an argument is empty.
        """
        if "" in words:  # as a script passes an unset variable; a path would become the current folder
            raise UserError("An argument is empty: pass a value, or leave the option out.")
        try:
            return self.parse_args(list(words))
        except ArgumentError as error:
            raise UserError(str(error)) from error

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if message != self._sentence:  # jsonargparse reports a refusal twice
            options = OPTION.findall(self.format_usage())
            self._sentence = explain_refusal(message, options, self.known_classes)
        super().error(self._sentence, ex)


def explain_refusal(report: str, options: Sequence[str], classes: Iterable[str] = ()) -> str:
    """Turns a parser's message into one sentence that starts with the option's full key.

    Args:
        report: the parser's message, which may have many lines.
        options: the options that the parser has, e.g. "--width".
        classes: class names to suggest for an unknown class.
    """
    key = "".join(KEY.findall(report)[:1])
    if unrecognized := UNRECOGNIZED.match(report):
        return f"{unrecognized[1]} is not an option{suggest(unrecognized[1], options)}"
    if value := VALUE.match(report):
        option = f"An option of {value[1]}" if value[1].strip("-") in EXAMPLES else value[1]
        return f"{option} {'needs a' if value[2] == 'expected' else 'takes no'} value."
    if NO_BASE_CLASS.search(report):  # options were given, but not their class
        return f"--{key} must name a class, e.g. --{key}={EXAMPLES.get(key, 'CLASS')}."
    if finished := FINISHED.findall(report):  # written by an inner parser
        return finished[-1].replace("--", f"--{key}." if key else "--")
    if unknown := UNKNOWN.search(report):
        name = ".".join(filter(None, unknown.groups()))
        return f"--{name} is not an option{suggest(f'--{name}', options)}"
    if required := REQUIRED.search(report):
        if required[1] in ("model", "data"):
            return "--config NAME, --run FOLDER, or --model and --data are required; litmobile --help lists the names."
        return f"--{required[1]} is required."
    if missing := NOT_IMPORTED.search(report):
        return f"--{key} cannot be imported: {missing[0]}."
    if unions := UNION.findall(report):
        types = [format_type(name) for name in SUBTYPE.findall(unions[-1][0]) if "NoneType" not in name]
        is_plain = set(types) - {"Tensor"} and all(name[0].islower() or name == "Tensor" for name in types)
        if is_plain or not NO_CLASS.search(report):
            return f"--{key} takes {' or '.join(types)}, not {unions[-1][1]:.80}."
    if no_class := NO_CLASS.search(report):
        return f"--{key}: there is no class {no_class[1]}{suggest(no_class[1], classes)}"
    if expected := EXPECTED.findall(report):
        types = [format_type(name) for name, _ in expected if "NoneType" not in name]
        return f"--{key} takes {' or '.join(dict.fromkeys(types))}, not {expected[-1][1]}."
    last = KEY.sub("", report.strip().splitlines()[-1]).strip("- :.")
    return f"--{key}: {last}." if key else f"{last}."


def format_type(name: str) -> str:
    """Formats a type from the parser's message in plain words; a literal as its values."""
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", name):
        return literal[1].replace("'", "").replace(", ", " or ")
    short = TYPES.sub(r"\1", name)
    return TYPE_NAMES.get(short, short)
