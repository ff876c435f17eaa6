"""Writes a network as an ONNX file."""

from __future__ import annotations

import ast
import copy
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ....heads.ssdlite.decode import PostprocessConfig
from ....tasks.atomic import write_bytes
from ...engines.description import Description, write_description
from ...engines.packages import import_package
from ...library_messages import raise_log_level
from ..formats import DEFAULT_OPSET, check_opset
from ..module import ExportModule
from ..quantization import Int8
from .failures import explain_failure

if TYPE_CHECKING:
    import onnx


def write_onnx(
    module: ExportModule, path: Path, description: Description, int8: Int8 | None = None, opset: int = DEFAULT_OPSET
) -> None:
    """Writes the file, whose metadata are the ``description``, and the JSON file beside.

    The batch size is free. A detector's file contains decoding and suppression.

    Args:
        module: the network; its boxes are in pixels.
        path: the file.
        description: of the file; outputs and postprocessing are filled in.
        int8: if set, the network is quantised; decoding stays in float.
        opset: version of ONNX's operators.

    Raises:
        UserError: a package is missing, the opset is not supported, or an operator cannot be exported.
    """
    check_opset(opset)
    onnx = import_package("onnx")
    import_package("onnxscript")  # the exporter is written in it
    model = copy.deepcopy(convert(module, opset))
    if int8 is not None:
        from .onnx_int8 import quantize

        model = quantize(model, int8)
        description = replace(description, quantization=int8.describe())
    if module.postprocess:
        from .onnx_postprocess import DETECTIONS, append_postprocess

        anchors = module.count_anchors()
        append_postprocess(model, anchors, len(description.classes), PostprocessConfig(**module.postprocess))
        description = replace(description, outputs=DETECTIONS, postprocess={**module.postprocess, "is_inside": True})
    onnx.helper.set_model_props(model, description.as_json())
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())
    write_description(path, description)


@lru_cache(maxsize=1)  # int8 files need the same slow conversion again; one network and its model stay in memory
def convert(module: ExportModule, opset: int) -> onnx.ModelProto:
    """Converts the network to an ONNX model with a free batch size, whose nodes have the names of their modules.

    Raises:
        UserError: an operator cannot be exported.
    """
    # of two images, because an example of one fixes the batch size
    example = torch.zeros(2, 3, *module.size, dtype=torch.uint8)
    with silence_exporter(), explain_failure(module, "ONNX"):
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["images"],
            output_names=list(module.outputs),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    name_nodes(model.graph)
    return model


def name_nodes(graph: onnx.GraphProto) -> None:
    """Names each node after the module that it comes from, and drops what the exporter notes about source files."""
    taken: Counter[str] = Counter()
    for node in graph.node:
        notes = {note.key: note.value for note in node.metadata_props}
        scopes = ast.literal_eval(notes.get("pkg.torch.onnx.name_scopes", "[]"))
        module = scopes[-2] if len(scopes) > 1 else ""
        name = f"{module or 'network'}/{node.op_type}"
        node.name = f"{name}_{taken[name]}" if taken[name] else name
        taken[name] += 1
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info, graph):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Hides the exporter's progress and warnings."""
    with raise_log_level(logging.ERROR, "torch.onnx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
