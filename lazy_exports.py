"""Packages that import what they export on first use, so that worker processes import only what they need."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def lazy_exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns ``__getattr__`` and ``__dir__`` of a package whose exports are imported on first use.

    The exports are the imports under ``if TYPE_CHECKING`` in its ``__init__.py``, which Python skips. They are listed
    once, for type checkers and for this function.

    Args:
        package: ``__name__`` of the package.
    """
    module = sys.modules[package]
    assert module.__file__ is not None
    blocks = [node for node in ast.parse(Path(module.__file__).read_bytes()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    sources = {
        name.asname or name.name: f"{'.' * node.level}{node.module or ''}" for node in imports for name in node.names
    }

    def get_export(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        source = sources[name]
        if source == ".":  # a module of the package itself
            value = importlib.import_module(f".{name}", package)
        else:
            value = getattr(importlib.import_module(source, package), name)
        setattr(module, name, value)  # later accesses do not come here
        return value

    return get_export, lambda: sorted({*vars(module), *sources})


def import_exports(*packages: ModuleType) -> None:
    """Imports all that ``packages`` export."""
    for package in packages:
        for name in dir(package):
            getattr(package, name)
