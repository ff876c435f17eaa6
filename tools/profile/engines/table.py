"""Table of the engines by name; a new engine adds one entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ....errors import UserError, suggest
from ....tasks.network import Network
from ...engines.packages import check_packages
from ...task_tools import import_tool
from .prepared import Prepared, Settings


class EngineEntry(NamedTuple):
    """An engine.

    Attributes:
        prepare: import path inside `litmobile.tools` of the function ``(network, settings) → Prepared``.
        packages: import paths of packages that have to be installed.
    """

    prepare: str
    packages: tuple[str, ...] = ()


ONNX = ("onnx", "onnxscript")
ONNXRUNTIME = (*ONNX, "onnxruntime")
ENGINES = {
    "eager": EngineEntry("profile.engines.pytorch.prepare_eager"),
    "compiled": EngineEntry("profile.engines.pytorch.prepare_compiled"),
    "bf16": EngineEntry("profile.engines.pytorch.prepare_bf16"),
    "onnxruntime": EngineEntry("profile.engines.files.prepare_onnxruntime", ONNXRUNTIME),
    "onnxruntime-int8": EngineEntry("profile.engines.files.prepare_onnxruntime_int8", ONNXRUNTIME),
    "openvino": EngineEntry("profile.engines.files.prepare_openvino", (*ONNX, "openvino")),
    "openvino-int8": EngineEntry("profile.engines.files.prepare_openvino_int8", (*ONNXRUNTIME, "openvino")),
    "executorch": EngineEntry("profile.engines.files.prepare_executorch", ("executorch",)),
    "executorch-int8": EngineEntry("profile.engines.files.prepare_executorch_int8", ("executorch", "torchao")),
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
        check_packages(ENGINES[name].packages)


def prepare(name: str, network: Network, settings: Settings) -> Prepared:
    """Prepares a network for the engine ``name``.

    Raises:
        UserError: the network cannot be compiled or exported.
    """
    return import_tool(ENGINES[name].prepare)(network, settings)


def list_packages(names: Sequence[str]) -> list[str]:
    """Returns the packages that the engines need beside PyTorch."""
    return sorted({package for name in names for package in ENGINES[name].packages})
