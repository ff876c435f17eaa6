"""Table of the engines by name; a new engine adds one entry."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ....errors import UserError, suggest
from ....tasks.network import Network
from ...engines.engine import import_package
from .prepared import Prepared, Settings


class EngineEntry(NamedTuple):
    """An engine.

    Attributes:
        prepare: path in this package of the function ``(network, settings) → Prepared``, imported when it is needed.
        packages: that have to be installed; import paths.
        extra: of litmobile, which installs them.
    """

    prepare: str
    packages: tuple[str, ...] = ()
    extra: str = ""


ONNX = ("onnx", "onnxscript")
ENGINES = {
    "eager": EngineEntry("pytorch.prepare_eager"),
    "compiled": EngineEntry("pytorch.prepare_compiled"),
    "bf16": EngineEntry("pytorch.prepare_bf16"),
    "onnxruntime": EngineEntry("files.prepare_onnxruntime", (*ONNX, "onnxruntime"), "onnx"),
    "onnxruntime-int8": EngineEntry("files.prepare_onnxruntime_int8", (*ONNX, "onnxruntime"), "onnx"),
    "openvino": EngineEntry("files.prepare_openvino", (*ONNX, "openvino"), "openvino"),
    "openvino-int8": EngineEntry("files.prepare_openvino_int8", (*ONNX, "onnxruntime", "openvino"), "openvino"),
    "executorch": EngineEntry("files.prepare_executorch", ("executorch",), "executorch"),
    "executorch-int8": EngineEntry("files.prepare_executorch_int8", ("executorch", "torchao"), "executorch"),
}
PYTORCH = ("eager", "compiled", "bf16")  # that run on any device


def check_engines(names: Sequence[str], device: str) -> None:
    """Checks that engines exist, that their packages are installed, and that they run on the device.

    Raises:
        UserError: one of them does not.
    """
    for name in names:
        if name not in ENGINES:
            raise UserError(f"--engines: {name} is unknown{suggest(name, ENGINES)} Choose among {', '.join(ENGINES)}.")
        if device != "cpu" and name not in PYTORCH:
            raise UserError(f"--engines: {name} runs on the CPU; with --device {device}, take {', '.join(PYTORCH)}.")
        for package in ENGINES[name].packages:
            import_package(package, ENGINES[name].extra)


def prepare(name: str, network: Network, settings: Settings) -> Prepared:
    """Prepares a network for the engine ``name``.

    Raises:
        UserError: the network cannot be compiled or exported.
    """
    module, _, function = ENGINES[name].prepare.partition(".")
    prepare_network: Callable[[Network, Settings], Prepared]
    prepare_network = getattr(importlib.import_module(f".{module}", __package__), function)
    return prepare_network(network, settings)


def list_packages(names: Sequence[str]) -> list[str]:
    """Returns the packages that the engines need beside PyTorch."""
    return sorted({package for name in names for package in ENGINES[name].packages})
