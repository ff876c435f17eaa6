"""Writes LiteRT files (`.tflite`), which Android and iOS run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...tasks.atomic import write_bytes
from ..engines.description import Description, write_description
from ..engines.engine import import_package
from .failures import explain_failure
from .graph import capture_graph, example_images
from .module import ExportModule
from .pt2e import quantize_graph
from .quantization import Int8

EXTRA = "litert-export"


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
    library = import_package("litert_torch", EXTRA)
    with explain_failure(module, "LiteRT"):
        network = capture_graph(module)
        config = None
        if int8 is not None:
            quantizers = import_package("litert_torch.quantize.pt2e_quantizer", EXTRA)
            symmetric = quantizers.get_symmetric_quantization_config(is_per_channel=int8.per_channel)
            quantizer = quantizers.PT2EQuantizer().set_global(symmetric)
            network = quantize_graph(network, int8, quantizer, EXTRA)
            config = import_package("litert_torch.quantize.quant_config", EXTRA).QuantConfig(pt2e_quantizer=quantizer)
        content = library.convert(network, example_images(module), quant_config=config).model_content()
    if int8 is not None:
        description = replace(description, quantization=int8.describe())
    write_bytes(path, content)
    write_description(path, description)
