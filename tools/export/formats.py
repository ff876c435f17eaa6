"""The formats of exported files, by suffix."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...errors import UserError

OPSETS = range(18, 24)  # of ONNX, that PyTorch writes and the postprocessing needs
DEFAULT_OPSET = 18


class Format(NamedTuple):
    """How files of one suffix are written.

    Attributes:
        name: as users know it.
        writer: import path inside `litmobile.tools` of the function that writes it.
        finishes: whether a detector's file contains suppression; otherwise it stops at relative boxes and scores.
        takes_int8: whether it can be quantised.
        is_judged: whether an engine here runs it.
        takes_opset: whether the writer has an argument ``opset``.
        packages: import paths of the packages that write it.
        int8_packages: further ones that quantise it.
    """

    name: str
    writer: str
    finishes: bool = False
    takes_int8: bool = True
    is_judged: bool = True
    takes_opset: bool = False
    packages: tuple[str, ...] = ()
    int8_packages: tuple[str, ...] = ()


FORMATS = {
    ".onnx": Format(
        "ONNX",
        "export.writers.onnx_file.write_onnx",
        finishes=True,
        takes_opset=True,
        packages=("onnx", "onnxscript"),
        int8_packages=("onnxruntime",),
    ),
    ".pte": Format(
        "ExecuTorch",
        "export.writers.executorch_file.write_executorch",
        packages=("executorch",),
        int8_packages=("torchao",),
    ),
    ".tflite": Format(
        "LiteRT",
        "export.writers.litert_file.write_litert",
        packages=("litert_torch",),
        int8_packages=("ai_edge_quantizer",),
    ),
    ".pt2": Format("torch.export", "export.writers.torch_file.write_torch_export", takes_int8=False),
    ".mlpackage": Format(
        "Core ML",
        "export.writers.coreml_file.write_coreml",
        takes_int8=False,
        is_judged=False,
        packages=("coremltools",),
    ),
}


def check_opset(opset: int) -> None:
    """Raises UserError if the opset is not supported."""
    if opset not in OPSETS:
        raise UserError(f"--opset must be {OPSETS[0]} to {OPSETS[-1]}, not {opset}.")


def find_format(path: Path, int8: bool) -> Format:
    """Returns the format of a file.

    Raises:
        UserError: no format has its suffix, or it cannot be quantised.
    """
    suffixes = ", ".join(f"{suffix} ({kind.name})" for suffix, kind in FORMATS.items())
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"--to {path} has an unknown suffix; name a file that ends in one of {suffixes}.")
    if int8 and not kind.takes_int8:
        able = ", ".join(suffix for suffix, kind in FORMATS.items() if kind.takes_int8)
        raise UserError(f"--int8 does not exist for {path.suffix}; it does for {able}.")
    return kind
