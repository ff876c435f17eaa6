"""Chooses the engine for an exported file. This module does not import torch, so that options are checked quickly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError, suggest
from ..task_tools import import_tool
from .packages import check_packages

if TYPE_CHECKING:
    from .engine import Engine

#: import path inside `litmobile.tools` of each engine, by name
ENGINES = {
    "onnxruntime": "engines.onnx_runtime.OnnxRuntime",
    "openvino": "engines.openvino.OpenVino",
    "executorch": "engines.executorch.ExecuTorch",
    "litert": "engines.litert.LiteRt",
    "torch": "engines.torch_export.TorchExport",
}
#: names of the engines that run files of each suffix, the default first
ENGINES_BY_SUFFIX = {
    ".onnx": ("onnxruntime", "openvino"),
    ".pte": ("executorch",),
    ".tflite": ("litert",),
    ".pt2": ("torch",),
}


def open_engine(path: Path, name: str | None = None, threads: int | None = None) -> Engine:
    """Opens an exported file.

    Args:
        path: the file.
        name: of the engine; None is the default for the file's suffix.
        threads: number of threads; None leaves it to the engine.

    Raises:
        UserError: the file does not exist or was not written by `litmobile export`; no engine runs such files, or not
            the named one; or its package is not installed.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; pass a file that litmobile export wrote.")
    engine = choose_engine(path, name)
    if path.is_dir():
        raise UserError(f"{path} is a folder; pass a file that litmobile export wrote.")
    return engine(path, threads)


def choose_engine(path: Path, name: str | None) -> type[Engine]:
    """Returns the engine for an exported file, which need not exist; ``name`` None is the default.

    Raises:
        UserError: no engine runs such files, or not the named one; or its package is not installed.
    """
    able = ENGINES_BY_SUFFIX.get(path.suffix.lower())
    if able is None and path.is_dir() and not path.suffix:
        raise UserError(f"{path} is a folder, not an exported file; pass the folder of a run as --run.")
    if able is None:
        raise UserError(f"{path} cannot be run here: engines run files that end in {', '.join(ENGINES_BY_SUFFIX)}.")
    if name is not None and name not in ENGINES:
        raise UserError(f"The engine {name!r} is unknown{suggest(name, ENGINES)} Choose one of {', '.join(ENGINES)}.")
    if name is not None and name not in able:
        raise UserError(f"{name} does not run {path.suffix} files; choose {' or '.join(able)}.")
    engine = import_tool(ENGINES[name or able[0]])
    check_packages(engine.packages)
    return engine


def is_exported(path: Path) -> bool:
    """Whether ``path`` has the suffix of files that engines run."""
    return path.suffix.lower() in ENGINES_BY_SUFFIX
