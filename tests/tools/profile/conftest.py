"""Runs `litmobile profile` for tests."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.tools.cli import main

Facts = dict[str, Any]
CUSTOM = """
from litmobile.backbones.sequential import SequentialBackbone
from torch import nn

class Steps(SequentialBackbone):
    def __init__(self, depth: int, width: float = 1.0):
        super().__init__(width)
        if depth > 5:
            raise ValueError(f"depth ends at 5, not at {depth}.")
        for k in range(depth):
            self.append(nn.Conv2d(3 if k == 0 else 16, 16, 3, 2, 1))
            self.add_feature(f"c{k + 1}", 16, 2 ** (k + 1))

class Sized(Steps):
    def __init__(self, size: int = 1):
        super().__init__(size)

class Broken(Steps):
    def __init__(self):
        super().__init__(2)
        self.layers[1] = nn.Conv2d(3, 3, 1)
"""


def run_profile(*words: str) -> str:
    """Run the command and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["profile", *words])
    return out.getvalue()


@pytest.fixture(scope="session")
def profile() -> Callable[..., str]:
    """A function that runs the command with words and returns what it prints."""
    return run_profile


@pytest.fixture(scope="session")
def profile_facts() -> Callable[..., Facts]:
    """A function that runs the command with words and returns its JSON."""
    return lambda *words: json.loads(run_profile(*words, "--json"))


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ``own_steps`` with custom backbones."""
    (tmp_path / "own_steps.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
