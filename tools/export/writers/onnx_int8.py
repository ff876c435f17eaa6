"""Quantises an ONNX network to int8 with ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.numpy_helper
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from ...library_messages import raise_log_level
from ..quantization import Int8

#: operators that are quantised: those with weights. Quantising sums, products and copies between them as well was not
#: faster in ONNX Runtime or OpenVINO, and each quantised tensor costs accuracy
QUANTIZED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: types of zero points
INTEGERS = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT32)


class Images(CalibrationDataReader):
    """Gives the calibrator one image at a time."""

    def __init__(self, int8: Int8) -> None:
        self.rows: Iterator[dict[str, Any]] = ({"images": image[None].numpy()} for image in int8.images)

    def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride] — says dict, but ends with None
        return next(self.rows, None)


def quantize(model: onnx.ModelProto, int8: Int8) -> onnx.ModelProto:
    """Returns the network with quantised weights and activations between QuantizeLinear and DequantizeLinear.

    Weights are int8, activations uint8. The outputs stay in float.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / f"{name}.onnx" for name in ("source", "prepared", "target"))
        onnx.save(model, source)
        optimize(source, prepared)
        graph = onnx.load(prepared).graph
        excluded = [*find_products(graph), *(find_ends(graph) if int8.float_ends else [])]
        with raise_log_level(logging.ERROR, "root"):  # the quantiser logs advice
            quantize_static(
                prepared,
                target,
                Images(int8),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=int8.per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
                calibrate_method=CalibrationMethod.MinMax,
            )
        quantized = onnx.load(target)
    compact(quantized.graph, kept=list_values(model.graph))
    return quantized


def optimize(source: Path, target: Path) -> None:
    """Folds batch norms and constants, as ONNX Runtime's own preparation for the quantiser does.

    That one also moves transposes, which made MobileViT in int8 7 % slower.
    """
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(source, options, providers, disabled_optimizers=["TransposeOptimizer"])


def list_values(graph: onnx.GraphProto) -> set[str]:
    """Returns the names of all tensors of a graph."""
    return {name for node in graph.node for name in (*node.input, *node.output)}


def compact(graph: onnx.GraphProto, kept: set[str]) -> None:
    """Removes what makes the file larger without a use: zero points that are 0, shapes, and long names.

    Args:
        graph: a quantised graph.
        kept: names of tensors that stay; all others, which the quantiser made, become "q0", "q1" …
    """
    zeros = {x.name for x in graph.initializer if x.data_type in INTEGERS and not onnx.numpy_helper.to_array(x).any()}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.name = ""
            # without a zero point, QuantizeLinear would give uint8 and DequantizeLinear takes any type
            if node.op_type == "DequantizeLinear" and len(node.input) == 3 and node.input[2] in zeros:
                del node.input[2]
    used = {name for node in graph.node for name in node.input}
    initializers = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(initializers)
    names = {name: f"q{k}" for k, name in enumerate(sorted(list_values(graph) - kept - {""}))}
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]


def find_products(graph: onnx.GraphProto) -> list[str]:
    """Returns the products of two activations, as in attention: they have no weights, so their files stay as large.

    In int8 they kept ONNX Runtime from fusing attention; MobileViT took 1.45 of the float file's time instead of 0.93.
    """
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not weights & set(node.input)]


def find_ends(graph: onnx.GraphProto) -> list[str]:
    """Returns the first and the last nodes with weights on the paths from the input to the outputs."""
    last = walk_back(graph, {value.name for value in graph.output}, stop=QUANTIZED)
    first = walk_forward(graph, {value.name for value in graph.input}, stop=QUANTIZED)
    return [node.name for node in (*last, *first) if node.op_type in QUANTIZED]


def walk_back(graph: onnx.GraphProto, values: set[str], stop: tuple[str, ...]) -> Iterator[onnx.NodeProto]:
    """Yields the nodes that ``values`` depend on, up to and including those of the types in ``stop``."""
    for node in reversed(graph.node):  # sorted so that every node comes after those that it depends on
        if values & set(node.output):
            yield node
            if node.op_type not in stop:
                values |= set(node.input)


def walk_forward(graph: onnx.GraphProto, values: set[str], stop: tuple[str, ...]) -> Iterator[onnx.NodeProto]:
    """Yields the nodes that depend on ``values``, up to and including those of the types in ``stop``."""
    for node in graph.node:
        if values & set(node.input):
            yield node
            if node.op_type not in stop:
                values |= set(node.output)
