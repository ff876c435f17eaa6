"""Peak activation memory of one forward pass: predicted from shapes, and measured.

The prediction runs the network's own Python code on tensors that have shapes, strides and a device but no values. It
follows the storage of every tensor that an operation creates until Python drops its last reference. So it contains what
PyTorch's eager mode holds: a module's input while the module runs, local variables, residual branches, copies for
padding, shuffling and memory formats, and no second tensor where an activation works in place. Views share storage and
count once.

Of memory inside an operation it contains the unfolded input of convolutions that PyTorch computes without oneDNN, i.e.
small ones on one thread. It leaves out small scratch memory, and on GPUs the workspaces of cuDNN, which depend on the
algorithm that cuDNN chooses. Weights and the images themselves are no activations. Decoding is not part of the pass,
because what it needs depends on the scores.
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

#: names of the arguments of PyTorch's convolution, in order
CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "transposed", "output_padding", "groups")
#: names of the methods that unfold the input, as PyTorch calls them
UNFOLDING = ("Slow2d", "SlowDilated2d")


def predict_peak(network: nn.Module, images: Tensor) -> int:
    """Predicts the peak memory of the activations in bytes.

    Args:
        network: in evaluation mode; it is copied without its values.
        images: a batch on the same device; only its shape, type and memory format matter.
    """
    shapes_only = FakeTensorMode()
    with FakeCopyMode(shapes_only):
        network = copy.deepcopy(network)
    batch = shapes_only.from_tensor(images, static_shapes=True)
    with shapes_only, torch.no_grad():
        network(batch)  # what it keeps from its first pass, such as anchors, is no activation of the next
        with LiveBytes() as live:
            network(batch)
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Follows the storages of the tensors that operations create.

    Attributes:
        now: bytes of the storages that exist.
        peak: largest value of ``now``, with what operations need inside.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}  # by address of the storage

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {address_of(x) for x in find_tensors((args, kwargs))}
        output = func(*args, **kwargs or {})
        for x in find_tensors(output):
            if address_of(x) not in given:
                self._follow(x)
        inside = count_unfolded(args, output) if func is torch.ops.aten.convolution.default else 0
        self.peak = max(self.peak, self.now + inside)
        return output

    def _follow(self, x: Tensor) -> None:
        """Adds the storage of ``x`` until it is freed."""
        storage, address = x.untyped_storage(), address_of(x)
        if address in self._alive:
            return
        size = storage.nbytes()

        def drop(_: object) -> None:
            self.now -= size
            del self._alive[address]

        self._alive[address] = weakref.ref(storage, drop)
        self.now += size


def address_of(x: Tensor) -> int:
    """Returns what identifies the storage of ``x`` while it exists."""
    return x.untyped_storage()._cdata


def find_tensors(content: Any) -> list[Tensor]:
    """Finds all tensors in nested lists, tuples and dictionaries."""
    return [leaf for leaf in pytree.tree_leaves(content) if isinstance(leaf, Tensor)]


def count_unfolded(args: tuple[Any, ...], output: Tensor) -> int:
    """Returns the bytes that a convolution needs to unfold its input; 0 where PyTorch does not unfold it."""
    given = dict(zip(CONVOLUTION, args, strict=False))
    weight = given["weight"]
    kernel = math.prod(weight.shape[2:])
    backend = torch._C._select_conv_backend(given.pop("input"), given.pop("weight"), **given)
    if backend.name not in UNFOLDING or kernel == 1:
        return 0
    return weight.shape[1] * kernel * math.prod(output.shape[2:]) * output.shape[0] * output.element_size()


def measure_peak(forward: Callable[[], object], device: torch.device) -> int:
    """Measures the peak memory of the activations in bytes.

    On a CPU these are the live bytes of PyTorch's allocator, which also serves oneDNN; on CUDA its peak statistics.

    Args:
        forward: runs the network; called twice, the first time without being measured.
        device: of the network.
    """
    with torch.inference_mode():
        forward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            forward()
            return torch.cuda.max_memory_allocated(device) - before
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            output = forward()  # kept, because the caller of a network would have it
            del output
    return find_peak(profiled)


def find_peak(profiled: profile) -> int:
    """Returns the largest sum of the bytes that were allocated and not yet freed, from the profiler's trace."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted((event for event in events if event.get("name") == "[memory]"), key=lambda event: event["ts"])
    live = peak = 0
    for change in changes:
        live += change["args"]["Bytes"]
        peak = max(peak, live)
    return peak
