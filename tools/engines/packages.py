"""Imports packages of litmobile's extras, and says which extra installs a missing one."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterable
from types import ModuleType

from ...errors import UserError
from ..library_messages import raise_log_level

#: litmobile's extra that installs each package
EXTRAS = {
    "onnx": "onnx",
    "onnxscript": "onnx",  # PyTorch's ONNX exporter is written in it
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "executorch": "executorch",
    "torchao": "executorch",
    "ai_edge_litert": "litert",
    "litert_torch": "litert-export",
    "ai_edge_quantizer": "litert-export",
    "coremltools": "coreml",
    "submitit": "slurm",
    "ray": "ray",
}


def import_package(module: str) -> ModuleType:
    """Imports a package of an extra, or a module inside one, by its import path.

    Raises:
        UserError: it is not installed.
    """
    try:
        with raise_log_level(logging.ERROR, "torch.utils._pytree"):  # torchao uses it in a deprecated way
            return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{module} cannot be imported ({error}); {describe_installation(module)}.") from error


def check_packages(packages: Iterable[str]) -> None:
    """Raises UserError if one of ``packages`` is not installed; does not import them, which can take seconds."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{package} is not installed; {describe_installation(package)}.")


def describe_installation(module: str) -> str:
    """Returns the advice how to install the package of ``module``."""
    extra = EXTRAS[module.partition(".")[0]]
    if extra == "litert-export":  # would replace PyTorch by an older version
        return "make an environment for it with python -m litmobile.tools.export.litert_environment FOLDER"
    return f"install it with pip install 'litmobile[{extra}]'"
