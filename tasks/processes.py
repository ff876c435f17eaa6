"""What the processes of one training share."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import distributed, nn

from .errors import TaskError


def several() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def first_process() -> bool:
    """Whether this process writes what a training leaves; known from the environment before the processes have met."""
    return getattr(rank_zero_only, "rank", 0) == 0


def check_norms(network: nn.Module, device: torch.device) -> None:
    """Raises TaskError where norms should be synchronised between processes and PyTorch cannot do it."""
    if device.type == "cpu" and any(isinstance(layer, nn.SyncBatchNorm) for layer in network.modules()):
        raise TaskError("PyTorch synchronises batch norms on GPUs only: leave --trainer.sync_batchnorm out on a CPU.")


def share_norm_statistics(network: nn.Module) -> None:
    """Gives all processes the norm statistics of the first, whose checkpoint is written, so that all evaluate alike."""
    if several():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
