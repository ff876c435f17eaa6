"""Heads that a user might write: one without anchors, and one with its own kind of prediction."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from litmobile.heads.contract import Features, Head
from litmobile.heads.predictions import Detections, ResizeGeometry


class EmptyHead(Head):
    """A head without a role that detects nothing."""

    def __init__(self, features: Features, num_classes: int) -> None:
        super().__init__()
        self.map, feature = list(features.items())[-1]
        self.predict = nn.Conv2d(feature.channels, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        return self.predict(maps[self.map])

    def loss(self, output: Tensor, targets: object) -> dict[str, Tensor]:
        return {"nothing": output.square().mean()}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Detections]:
        return []


class Depth:
    """A kind of prediction that litmobile does not know."""

    def to_image(self, geometry: ResizeGeometry) -> Depth:
        return self


class DepthHead(EmptyHead):
    """A head whose predictions litmobile cannot write to files."""

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Any]:
        return [Depth() for _ in output]
