"""How a network is quantised to int8."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Int8(NamedTuple):
    """Static quantisation to int8.

    Attributes:
        images: calibration images ``[M, 3, H, W]`` uint8 of the input's size, from which ranges of activations come.
        per_channel: whether each output channel of a weight has a scale of its own.
        float_ends: whether the first layer and the last layers of the head stay in float.
    """

    images: Tensor
    per_channel: bool
    float_ends: bool

    def describe(self) -> dict[str, Any]:
        """Returns plain values for the file's description."""
        return {
            "weights": "int8 per channel" if self.per_channel else "int8 per tensor",
            "float_ends": self.float_ends,
            "calibration_images": len(self.images),
        }
