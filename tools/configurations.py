"""Shipped configurations: found by name from any directory."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path


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
    raise ValueError(f"There is no configuration {name!r}: it is no file, and shipped are {', '.join(shipped())}.")


def resolve(words: Sequence[str]) -> list[str]:
    """Command-line ``words`` with the values of ``--config`` replaced by files."""
    resolved: list[str] = []
    expects_name = False
    for word in words:
        if expects_name:
            word = str(find(word))
        elif word.startswith("--config="):
            word = f"--config={find(word.removeprefix('--config='))}"
        expects_name = word in ("--config", "-c")
        resolved.append(word)
    return resolved
