"""Captures a network as a graph for one image, simplified so that phone formats lower it quickly and run it fast."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..module import ExportModule

T = TypeVar("T")

aten = torch.ops.aten
CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding, aten.conv_transpose2d.input)
LAYERS = (*CONVOLUTIONS, aten.linear.default)  # whose weights are quantised


def example_images(module: ExportModule, number: int = 1) -> tuple[Tensor]:
    """Returns the arguments of ``module`` for ``number`` images, uint8 ``[number, 3, H, W]``."""
    return (torch.zeros(number, 3, *module.size, dtype=torch.uint8),)


def capture_graph(module: ExportModule) -> GraphModule:
    """Returns the graph of ``module`` for one image, with constants computed and batch norms folded.

    Constants are what does not depend on the image, such as anchors. They and the batch norms were half of the nodes of
    an SSDLite, and most of the time that lowering took.
    """
    with torch.no_grad():
        graph_module = torch.export.export(module, example_images(module)).module(check_guards=False)
        assert isinstance(graph_module, GraphModule)
        remove_no_ops(graph_module)
        fold_constants(graph_module)
        fold_batch_norms(graph_module)
    graph_module.graph.eliminate_dead_code()
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module


def capture_program(graph_module: torch.nn.Module, module: ExportModule) -> ExportedProgram:
    """Exports a graph of ``module``, e.g. after it was quantised."""
    with torch.no_grad():
        return torch.export.export(graph_module, example_images(module))


def remove_no_ops(graph_module: GraphModule) -> None:
    """Removes assertions, and conversions to the type that a tensor has already."""
    for node in list(graph_module.graph.nodes):
        if node.target is aten._assert_tensor_metadata.default:
            graph_module.graph.erase_node(node)
        elif node.target is aten.to.dtype and node.args[0].meta["val"].dtype == node.args[1]:
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)


def fold_constants(graph_module: GraphModule) -> None:
    """Replaces what does not depend on the image by its value."""
    values: dict[Node, Any] = {}
    for node in list(graph_module.graph.nodes):
        if node.op == "get_attr":
            values[node] = read_attribute(graph_module, node)
        elif node.op == "call_function" and is_constant(node, values):
            values[node] = node.target(*map_arg(node.args, values.get), **map_arg(node.kwargs, values.get))
    for node, value in values.items():
        is_used = any(user not in values for user in node.users)
        if node.op == "call_function" and is_used and isinstance(value, Tensor):
            replace_by_constant(graph_module, node, value)
    for node in reversed(values):
        if node.op == "call_function" and not node.users:  # in-place operators would count as used
            graph_module.graph.erase_node(node)


def is_constant(node: Node, values: dict[Node, Any]) -> bool:
    """Whether all inputs of ``node`` are in ``values``, and the same inputs always give the same result."""
    is_random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    return not is_random and all(source in values for source in node.all_input_nodes)


def replace_by_constant(graph_module: GraphModule, node: Node, value: Tensor) -> None:
    """Replaces ``node`` by a buffer."""
    with graph_module.graph.inserting_before(node):
        constant = add_buffer(graph_module, f"constant_{node.name}", value)
    constant.meta = dict(node.meta)
    node.replace_all_uses_with(constant, delete_user_cb=lambda user: True)


def add_buffer(graph_module: GraphModule, name: str, value: Tensor) -> Node:
    """Adds a buffer, and returns the node that reads it."""
    graph_module.register_buffer(name, value.detach().clone().contiguous())
    return graph_module.graph.get_attr(name)


def fold_batch_norms(graph_module: GraphModule) -> None:
    """Moves each batch norm that follows a convolution into its weight and bias."""
    for norm in graph_module.graph.find_nodes(op="call_function", target=aten.batch_norm.default):
        convolution, *norm_arguments = norm.args
        if convolution.target is not aten.conv2d.default or len(convolution.users) > 1:
            continue
        image, *arguments = convolution.args
        weight, bias, scale, shift, mean, variance = (
            None if source is None else read_attribute(graph_module, source)
            for source in ((*arguments, None)[:2] + tuple(norm_arguments[:4]))
        )
        assert weight is not None and mean is not None and variance is not None
        folded = fuse_conv_bn_weights(weight, bias, mean, variance, norm_arguments[6], scale, shift)
        with graph_module.graph.inserting_before(convolution):
            new = [
                add_buffer(graph_module, f"{convolution.name}_folded_{name}", value.to(weight.dtype))
                for name, value in zip(("weight", "bias"), folded, strict=True)
            ]
        for node in new:
            node.meta = {"val": norm.meta["val"].new_empty(read_attribute(graph_module, node).shape)}
        convolution.args = (image, *new, *arguments[2:])
        norm.replace_all_uses_with(convolution)
        graph_module.graph.erase_node(norm)


def read_attribute(graph_module: GraphModule, node: Node) -> Tensor:
    """Returns the weight or statistic that ``node`` reads."""
    return operator.attrgetter(str(node.target))(graph_module)


def find_layers(graph_module: GraphModule) -> list[Node]:
    """Returns the convolutions and linear layers, in their order."""
    return [node for node in graph_module.graph.nodes if node.target in LAYERS]


def find_inner_nodes(graph_module: GraphModule, float_ends: bool) -> set[str]:
    """Returns the names of the nodes that may be quantised.

    These are the convolutions and linear layers, and what lies between them. Normalisation comes before the first, and
    box decoding and softmax after the last; in int8 they would lose more than all layers together.

    Args:
        graph_module: a graph from :func:`capture_graph`.
        float_ends: whether to leave out layers that no other layer precedes or follows.
    """
    layers = set(find_layers(graph_module))
    after = spread(layers, lambda node: node.users)
    before = spread(layers, lambda node: node.all_input_nodes)
    inner = after & before
    return {node.name for node in (inner if float_ends else inner | layers)}


def spread(start: set[T], step: Callable[[T], Iterable[T]]) -> set[T]:
    """Returns the nodes that are reached from ``start`` in one or more steps."""
    reached: set[T] = set()
    edge = {node for source in start for node in step(source)}
    while edge:
        reached |= edge
        edge = {node for source in edge for node in step(source)} - reached
    return reached
