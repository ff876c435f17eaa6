"""Writes Core ML packages (`.mlpackage`) for iOS and macOS. They are converted only: predictions need a Mac."""

from __future__ import annotations

import io
import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch._decomp import get_decompositions

from ....errors import UserError
from ....tasks.atomic import PART
from ...engines.description import Description, write_description
from ...engines.packages import import_package
from ..module import ExportModule
from ..quantization import Int8
from .failures import explain_failure
from .graph import capture_graph

LAYERS = ("conv", "conv_transpose", "linear", "matmul")


def write_coreml(module: ExportModule, path: Path, description: Description, int8: Int8 | None = None) -> None:
    """Writes a `.mlpackage` folder and the JSON file beside it.

    The input "images" is an RGB image of the network's size. The layers compute in half precision, which Apple's Neural
    Engine needs; what follows them, such as box decoding, in single precision.

    Args:
        module: the network.
        path: the package; one that exists is replaced.
        description: content of the JSON file.
        int8: must be None.

    Raises:
        UserError: ``int8`` is given, coremltools is not installed or cannot convert an operator of the network, or
            ``path`` is something else than a package.
    """
    if int8 is not None:
        raise UserError("Core ML packages stay in floats; --int8 takes .onnx, .pte and .tflite.")
    if path.exists() and not (path / "Manifest.json").is_file():
        raise UserError(f"{path} exists and is not a Core ML package; choose another name.")
    with silence_coremltools():
        library = import_package("coremltools")
        with explain_failure(module, "Core ML"):
            package = convert(library, module)
        with replace_folder(path) as part:
            package.save(str(part))
    write_description(path, description)


def convert(library: Any, module: ExportModule) -> Any:
    """Converts ``module``; ``library`` is coremltools."""
    # Core ML gives images as floats of 0 … 255
    example = (torch.zeros(1, 3, *module.size),)
    with torch.no_grad():
        program = torch.export.export(capture_graph(module), example)
    # coremltools knows most of PyTorch's operators, and faster forms than their decompositions
    program = program.run_decompositions(get_decompositions([torch.ops.aten.channel_shuffle.default]))
    return library.convert(
        program,
        inputs=[library.ImageType(name="images", shape=example[0].shape, color_layout=library.colorlayout.RGB)],
        outputs=[library.TensorType(name=name) for name in module.outputs],
        convert_to="mlprogram",
        minimum_deployment_target=library.target.iOS16,
        compute_precision=library.transform.FP16ComputePrecision(op_selector=leads_to_layer),
        skip_model_load=True,  # only macOS can load it
    )


def leads_to_layer(operation: Any) -> bool:
    """Whether an operation of Core ML's program is a layer, or a layer depends on it."""
    seen: set[int] = set()
    waiting = [operation]
    while waiting:
        current = waiting.pop()
        if current.op_type in LAYERS:
            return True
        users = [user for output in current.outputs for user in output.child_ops if id(user) not in seen]
        seen.update(map(id, users))
        waiting += users
    return False


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yields the path of a new folder beside ``path``, which replaces ``path`` at the end of the block.

    If the block fails, ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    # coremltools only writes to names with its suffix
    part, old = (path.with_name(f".{path.stem}.{token}{name}{path.suffix}") for name in (PART, ".old"))
    try:
        yield part
        if path.exists():
            path.rename(old)  # a folder cannot be renamed over another one
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def silence_coremltools() -> Iterator[None]:
    """Hides coremltools' progress, and its notes about newer versions of PyTorch and parts that only macOS has."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)
