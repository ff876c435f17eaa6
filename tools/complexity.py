"""What a network costs, layer by layer, counted from shapes alone: parameters, multiply-adds, memory, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]

# what draws initial values, and what gives back the shape of its first argument: neither need be worked out for
# tensors that have no values, where PyTorch takes milliseconds for each
DRAWING: frozenset[Callable[..., Any]] = frozenset(
    {nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.uniform_, nn.init.normal_}
    | {Tensor.uniform_, Tensor.normal_, Tensor.zero_, Tensor.fill_}
)
SHAPE_KEEPING: frozenset[Callable[..., Any]] = frozenset(
    {F.batch_norm, F.layer_norm, F.dropout, F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.gelu}
    | {F.silu, F.hardswish, F.hardsigmoid}
)
KINDS: dict[Callable[..., Any], str] = {
    F.linear: "linear",
    F.scaled_dot_product_attention: "attention",
    F.multi_head_attention_forward: "attention",
}
CONVOLUTIONS: frozenset[Callable[..., Any]] = frozenset({F.conv1d, F.conv2d, F.conv3d})
CONVOLUTION_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


@dataclass(frozen=True)
class Operation:
    """One run of something that multiplies: a convolution, a linear layer, attention, or a product of tensors.

    Attributes:
        layer: name of the module that runs it; empty for the network itself.
        kind: in words, such as "depthwise 3×3 s2", "conv 1×1 g3", "linear" or "attention".
        input: shape of what goes in, ``[C, H, W]`` for a convolution, as for one image.
        output: shape of what comes out.
        parameters: elements of its weight and bias; zero where an earlier operation has the same.
        multiply_adds: half of what PyTorch's FLOP counter says.
        memory_access: elements read and written, as ShuffleNetV2 counts them (arXiv 1807.11164, guideline 1):
            hw(c₁ + c₂) + c₁c₂/g for a 1×1 convolution, and in general inputs + outputs + weights.
    """

    layer: str
    kind: str
    input: Shape
    output: Shape
    parameters: int
    multiply_adds: int
    memory_access: int


@dataclass(frozen=True)
class Activation:
    """A tensor that a network holds while it runs.

    Attributes:
        resolution: its height and width; the number of cells alone where vectors lie in no map.
        channels: numbers in each cell.
        layer: name of the module that reads or writes it.
    """

    resolution: Shape
    channels: int
    layer: str

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return self.channels * math.prod(self.resolution)


@dataclass(frozen=True)
class Complexity:
    """What :func:`count` found.

    Attributes:
        operations: all that multiply, in the order in which they run.
        parameters: of the whole network, norms included.
        multiply_adds: of all operations.
        block_outputs: output of each of the given blocks, by its name.
        output: what the network gave; on the meta device shapes without values.
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
        """Parameters outside the operations, which are those of norms."""
        return self.parameters - sum(operation.parameters for operation in self.operations)

    @property
    def block_activations(self) -> list[Activation]:
        """What the blocks put out, as far as it is maps ``[N, C, H, W]``."""
        maps = {name: x for name, x in self.block_outputs.items() if x.dim() == 4}
        return [Activation(tuple(x.shape[2:]), x.shape[1], name) for name, x in maps.items()]

    def activations(self) -> list[Activation]:
        """Inputs and outputs of convolutions and linear layers, and what the blocks put out; not the image."""
        held: list[Activation] = []
        last: Shape = ()
        image = self.operations[0].input if self.operations else ()
        for operation in self.operations:
            for shape in (operation.input, operation.output):
                if shape == image:
                    continue
                if operation.kind.startswith(("conv", "depthwise")):
                    last = shape[-2:] if len(shape) > 2 else shape[-1:]
                    held.append(Activation(last, math.prod(shape) // math.prod(last), operation.layer))
                elif operation.kind == "linear":
                    held.append(Activation(token_resolution(shape, last), shape[-1], operation.layer))
        return held + self.block_activations


def count(network: nn.Module, *inputs: Any, blocks: Iterable[nn.Module] = ()) -> Complexity:
    """Runs ``network`` once and counts.

    On the meta device (see :func:`without_values`) nothing is computed, and any network takes a fraction of a second.

    Args:
        network: in evaluation mode, on any device.
        inputs: what its forward takes, for one image.
        blocks: parts of the network whose outputs are to be kept.
    """
    names = {module: name for name, module in network.named_modules()}
    flops = FlopCounterMode(display=False)
    recorder = _Recorder(flops, _Run(network, "", inputs))
    wanted = set(blocks)
    kept: dict[str, Tensor] = {}

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        recorder.running.append(_Run(module, names.get(module, recorder.running[-1].name), inputs))

    def leave(module: nn.Module, _: object, output: object) -> None:
        run = recorder.running.pop()
        if module in wanted and isinstance(output, Tensor):
            kept[run.name] = output

    with ExitStack() as stack:
        for handle in (register_module_forward_pre_hook(enter), register_module_forward_hook(leave)):
            stack.callback(handle.remove)
        for context in (torch.no_grad(), flops, recorder):
            stack.enter_context(context)
        output = network(*inputs)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(recorder.operations, parameters, flops.get_total_flops() // 2, kept, output)


def find_largest(activations: Iterable[Activation]) -> list[Activation]:
    """The largest at each resolution, finest first; the first of several as large."""
    found: dict[Shape, Activation] = {}
    for activation in activations:
        so_far = found.setdefault(activation.resolution, activation)
        if activation.channels > so_far.channels:
            found[activation.resolution] = activation
    return sorted(found.values(), key=lambda activation: math.prod(activation.resolution), reverse=True)


@contextmanager
def without_values() -> Iterator[None]:
    """Modules and tensors that are made inside have shapes only, and no initial weights are drawn for them."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out what would draw initial weights, for tensors that have no values."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWING:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


class _Run(NamedTuple):
    """A module that is being run on ``inputs``."""

    module: nn.Module
    name: str
    inputs: tuple[Any, ...]


class _Recorder(TorchFunctionMode):
    """Notes every call of a function of PyTorch's in which its FLOP counter counts something."""

    def __init__(self, flops: FlopCounterMode, network: _Run) -> None:
        super().__init__()
        self.flops = flops
        self.running = [network]  # the innermost last
        self.operations: list[Operation] = []
        self.known: set[int] = set()  # parameters by identity

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in SHAPE_KEEPING and args and args[0].is_meta:
            return args[0]
        before = self.flops.get_total_flops()
        output = func(*args, **kwargs)
        counted = self.flops.get_total_flops() - before
        if counted:
            self.note(func, args, kwargs, output, counted // 2)
        return output

    def note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, multiply_adds: int
    ) -> None:
        """Adds the operation that ``func`` was."""
        run = self.running[-1]
        read = list({id(x): x for x in tensors_in((args, kwargs))}.values())
        written = tensors_in(output)
        parameters = [x for x in read if isinstance(x, nn.Parameter)]
        if isinstance(run.module, _ConvNd):
            # what it is given, which it may pad in memory, and what it keeps, which it may standardise before use
            read[0] = run.inputs[0] if run.inputs else read[0]
            parameters = list(run.module.parameters(recurse=False))
        new = {id(x): x.numel() for x in parameters if id(x) not in self.known}
        self.known |= set(new)
        self.operations.append(
            Operation(
                layer=run.name,
                kind=kind_of(func, args, kwargs),
                input=shape_for_one(read[0]),
                output=shape_for_one(written[0]),
                parameters=sum(new.values()),
                multiply_adds=multiply_adds,
                memory_access=sum(x.numel() for x in (*read, *written)),
            )
        )


def tensors_in(content: Any) -> list[Tensor]:
    """Every tensor in nested lists, tuples and dictionaries."""
    return [leaf for leaf in pytree.tree_leaves(content) if isinstance(leaf, Tensor)]


def shape_for_one(x: Tensor) -> Shape:
    """The shape of ``x`` without the dimension that numbers images, where there is one image."""
    return tuple(x.shape[1:]) if x.dim() > 1 and x.shape[0] == 1 else tuple(x.shape)


def token_resolution(shape: Shape, last: Shape) -> Shape:
    """Where the vectors of ``shape`` ``[…, C]`` lie: in the cells of the ``last`` map if they are as many."""
    cells = math.prod(shape[:-1])
    return last if last and cells == math.prod(last) else (cells,)


def kind_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """What ``func`` does with these arguments, in words."""
    if func not in CONVOLUTIONS:
        return KINDS.get(func, func.__name__)
    given = dict(zip(CONVOLUTION_ARGUMENTS, args, strict=False)) | kwargs
    weight, groups = given["weight"], given.get("groups", 1)
    depthwise = groups > 1 and weight.shape[1] == 1
    words = ["depthwise" if depthwise else "conv", "×".join(map(str, weight.shape[2:]))]
    for letter, name in (("s", "stride"), ("d", "dilation")):
        steps = given.get(name, 1)
        steps = (steps,) if isinstance(steps, int) else tuple(steps)
        if set(steps) != {1}:
            words.append(letter + "×".join(map(str, dict.fromkeys(steps) if len(set(steps)) == 1 else steps)))
    if groups > 1 and not depthwise:
        words.append(f"g{groups}")
    return " ".join(words)
