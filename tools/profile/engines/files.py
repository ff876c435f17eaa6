"""Prepares networks for programs that run exported files."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import torch

from ....tasks.network import Network
from ....versions import list_versions
from ...engines.choice import open_engine
from ...engines.description import Description
from ...export.formats import FORMATS
from ...export.module import ExportModule
from ...export.quantization import Int8
from ...task_tools import import_tool
from .prepared import Prepared, Settings, make_noise

CALIBRATION_IMAGES = 4  # of noise: ranges of activations decide the accuracy, not the speed


def prepare_file(engine: str, suffix: str, is_int8: bool, network: Network, settings: Settings) -> Prepared:
    """Exports a network, unless another engine needed the same file, and opens it.

    Args:
        engine: its name for `litmobile predict`.
        suffix: of the file.
        is_int8: whether the network is quantised.
        network: on any device.
        settings: folder of the file, and threads.

    Raises:
        UserError: the network cannot be exported, or a package is missing.
    """
    path = settings.folder / f"{'int8' if is_int8 else 'float'}{suffix}"
    if not path.exists():
        kind = FORMATS[suffix]
        module = make_module(network, relative_boxes=not kind.finishes)
        int8 = make_calibration(module.size) if is_int8 else None
        import_tool(kind.writer)(module, path, describe(network, module), int8)
    opened = open_engine(path, engine, settings.threads)
    return Prepared(np.ascontiguousarray, opened.run, path)


@lru_cache(maxsize=1)  # of a network that several engines export
def make_module(network: Network, relative_boxes: bool) -> ExportModule:
    """Builds the form of a network that files contain."""
    return ExportModule(network, relative_boxes=relative_boxes)


def describe(network: Network, module: ExportModule) -> Description:
    """Describes the file of a network that is only measured."""
    return Description(
        role=module.role,
        classes=network.classes,
        preprocessing=network.preprocessing,
        outputs=module.outputs,
        postprocess={**module.postprocess, "is_inside": False} if module.postprocess else {},
        versions=list_versions(),
    )


def make_calibration(size: tuple[int, int]) -> Int8:
    """Makes noise to quantise with, for networks of which only the speed matters."""
    images = torch.from_numpy(make_noise(CALIBRATION_IMAGES, size))
    return Int8(images, per_channel=True, float_ends=False)


prepare_onnxruntime = partial(prepare_file, "onnxruntime", ".onnx", False)
prepare_onnxruntime_int8 = partial(prepare_file, "onnxruntime", ".onnx", True)
prepare_openvino = partial(prepare_file, "openvino", ".onnx", False)
prepare_openvino_int8 = partial(prepare_file, "openvino", ".onnx", True)
prepare_executorch = partial(prepare_file, "executorch", ".pte", False)
prepare_executorch_int8 = partial(prepare_file, "executorch", ".pte", True)
