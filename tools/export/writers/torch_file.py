"""Writes files of torch.export (`.pt2`), which PyTorch runs without the code of the network."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from ....errors import UserError
from ....tasks.atomic import write_bytes
from ...engines.description import Description, write_description
from ..module import ExportModule
from ..quantization import Int8
from .failures import explain_failure
from .graph import example_images


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
    with explain_failure(module, "torch.export"):
        program = export_any_batch(module)
        content = io.BytesIO()
        torch.export.save(program, content)  # to memory, because it warns about the ending of a temporary file
    write_bytes(path, content.getvalue())
    write_description(path, description)


def export_any_batch(module: ExportModule) -> ExportedProgram:
    """Exports ``module`` for batches of any size, or for single images where that fails."""
    with torch.no_grad():
        try:
            # an example of one image would fix the size at 1
            return torch.export.export(module, example_images(module, 2), dynamic_shapes=({0: Dim("batch")},))
        except Exception:  # its exceptions depend on what fixes the size
            return torch.export.export(module, example_images(module, 1))
