"""Imports the classes that configurations and checkpoints name, if their kind is right and their module is trusted.

Importing a module runs its code, so the module is checked first. It is trusted if an installed package provides it, if
the program has imported it already, or if the user allowed it.
"""

from __future__ import annotations

import inspect
import site
import sys
import sysconfig
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from .errors import ClassPathError, UserError, format_name

T = TypeVar("T")

_allowed_folders: set[Path] = set()
_allowed_paths: set[str] = set()


def allow_code(folder: Path) -> None:
    """Lets configurations and checkpoints name classes of the modules in ``folder``, and makes these importable.

    Raises:
        UserError: ``folder`` is not a folder.
    """
    if not folder.is_dir():
        raise UserError(f"--allow-code must name the folder that contains your modules, but {folder} is not a folder.")
    _allowed_folders.add(folder.resolve())
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))  # last, so that it replaces no installed module


def allow_class(path: str) -> None:
    """Lets configurations name the class at ``path``, which the user gave on the command line."""
    _allowed_paths.add(path)


def import_class(path: str, kind: type[T]) -> type[T]:
    """Imports the class at ``path``, e.g. "litmobile.heads.SSDLite".

    Raises:
        ClassPathError: its module is not trusted or cannot be imported, or it is not a class derived from ``kind``,
            or is abstract.
    """
    check_module(path)
    try:
        found = resolve_name(path)
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ClassPathError(f"cannot use {path}: {reason}.") from error
    if not (inspect.isclass(found) and issubclass(found, kind)):
        raise ClassPathError(f"cannot use {path}: it is not a class derived from {kind.__name__}.")
    if inspect.isabstract(found):
        raise ClassPathError(f"cannot use {path}: it is abstract; name a class that is derived from it.")
    return found


def check_module(path: str) -> None:
    """Checks that the module of the class at ``path`` is trusted, without importing it.

    Raises:
        ClassPathError: it is not.
    """
    names = path.split(".")
    # a package's __main__ runs its program when it is imported
    if len(names) < 2 or not all(name.isidentifier() and not name.startswith("__") for name in names):
        raise ClassPathError(f"cannot use {format_name(path)}: an import path looks like litmobile.heads.SSDLite.")
    if path in _allowed_paths or path.rpartition(".")[0] in sys.modules or names[0] == __name__.partition(".")[0]:
        return
    if names[0] in sys.stdlib_module_names:
        raise ClassPathError(f"cannot use {path}: Python's standard library has no such classes.")
    for file in module_files(names[0]):
        folder = file.parent.resolve()  # not that of the file, because some installers place links
        if folder not in _allowed_folders | package_folders():
            raise ClassPathError(
                f"cannot use {path}: no installed package provides {file}; if you trust it, pass --allow-code {folder} "
                f"(in Python: import {names[0]} first)."
            )


def module_files(name: str) -> list[Path]:
    """Returns the file or folders of the top-level module ``name`` on `sys.path`, without importing it.

    An empty list means that there is none, or that it comes from elsewhere, such as an editable installation.
    """
    spec = PathFinder.find_spec(name)
    if spec is None:
        return []
    # a package is a folder; without __init__.py it can be several
    return [Path(place) for place in spec.submodule_search_locations or [spec.origin] if place is not None]


@cache
def package_folders() -> frozenset[Path]:
    """Returns the folders that installed packages are imported from, also those of editable installations."""
    paths = sysconfig.get_paths()
    sites = {paths["purelib"], paths["platlib"], site.getusersitepackages(), *site.getsitepackages()}
    folders = {Path(folder).resolve() for folder in sites}
    for folder in tuple(folders):
        for file in folder.glob("*.pth"):  # each line is a folder, a comment or an import
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            folders |= {(folder / line).resolve() for line in lines if line and not line.startswith(("#", "import"))}
    return frozenset(entry for entry in folders if entry.is_dir())
