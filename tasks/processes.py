"""What the processes of one training share."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_only
from torch import distributed, nn


def several() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def first_process() -> bool:
    """Whether this process writes what a training leaves; known from the environment before the processes have met."""
    return getattr(rank_zero_only, "rank", 0) == 0


def share_norm_statistics(network: nn.Module) -> None:
    """Gives all processes the norm statistics of the first, whose checkpoint is written, so that all evaluate alike."""
    if several():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
