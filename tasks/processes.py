"""What the processes of one training share."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_only
from torch import distributed, nn


def is_distributed() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_first_process() -> bool:
    """Whether this process writes what a training leaves; known from the environment before the processes have met."""
    return getattr(rank_zero_only, "rank", 0) == 0


def broadcast_buffers(network: nn.Module) -> None:
    """Gives all processes the norm statistics of the first, whose checkpoint is written, so that all evaluate alike."""
    if is_distributed():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
