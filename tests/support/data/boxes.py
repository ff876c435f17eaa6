"""Random boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def boxes_in(size: tuple[int, int], *shape: int, seed: int = 0) -> Tensor:
    """Returns random float64 boxes of at least a pixel inside images of ``size``."""
    generator = torch.Generator().manual_seed(seed)
    limits = torch.tensor([size[1], size[0]], dtype=torch.float64)
    sides = 1 + torch.rand(*shape, 2, generator=generator, dtype=torch.float64) ** 2 * (limits - 1)
    corner = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * (limits - sides)
    return torch.cat((corner, corner + sides), dim=-1)
