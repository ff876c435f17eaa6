"""Counts what a network costs, layer by layer, from shapes alone: parameters, multiply-adds, memory, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]

Function = Callable[..., Any]

# Functions that initialise tensors, and functions whose output has the shape of their first argument. Tensors without
# values need neither, and PyTorch takes milliseconds for each on the meta device.
SKIPPED: set[Function] = {
    *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.uniform_, nn.init.normal_),
    *(Tensor.uniform_, Tensor.normal_, Tensor.zero_, Tensor.fill_),
    *(F.batch_norm, F.layer_norm, F.dropout, F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.gelu),
    *(F.silu, F.hardswish, F.hardsigmoid),
}
ATTENTION: set[Function] = {F.scaled_dot_product_attention, F.multi_head_attention_forward}
CONVOLUTIONS: set[Function] = {F.conv1d, F.conv2d, F.conv3d}
CONVOLUTION_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONVOLUTION_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class Operation(NamedTuple):
    """One call that multiplies: a convolution, a linear layer, attention, or a product of tensors.

    Attributes:
        layer: name of the module that calls it; empty for the network itself.
        kind: such as "depthwise 3×3 s2" (stride 2), "conv 1×1 g3" (3 groups), "linear" or "attention".
        input: shape of the input without the batch, ``[C, H, W]`` for a convolution.
        output: shape of the output without the batch.
        parameters: elements of its weight and bias; zero if an earlier operation has counted them.
        multiply_adds: half of what PyTorch's FLOP counter reports.
        memory_access: elements read and written, i.e. inputs + outputs + weights. For a 1×1 convolution this is
            ShuffleNetV2's hw(c₁ + c₂) + c₁c₂/g (arXiv 1807.11164, guideline 1).
    """

    layer: str
    kind: str
    input: Shape
    output: Shape
    parameters: int
    multiply_adds: int
    memory_access: int


class Activation(NamedTuple):
    """A tensor that a network holds while it runs.

    Attributes:
        resolution: height and width, or the number of tokens for tokens that do not come from a feature map.
        channels: number of values at each position.
        layer: name of the module that reads or writes it.
    """

    resolution: Shape
    channels: int
    layer: str

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.channels * math.prod(self.resolution)


class Complexity(NamedTuple):
    """The result of :func:`count`.

    Attributes:
        operations: in the order in which they run.
        parameters: of the whole network, norms included.
        multiply_adds: of all operations.
        block_outputs: output of each of the given blocks, by the block's name.
        output: of the network; on the meta device it has a shape and no values.
    """

    operations: list[Operation]
    parameters: int
    multiply_adds: int
    block_outputs: dict[str, Tensor]
    output: Any

    @property
    def memory_access(self) -> int:
        """Elements that the operations read and write."""
        return sum(operation.memory_access for operation in self.operations)

    @property
    def other_parameters(self) -> int:
        """Parameters outside the operations, i.e. those of norms."""
        return self.parameters - sum(operation.parameters for operation in self.operations)

    @property
    def block_activations(self) -> list[Activation]:
        """Outputs of blocks that are feature maps ``[N, C, H, W]``."""
        return [
            Activation(tuple(x.shape[2:]), x.shape[1], name) for name, x in self.block_outputs.items() if x.dim() == 4
        ]

    def activations(self) -> list[Activation]:
        """Lists inputs and outputs of convolutions, linear layers and blocks, without the image."""
        found: list[Activation] = []
        last: Shape = ()  # resolution of the last feature map
        image = self.operations[0].input if self.operations else ()
        for operation in self.operations:
            is_convolution = operation.kind.startswith(("conv", "depthwise"))
            if not is_convolution and operation.kind != "linear":
                continue
            for shape in (operation.input, operation.output):
                if shape == image:
                    continue
                if is_convolution:
                    resolution = last = shape[1:][-2:]
                else:  # tokens have the resolution of the last feature map if it has as many positions
                    tokens = math.prod(shape[:-1])
                    resolution = last if last and tokens == math.prod(last) else (tokens,)
                found.append(Activation(resolution, math.prod(shape) // math.prod(resolution), operation.layer))
        return found + self.block_activations


def count(network: nn.Module, *inputs: Any, blocks: Iterable[nn.Module] = ()) -> Complexity:
    """Runs ``network`` once and counts what it costs.

    On the meta device (see :func:`without_values`) nothing is computed, and any network takes a fraction of a second.

    Args:
        network: in evaluation mode, on any device.
        inputs: arguments of its forward, for one image.
        blocks: modules of the network whose outputs are kept.
    """
    names = {module: name for name, module in network.named_modules()}
    recorder = _Recorder(("", network, inputs))
    wanted = set(blocks)
    block_outputs: dict[str, Tensor] = {}

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        calling, *_ = recorder.calls[-1]
        recorder.calls.append((names.get(module, calling), module, inputs))

    def leave(module: nn.Module, _: object, output: object) -> None:
        name, *_ = recorder.calls.pop()
        if module in wanted and isinstance(output, Tensor):
            block_outputs[name] = output

    hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave)
    with hooks[0], hooks[1], torch.no_grad(), recorder.flops, recorder:
        output = network(*inputs)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(recorder.operations, parameters, recorder.flops.get_total_flops() // 2, block_outputs, output)


def find_largest(activations: Iterable[Activation]) -> list[Activation]:
    """Returns the largest activation at each resolution, finest first; the first of equal ones."""
    largest: dict[Shape, Activation] = {}
    for activation in activations:
        previous = largest.get(activation.resolution, activation)
        largest[activation.resolution] = max(previous, activation, key=lambda x: x.channels)
    return sorted(largest.values(), key=lambda activation: math.prod(activation.resolution), reverse=True)


@contextmanager
def without_values() -> Iterator[None]:
    """Builds modules and tensors on the meta device: they have shapes, but no values and no initialisation."""
    with torch.device("meta"), _SkipOnMeta():
        yield


class _SkipOnMeta(TorchFunctionMode):
    """Skips the functions in ``SKIPPED`` if their first argument has no values, and returns this argument."""

    def __torch_function__(self, func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in SKIPPED:
            tensor = args[0] if args else next(iter(kwargs.values()))
            if tensor.is_meta and not (torch.is_grad_enabled() and tensor.grad_fn is not None):  # keep autograd intact
                return tensor
        return func(*args, **kwargs)


class _Recorder(_SkipOnMeta):
    """Records every call of a PyTorch function for which the FLOP counter counts something.

    Args:
        call: name, module and inputs of the network's call.
    """

    def __init__(self, call: tuple[str, nn.Module, tuple[Any, ...]]) -> None:
        super().__init__()
        self.flops = FlopCounterMode(display=False)
        self.calls = [call]  # calls in progress, the innermost last
        self.operations: list[Operation] = []
        self.counted_parameters: set[int] = set()  # by id

    def __torch_function__(self, func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self.flops.get_total_flops()
        output = super().__torch_function__(func, types, args, kwargs)
        counted = self.flops.get_total_flops() - before
        if counted:
            self.record(func, args, kwargs or {}, output, counted // 2)
        return output

    def record(self, func: Function, args: Any, kwargs: dict[str, Any], output: Any, multiply_adds: int) -> None:
        """Records the call of ``func`` as an operation."""
        name, module, inputs = self.calls[-1]
        read = list({id(x): x for x in find_tensors((args, kwargs))}.values())
        written = find_tensors(output)
        parameters = [x for x in read if isinstance(x, nn.Parameter)]
        if isinstance(module, CONVOLUTION_LAYERS):
            # its own input, which it may pad, and its own parameters, which it may standardise before the call
            read[0] = inputs[0] if inputs else read[0]
            parameters = list(module.parameters(recurse=False))
        new = {id(x): x.numel() for x in parameters if id(x) not in self.counted_parameters}
        self.counted_parameters |= set(new)
        self.operations.append(
            Operation(
                layer=name,
                kind=describe_operation(func, args, kwargs),
                input=shape_of_one(read[0]),
                output=shape_of_one(written[0]),
                parameters=sum(new.values()),
                multiply_adds=multiply_adds,
                memory_access=sum(x.numel() for x in (*read, *written)),
            )
        )


def find_tensors(content: Any) -> list[Tensor]:
    """Finds all tensors in nested lists, tuples and dictionaries."""
    return [leaf for leaf in pytree.tree_leaves(content) if isinstance(leaf, Tensor)]


def shape_of_one(x: Tensor) -> Shape:
    """Returns the shape of ``x``, without the batch dimension if it is 1."""
    return tuple(x.shape[1:]) if x.dim() > 1 and x.shape[0] == 1 else tuple(x.shape)


def describe_operation(func: Function, args: Any, kwargs: dict[str, Any]) -> str:
    """Describes the operation that ``func`` runs with these arguments, e.g. "conv 3×3 s2"."""
    if func not in CONVOLUTIONS:
        return "attention" if func in ATTENTION else func.__name__
    given = dict(zip(CONVOLUTION_ARGUMENTS, args, strict=False)) | kwargs
    weight, groups = given["weight"], given.get("groups", 1)
    depthwise = groups > 1 and weight.shape[1] == 1
    words = ["depthwise" if depthwise else "conv", "×".join(map(str, weight.shape[2:]))]
    for letter, name in (("s", "stride"), ("d", "dilation")):
        steps = given.get(name, 1)
        steps = (steps,) if isinstance(steps, int) else tuple(steps)
        if set(steps) != {1}:
            words.append(letter + "×".join(map(str, steps if len(set(steps)) > 1 else steps[:1])))
    if groups > 1 and not depthwise:
        words.append(f"g{groups}")
    return " ".join(words)
