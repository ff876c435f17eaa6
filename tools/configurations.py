"""Shipped configurations: found by name from any directory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ..errors import UserError


def folder() -> Path:
    """Where the package keeps them."""
    return Path(str(resources.files("litmobile.configs")))


def shipped() -> list[str]:
    """Names of all of them, such as detection/ssdlite_coco."""
    root = folder()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.glob("*/*.yaml"))


def find(name: str) -> Path:
    """The file of configuration ``name``: a file of the user's if there is one, else a shipped one.

    Raises:
        ValueError: neither.
    """
    own = Path(name).expanduser()
    if own.is_file():
        return own
    ours = folder() / f"{name.removesuffix('.yaml')}.yaml"
    if ours.is_file():
        return ours
    raise UserError(f"There is no configuration {name!r}: it is no file, and shipped are {', '.join(shipped())}.")


def resolve(words: Sequence[str]) -> list[str]:
    """Command-line ``words`` with the names behind ``--config`` replaced by files, and these in front.

    Flags win over configurations wherever they stand, and the parser knows what they belong to.
    """
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        option, equals, name = word.partition("=")
        if option not in ("--config", "-c"):
            rest.append(word)
        elif equals:
            first.append(f"--config={find(name)}")
        else:
            first += [word, *(str(find(name)) for name in itertools.islice(remaining, 1))]
    return [*first, *rest]
