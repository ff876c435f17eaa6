"""Quantises graphs to int8 through PyTorch 2 Export (PT2E), for ExecuTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule

from ...engines.packages import import_package
from ..quantization import Int8
from .graph import find_inner_nodes

NOTE = "quantization_annotation"  # of a node, where quantisers of PT2E keep what they decide about it


def quantize_graph(graph_module: GraphModule, int8: Int8, quantizer: Any) -> GraphModule:
    """Returns the graph with int8 layers, whose ranges come from the calibration images.

    Args:
        graph_module: a graph from :func:`.graph.capture_graph`; is changed.
        int8: how layers are quantised.
        quantizer: of the back end that runs the graph; it annotates what its kernels can compute.

    Raises:
        UserError: torchao is not installed.
    """
    steps = import_package("torchao.quantization.pt2e.quantize_pt2e")
    notes = import_package("torchao.quantization.pt2e.quantizer")
    names = find_inner_nodes(graph_module, int8.float_ends)

    class InnerQuantizer(type(quantizer)):
        """Annotates inner nodes only. The libraries' own filters cannot: not all their annotators ask them."""

        def annotate(self, model: GraphModule) -> GraphModule:
            outer = [node for node in model.graph.nodes if node.op == "call_function" and node.name not in names]
            for node in outer:
                node.meta[NOTE] = notes.QuantizationAnnotation(_annotated=True)  # so that annotators pass it over
            model = super().annotate(model)
            for node in outer:
                node.meta.pop(NOTE, None)
            return model

    inner = InnerQuantizer()
    inner.__dict__.update(quantizer.__dict__)
    prepared = steps.prepare_pt2e(graph_module, inner)
    with torch.inference_mode():
        for image in int8.images.split(1):
            prepared(image)
    return steps.convert_pt2e(prepared)
