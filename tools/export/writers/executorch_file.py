"""Writes ExecuTorch files (`.pte`), which XNNPACK executes on the CPUs of phones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch.fx import GraphModule

from ....tasks.atomic import write_bytes
from ...engines.description import Description, write_description
from ...engines.packages import import_package
from ..module import ExportModule
from ..quantization import Int8
from .failures import explain_failure
from .graph import capture_graph, capture_program
from .pt2e import quantize_graph


def write_executorch(module: ExportModule, path: Path, description: Description, int8: Int8 | None = None) -> None:
    """Writes a `.pte` file and the JSON file beside it.

    Args:
        module: the network, for one image at a time.
        path: the file.
        description: content of the JSON file.
        int8: how the layers are quantised; None for float32.

    Raises:
        UserError: ExecuTorch is not installed, or cannot convert an operator of the network.
    """
    program = import_package("executorch.exir")
    partitioner = import_package("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    with explain_failure(module, "ExecuTorch"):
        graph_module = capture_graph(module)
        if int8 is not None:
            graph_module = quantize(graph_module, int8)
        split_hardsigmoids(graph_module)
        lowered = program.to_edge_transform_and_lower(
            capture_program(graph_module, module), partitioner=[partitioner.XnnpackPartitioner()]
        )
        content = lowered.to_executorch().buffer
    if int8 is not None:
        description = replace(description, quantization=int8.describe())
    write_bytes(path, content)
    write_description(path, description)


def split_hardsigmoids(graph_module: GraphModule) -> None:
    """Replaces hard sigmoids, for which XNNPACK has no kernel, by operators that it has.

    ExecuTorch would do so too, with integer constants that it converts to floats whenever the program runs.
    """
    aten, graph = torch.ops.aten, graph_module.graph
    for target in (aten.hardsigmoid.default, aten.hardsigmoid_.default):
        for node in graph.find_nodes(op="call_function", target=target):
            with graph.inserting_before(node):
                scaled = graph.call_function(aten.mul.Tensor, (node.args[0], 1 / 6))
                shifted = graph.call_function(aten.add.Tensor, (scaled, 0.5))
                clipped = graph.call_function(aten.clamp.default, (shifted, 0.0, 1.0))
            node.replace_all_uses_with(clipped)
            graph.erase_node(node)
    graph_module.recompile()


def quantize(graph_module: GraphModule, int8: Int8) -> GraphModule:
    """Returns the graph with the layers in int8 that XNNPACK has kernels for."""
    quantizers = import_package("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
    config = quantizers.get_symmetric_quantization_config(is_per_channel=int8.per_channel)
    return quantize_graph(graph_module, int8, quantizers.XNNPACKQuantizer().set_global(config))
