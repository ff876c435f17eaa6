"""Writes files of torch.export (`.pt2`), which PyTorch runs without the code of the network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from ...errors import UserError
from ...tasks.atomic import replace_file
from ..engines.description import Description, write_description
from .graph import example_images, name_operators
from .module import ExportModule
from .quantization import Int8


def write_torch_export(module: ExportModule, path: Path, description: Description, int8: Int8 | None = None) -> None:
    """Writes a `.pt2` file and the JSON file beside it.

    The file takes batches of any size, or single images if an operator of the network fixes the size.

    Args:
        module: the network.
        path: the file.
        description: content of the JSON file.
        int8: must be None.

    Raises:
        UserError: ``int8`` is given, or an operator of the network cannot be exported.
    """
    if int8 is not None:
        raise UserError("Files of torch.export stay in float32; --int8 takes .onnx, .pte and .tflite.")
    with name_operators(module, ".pt2"):
        program = export_any_batch(module)
        with replace_file(path) as part:
            # torch.export.save warns about other endings, so it is given an open file
            with part.open("wb") as file:
                torch.export.save(program, file)
    write_description(path, description)


def export_any_batch(module: ExportModule) -> ExportedProgram:
    """Exports ``module`` for batches of any size, or for single images where that fails."""
    with torch.no_grad():
        try:
            # an example of one image would fix the size at 1
            return torch.export.export(module, example_images(module, 2), dynamic_shapes=({0: Dim("batch")},))
        except Exception:  # its exceptions depend on what fixes the size
            return torch.export.export(module, example_images(module, 1))
