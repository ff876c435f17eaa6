"""A parser for options that are constructor arguments: no abbreviations, and one sentence for each error."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from ...errors import UserError, suggest
from . import signatures as signatures  # makes the parser read each class once
from . import typed_values as typed_values  # makes the parser check what values name
from . import yaml_text as yaml_text  # makes it read words as words

EXAMPLES = {"data": "FolderClassification", "model": "DetectionTask"}
# patterns in jsonargparse's messages; the part of the innermost parser comes last
OPTION = re.compile(r"--[\w.-]+")
KEY = re.compile(r'Parser key "([\w.]+)"')
NO_BASE_CLASS = re.compile(r"given class_path '[\w.]+\.(?:LightningDataModule|Task)'")
INNER_OPTION = re.compile("--(?!allow-code)")
FINISHED = re.compile(INNER_OPTION.pattern + r"[\w.-]+[ :].*?(?=\. Got value: |$)", re.MULTILINE)
UNRECOGNIZED = re.compile(r"Unrecognized arguments: ([^\s=]+)")
UNKNOWN = re.compile(r"(?:Group '([\w.]+)' does not accept option|ccept option|Option) '([\w.]+)'(?! is required)")
VALUE = re.compile(r"argument (\S+): (expected|ignored)")
REQUIRED = re.compile(r"Option '([\w.]+)' is required")
TEXT = re.compile(r'takes text: put ".*?" in quotes\.')
CLASS_PATH = re.compile(r"(?:cannot use|there is no class) .*?[.?](?=\. Got value: |$)", re.MULTILINE)
UNION = re.compile(r"Subtypes: \[(.*)\]$[\s\S]*?^\s*Given value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
SUBTYPE = re.compile(r"<class '[\w.]+'>|[\w.]+(?:\[[^\]]*\]+)?")
NO_SUBCLASS = re.compile(r"Not a valid subclass of (\w+)\. Got value: (.*)")
EXPECTED = re.compile(r"Expected an? (.+?)\. Got value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
TYPES = re.compile(r"(?:<class '|typing\.)?(?:\w+\.)*(\w+)(?:'>)?")
TYPE_NAMES = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "text"}
NUMBERS = {"float": "numbers", "int": "whole numbers"}


def expand_users(options: dict[str, Any]) -> dict[str, Any]:
    """Expands ``~`` in paths, also in lists of them; shells leave it in ``--run=~/cells``."""

    def expand(value: Any) -> Any:
        if isinstance(value, list):
            return [expand(part) for part in value]
        return value.expanduser() if isinstance(value, Path) else value

    return {name: expand(value) for name, value in options.items()}


class Parser(ArgumentParser):
    """Parser that refuses abbreviated options and reports each error in one sentence.

    jsonargparse parses the options of a class with a nested parser. The innermost parser writes the sentence, and each
    outer parser adds its key to the option.
    """

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
            self._sentence = explain_refusal(message, OPTION.findall(self.format_usage()))
        super().error(self._sentence, ex)


def explain_refusal(report: str, options: Sequence[str]) -> str:
    """Turns a parser's message into one sentence that starts with the option's full key.

    Args:
        report: the parser's message, which may have many lines.
        options: the options that the parser has, e.g. "--width".
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
        return INNER_OPTION.sub(f"--{key}." if key else "--", finished[-1])
    if unknown := UNKNOWN.search(report):
        name = ".".join(filter(None, unknown.groups()))
        return f"--{name} is not an option{suggest(f'--{name}', options)}"
    if required := REQUIRED.search(report):
        if required[1] in ("model", "data"):
            return "--config NAME, --run FOLDER, or --model and --data are required; litmobile --help lists the names."
        name = f"--{required[1]}"
        return f"{name if name in options or '.' in name else required[1].upper()} is required."
    if text := TEXT.search(report):
        return f"--{key} {text[0]}"
    if unions := UNION.findall(report):
        types = [format_type(name) for name in SUBTYPE.findall(unions[-1][0]) if "NoneType" not in name]
        is_plain = set(types) - {"Tensor"} and all(name[0].islower() or name == "Tensor" for name in types)
        if is_plain or not CLASS_PATH.search(report):
            return f"--{key} takes {' or '.join(types)}, not {unions[-1][1]:.80}."
    if refused := CLASS_PATH.findall(report):
        return f"--{key}{' ' if refused[-1].startswith('cannot') else ': '}{refused[-1]}"
    if no_subclass := NO_SUBCLASS.search(report):
        return f"--{key} takes {no_subclass[1]}, not {no_subclass[2]:.80}."
    if expected := EXPECTED.findall(report):
        types = [format_type(name) for name, _ in expected if "NoneType" not in name]
        return f"--{key} takes {' or '.join(dict.fromkeys(types))}, not {expected[-1][1]}."
    last = KEY.sub("", report.strip().splitlines()[-1]).strip("- :.")
    return f"--{key}: {last}." if key else f"{last}."


def format_type(name: str) -> str:
    """Formats a type from the parser's message in plain words; a literal as its values."""
    if pair := re.fullmatch(r"(?:typing\.)?tuple\[(\w+), \1\]", name):
        return f"two {NUMBERS.get(pair[1], 'values')} in brackets, such as [320,480]"
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", name):
        return literal[1].replace("'", "").replace(", ", " or ")
    short = TYPES.sub(r"\1", name)
    return TYPE_NAMES.get(short, short)
