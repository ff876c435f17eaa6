"""Prepares networks for PyTorch's engines: eager, compiled, and autocast to bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._dynamo import config as dynamo
from torch._dynamo.exc import TorchDynamoException

from ....errors import UserError, first_line
from ....heads.predictions import Segmentation
from ....tasks.network import Network, name_parts
from .prepared import Prepared, Settings, place_images, wait_for

RECOMPILATIONS = 1000  # all networks share the code of one method, and each size of a batch is compiled


def prepare_eager(network: Network, settings: Settings) -> Prepared:
    """Prepares a network as `litmobile predict` runs it."""
    return prepare(network, settings, network)


def prepare_bf16(network: Network, settings: Settings) -> Prepared:
    """Prepares a network whose convolutions and products are computed in bfloat16."""

    def forward(images: Tensor) -> Any:
        with torch.autocast(settings.device.type, torch.bfloat16):
            return network(images)

    return prepare(network, settings, forward)


def prepare_compiled(network: Network, settings: Settings) -> Prepared:
    """Compiles a network, on GPUs with CUDA graphs; decoding stays eager.

    Raises:
        UserError: it cannot be compiled.
    """
    dynamo.recompile_limit = RECOMPILATIONS
    is_cuda = settings.device.type == "cuda"
    compiled = torch.compile(network.forward, dynamic=False, mode="reduce-overhead" if is_cuda else None)

    def forward(images: Tensor) -> Any:
        if is_cuda:
            torch.compiler.cudagraph_mark_step_begin()  # the graph may overwrite the results of the last call
        return compiled(images)

    prepared = prepare(network, settings, forward)
    try:
        prepared.run(prepared.place(torch.zeros(1, 3, *network.preprocessing.size, dtype=torch.uint8).numpy()))
    except TorchDynamoException as error:
        name = name_parts(network.backbone, network.head)
        raise UserError(f"{name} cannot be compiled; leave out the engine compiled ({first_line(error)}).") from error
    return prepared


def prepare(network: Network, settings: Settings, forward: Callable[[Tensor], Any]) -> Prepared:
    """Prepares ``forward`` with the network's decoding; segmentation ends with labels, as in exported files."""
    device = settings.device

    @torch.inference_mode()
    def run(images: Tensor) -> object:
        predictions = network.decode(forward(images), network.preprocessing.size)
        found = [x.labels if isinstance(x, Segmentation) else x for x in predictions]
        wait_for(device)
        return found

    return Prepared(partial(place_images, device=device), run)
