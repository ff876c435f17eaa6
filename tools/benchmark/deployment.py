"""Deployment: SSDLite as an ONNX file in ONNX Runtime, against torchvision's network and postprocessing in PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from ..engines.onnx_runtime import OnnxRuntime
from ..export.module import ExportModule, describe_module
from ..export.writers.onnx_file import write_onnx
from .detection import CLASSES, SSDLITE_SIZE, build_network
from .sides import Setting, Sides, Step, make_images

BACKGROUND = 14.0  # added to the logits of the background: no score exceeds the threshold, which favours the peer


def raise_background(layers: nn.Module, outputs: int) -> None:
    """Adds ``BACKGROUND`` to the bias of each anchor's background in the last layers of a classification head."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            with torch.no_grad():
                layer.bias.view(-1, outputs)[:, 0] += BACKGROUND


def onnx_ours(setting: Setting) -> Step:
    """Makes the step from uint8 images to detections in ONNX Runtime."""
    network = build_network().eval()
    raise_background(network.get_submodule("head.classifiers"), CLASSES + 1)
    images, _ = make_images(setting, SSDLITE_SIZE, SSDLITE_SIZE)
    array = images.contiguous().numpy()
    module = ExportModule(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ssdlite.onnx"
        write_onnx(module, path, describe_module(network, module))
        engine = OnnxRuntime(path, torch.get_num_threads())
    return lambda: engine.run(array)


def eager_torchvision(setting: Setting) -> Step:
    """Makes the step from float images to detections with torchvision's network in evaluation mode."""
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).eval()
    raise_background(network.get_submodule("head.classification_head"), CLASSES + 1)
    images, _ = make_images(setting, SSDLITE_SIZE, SSDLITE_SIZE)
    float_images = list(images.contiguous().float() / 255)

    def step() -> object:
        with torch.inference_mode():
            return network(float_images)

    return step


DEPLOYMENT: dict[str, Sides] = {"ssdlite-onnx": (onnx_ours, eager_torchvision)}
