"""Image classification: average pool, an optional late expansion, dropout, a linear layer."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.blocks import global_avg_pool
from ..errors import UserError
from .contract import ClassDimension, Features, Head, full_precision
from .predictions import Classification

LOSSES = ("cross_entropy", "binary")


class Classifier(Head):
    """Classifies the coarsest map it is given.

    Args:
        features: the maps on offer; the last is used.
        num_classes: classes to tell apart, two at least.
        hidden_dim: channels of a hard-swish layer between pooling and classes, where MobileNetV3 widens its features
            (section 5.1: 1280 for Large, 1024 for Small); 0 for none.
        dropout: share of the features dropped while training.
        pool_size: the map is pooled to as many rows and columns, each cell with weights of its own. 1 is the usual global
            pool; EffNet's published classifier has the 4×4 cells of a 32×32 image.
        loss: "cross_entropy" of the softmax, or "binary" cross-entropy of a sigmoid for each class, its mean over
            images and classes (Wightman et al. 2021, arXiv 2110.00476, section 4.1).
        label_smoothing: share of the truth that is spread evenly over all classes (arXiv 1512.00567, section 7).
    """

    role = "classification"
    shape_arguments = ("hidden_dim", "pool_size")

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        hidden_dim: int = 0,
        dropout: float = 0.2,
        pool_size: int = 1,
        loss: Literal["cross_entropy", "binary"] = "cross_entropy",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f"Classifier needs at least two classes, not {num_classes}.")
        if not features:
            raise UserError("Classifier needs a map, but was given none.")
        if hidden_dim < 0:
            raise UserError(f"Classifier's hidden must be 0 or a number of channels, not {hidden_dim}.")
        if not 0 <= dropout < 1:
            raise UserError(f"Classifier's dropout must be in 0 … 1, 1 not included, not {dropout}.")
        if pool_size < 1:
            raise UserError(f"Classifier needs at least one cell, not {pool_size}.")
        if loss not in LOSSES:
            raise UserError(f"Classifier's loss must be {' or '.join(LOSSES)}, not {loss!r}.")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing must be in 0 … 1, 1 not included, not {label_smoothing}.")
        self.binary = loss == "binary"
        self.label_smoothing = label_smoothing
        self.map, feature = list(features.items())[-1]
        self.pool_size = pool_size
        pooled = feature.channels * pool_size**2
        layers: list[nn.Module] = []
        if hidden_dim:
            layers += [nn.Linear(pooled, hidden_dim), nn.Hardswish(inplace=True)]
        layers += [nn.Dropout(dropout), nn.Linear(hidden_dim or pooled, num_classes)]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes]``."""
        x = maps[self.map]
        pooled = global_avg_pool(x) if self.pool_size == 1 else F.adaptive_avg_pool2d(x, self.pool_size).flatten(1)
        return self.layers(pooled)

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Loss of logits ``[N, num_classes]`` for classes ``[N]``, or for shares of classes ``[N, num_classes]``."""
        logits = full_precision(output)
        if not self.binary:
            return {"classification": F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)}
        shares = targets if targets.is_floating_point() else F.one_hot(targets, logits.shape[1]).to(logits.dtype)
        shares = shares * (1 - self.label_smoothing) + self.label_smoothing / logits.shape[1]
        return {"classification": F.binary_cross_entropy_with_logits(logits, shares)}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Classification]:
        """Softmax scores, image by image; those of a sigmoid where the head is trained on one."""
        logits = full_precision(output)
        return [Classification(scores) for scores in (logits.sigmoid() if self.binary else logits.softmax(-1))]

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {f"layers.{len(self.layers) - 1}.{leaf}": ClassDimension() for leaf in ("weight", "bias")}
