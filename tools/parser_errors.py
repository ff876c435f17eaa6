"""What the parser of options refuses, in one sentence that names the option and what it takes."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

# the parser's own words, nested as the options are: from outside the keys, innermost what is wrong
KEY = re.compile(r'Parser key "([\w.]+)"')
CLASS = re.compile(r"given class_path '([\w.]+)'")
VALUE = re.compile(r"Expected a (.*?)\. Got value: (.*?)(?:\. Got value: .*)?$", re.MULTILINE)
UNION = re.compile(r"Subtypes: \[(.*)\]")
GIVEN = re.compile(r"Given value: (.*)")
NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
NO_MODULE = re.compile(r"given class_path '([\w.]+)':\s+(No module named .*|module .* has no attribute .*)")
STRAY = re.compile(r"(?:Option|Key) '([\w.]+)' is not (?:accepted|expected)|Unrecognized arguments: (\S+)")
OF_CLASS = re.compile(r"is not accepted\. Got value: Namespace\(class_path='([\w.]+)'")
REQUIRED = re.compile(r"Option '([\w.]+)' is required")
SEVERAL = re.compile(r"(?:list|tuple)\[(?:\w+(?:, (?:\w+|\.\.\.))*|list\[\w+\])\]")
LITERAL = re.compile(r"typing\.Literal\[(.*?)\]")
PLAIN = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
PLAIN |= {"tuple": "values in [ ]", "list": "a list in [ ]", "dict": "names and values in { }"}
LISTS = {
    "list[int]": "[160,192]",
    "list[float]": "[0.5,1.0]",
    "list[str]": "[one,two]",
    "list[list[int]]": "[[0,0,0],[255,128,0]]",
    "tuple[int, int]": "[64,96]",
    "tuple[float, float]": "[0.5,2.0]",
    "tuple[float, ...]": "[0.5,1.0]",
}


class Options(argparse.ArgumentParser):
    """A parser of options that are written out, which refuses others in one sentence, too.

    Args:
        command: such as "litmobile predict".
        description: what it does.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(command, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        said = message.removeprefix("argument ").replace(": ", " ", 1) if message.startswith("argument ") else message
        self.exit(2, f"{self.prog}: {said}: {self.prog} --help lists the options.\n")


def sentence(report: str, command: str) -> str:
    """The parser's ``report``, which may have many lines, as one sentence.

    Args:
        report: what the parser said.
        command: such as "litmobile fit", for where to read on.
    """
    keys = ".".join(KEY.findall(report))
    classes = CLASS.findall(report)
    if stray := STRAY.search(report):
        name = (stray[1] or stray[2]).lstrip("-").partition("=")[0]
        name = name if not keys or name.startswith(keys) else f"{keys}.{name}"
        part = name.removeprefix(keys).strip(".").rpartition(".")[0]  # of options that stand together without a class
        classes += OF_CLASS.findall(report)
        owner = classes[-1].rpartition(".")[2] if classes else command
        owner = f"--{keys}.{part}" if part and classes else owner
        if owner == "LightningDataModule":
            return f"--{name} is an option of data that is not named: add --data=FolderClassification, say."
        return f"--{name} is no option of {owner}: {command} --help tells how to list them."
    if values := VALUE.findall(report):
        kind, given = values[-1]
        return f"--{keys} takes {kind_text(kind)}, not {given}."
    if required := REQUIRED.search(report):
        if required[1].rpartition(".")[2] in ("model", "data") and not keys:
            return f"{command} needs --config NAME, --run FOLDER, or --model and --data: litmobile --help lists names."
        owner = f"--{keys}" if keys else command
        return f"{owner} needs --{f'{keys}.{required[1]}'.lstrip('.')} as well."
    if unions := UNION.findall(report):
        plain = [PLAIN[name] for name in re.findall(r"<class '(\w+)'>", unions[-1]) if name in PLAIN]
        plain += [f"a list such as {LISTS[name]}" for name in SEVERAL.findall(unions[-1]) if name in LISTS]
        plain += [choices(values) for values in LITERAL.findall(unions[-1])]
        if plain:
            return f"--{keys} takes {' or '.join(plain)}, not {GIVEN.findall(report)[0].partition('. Got')[0]}."
    if failed := NO_MODULE.search(report):
        return f"--{keys}={failed[1]} cannot be imported: {failed[2].rstrip('.')}."
    if missing := NO_CLASS.search(report):
        there = "; litmobile backbones lists those there are" if keys.endswith("backbone") else ""
        return f"--{keys} knows no class {missing[1]}: give its name, or the path that it is imported by{there}."
    first = next((line.strip() for line in report.splitlines() if line.strip()), "the options are wrong").rstrip(".:")
    return f"{first}: {command} --help lists the options."


def kind_text(kind: str) -> str:
    """A type in the parser's words as a user would say it: a literal as its values, a class by what it stands for."""
    if literal := LITERAL.fullmatch(kind):
        return choices(literal[1])
    name = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", kind)
    return PLAIN.get(name, name)


def choices(values: str) -> str:
    """The values of a literal in the parser's words as a user would say them."""
    return " or ".join(value.strip().strip("'") for value in values.split(","))
