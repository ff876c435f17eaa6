"""Writes LiteRT files (`.tflite`), which Android and iOS run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ....tasks.atomic import write_bytes
from ...engines.description import Description, write_description
from ...engines.packages import import_package
from ..module import ExportModule
from ..quantization import Int8
from .failures import explain_failure
from .graph import capture_graph, example_images
from .litert_int8 import quantize


def write_litert(module: ExportModule, path: Path, description: Description, int8: Int8 | None = None) -> None:
    """Writes a `.tflite` file and the JSON file beside it.

    Args:
        module: the network, for one image at a time.
        path: the file.
        description: content of the JSON file.
        int8: how the layers are quantised; None for float32.

    Raises:
        UserError: litert-torch is not installed, or cannot convert an operator of the network.
    """
    library = import_package("litert_torch")
    with explain_failure(module, "LiteRT"):
        content = library.convert(capture_graph(module), example_images(module)).model_content()
        if int8 is not None:
            content = quantize(content, int8)
    if int8 is not None:
        description = replace(description, quantization=int8.describe())
    write_bytes(path, content)
    write_description(path, description)
