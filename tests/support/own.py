"""Heads of a user's own: one without anchors, one whose predictions nobody else knows."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from litmobile.heads.contract import Features, Head
from litmobile.heads.predictions import Detections, ResizeGeometry


class Plain(Head):
    """Finds nothing, and is of no role."""

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
    """A prediction of a kind of its own."""

    def to_image(self, geometry: ResizeGeometry) -> Depth:
        return self


class Deep(Plain):
    """Predicts what litmobile cannot write."""

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Any]:
        return [Depth() for _ in output]
