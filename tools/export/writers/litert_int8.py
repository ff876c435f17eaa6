"""Quantises LiteRT networks to int8 with the AI Edge Quantizer.

PT2E, which ExecuTorch files go through, fails here: litert-torch 0.10 cannot convert the dequantisation of weights that
are read through a transpose (litert-torch issue 179).
"""

from __future__ import annotations

import re
from typing import Any

from ...engines.packages import import_package
from ..quantization import Int8
from .graph import spread

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")  # whose weights are quantised
#: XNNPACK has no int8 kernel for it, so that it would run outside and split the network into parts
FLOATS = ("HARD_SWISH",)


def quantize(content: bytes, int8: Int8) -> bytes:
    """Returns a float network with int8 layers, whose ranges come from the calibration images.

    Its input stays uint8, and its outputs stay floats.

    Raises:
        UserError: the quantiser is not installed.
    """
    library = import_package("ai_edge_quantizer")
    types = library.qtyping
    quantizer = library.quantizer.Quantizer(bytearray(content))
    quantizer.add_static_config(
        # of an operator's scope: the names of its outputs, each followed by a semicolon
        regex=f"^(?:{'|'.join(re.escape(name) for name in find_inner_outputs(content, int8.float_ends))});$",
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=8,
        weight_num_bits=8,
        weight_granularity=types.QuantGranularity.CHANNELWISE
        if int8.per_channel
        else types.QuantGranularity.TENSORWISE,
    )
    images = [{"args_0": image.numpy()} for image in int8.images.split(1)]
    ranges = quantizer.calibrate({"serving_default": images}, num_threads=1)
    return bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)


def find_inner_outputs(content: bytes, float_ends: bool) -> list[str]:
    """Returns the names of the outputs of the operators that may be quantised: layers, and what lies between them.

    Args:
        content: a LiteRT file.
        float_ends: whether to leave out layers that no other layer precedes or follows.
    """
    files = import_package("ai_edge_litert.tools.flatbuffer_utils")
    model = files.read_model_from_bytearray(bytearray(content))
    (graph,) = model.subgraphs
    operators: list[Any] = graph.operators
    layers = {k for k, x in enumerate(operators) if files.opcode_to_name(model, x.opcodeIndex) in LAYERS}
    makers = {tensor: k for k, operator in enumerate(operators) for tensor in operator.outputs}
    sources = [{makers[tensor] for tensor in operator.inputs if tensor in makers} for operator in operators]
    users = [{k for k, found in enumerate(sources) if maker in found} for maker in range(len(operators))]
    inner = spread(layers, sources.__getitem__) & spread(layers, users.__getitem__)
    chosen = sorted(inner if float_ends else inner | layers)
    chosen = [k for k in chosen if files.opcode_to_name(model, operators[k].opcodeIndex) not in FLOATS]
    return [graph.tensors[operators[k].outputs[0]].name.decode() for k in chosen]
