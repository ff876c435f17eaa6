"""Image classification head: average pool, optional hidden layer, dropout, linear layer."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.blocks import ACTIVATIONS, Activation, build_activation, global_avg_pool
from ..backbones.contract import check_choice
from ..errors import UserError, check_range
from .contract import ClassDimension, Features, Head, full_precision
from .predictions import Classification


class Classifier(Head):
    """Classifies images from the coarsest map.

    Args:
        features: the available maps; the last is used.
        num_classes: number of classes, at least two.
        hidden_dim: channels of a hidden layer between pooling and classes; 0 for none. MobileNetV3 has one (1280 for
            Large, 1024 for Small: tables 1 and 2).
        activation: activation of the hidden layer: "hardswish" as in MobileNetV3, "relu" for its minimalistic networks.
        dropout: probability with which a feature is dropped in training, e.g. 0.2; raise it if the network overfits.
        pool_size: rows and columns that the map is pooled to; each cell has its own weights. 1 is the usual global
            pool. EffNet's published classifier uses 4 for 32×32 images.
        loss: "cross_entropy" of the softmax, or "binary" cross-entropy of one sigmoid per class, averaged over images
            and classes (Wightman et al. 2021, arXiv 2110.00476, section 4.1).
        label_smoothing: share of the target that is spread evenly over all classes, e.g. 0.1 (arXiv 1512.00567,
            section 7).

    Raises:
        UserError: an option is out of range, or ``features`` is empty.
    """

    role = "classification"
    shape_arguments = ("hidden_dim", "pool_size")

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        hidden_dim: int = 0,
        activation: Activation = "hardswish",
        dropout: float = 0.2,
        pool_size: int = 1,
        loss: Literal["cross_entropy", "binary"] = "cross_entropy",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_range("Classifier's num_classes", num_classes, ge=2)
        if not features:
            raise UserError("Classifier needs a map, but got none.")
        check_range("Classifier's hidden_dim", hidden_dim, ge=0)
        check_choice("Classifier's activation", activation, ACTIVATIONS)
        check_range("Classifier's dropout", dropout, ge=0, lt=1)
        check_range("Classifier's pool_size", pool_size, ge=1)
        check_choice("Classifier's loss", loss, ("cross_entropy", "binary"))
        check_range("Classifier's label_smoothing", label_smoothing, ge=0, lt=1)
        self.is_binary = loss == "binary"
        self.label_smoothing = label_smoothing
        self.map, feature = list(features.items())[-1]
        self.pool_size = pool_size
        pooled = feature.channels * pool_size**2
        hidden = [nn.Linear(pooled, hidden_dim), build_activation(activation)] if hidden_dim else []
        self.layers = nn.Sequential(*hidden, nn.Dropout(dropout), nn.Linear(hidden_dim or pooled, num_classes))
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
        """Computes the loss of logits ``[N, num_classes]``.

        Targets are class indices ``[N]``, or probabilities ``[N, num_classes]``, e.g. from mixup.
        """
        logits = full_precision(output)
        if not self.is_binary:
            return {"classification": F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)}
        probabilities = targets if targets.is_floating_point() else F.one_hot(targets, logits.shape[1]).to(logits.dtype)
        probabilities = probabilities * (1 - self.label_smoothing) + self.label_smoothing / logits.shape[1]
        return {"classification": F.binary_cross_entropy_with_logits(logits, probabilities)}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Classification]:
        """Returns the scores of each image: softmax, or sigmoid for the binary loss."""
        return [Classification(scores) for scores in self.scores(output)]

    def scores(self, output: Tensor) -> Tensor:
        """Logits ``[N, num_classes]`` → scores of the same shape, in 0 … 1."""
        logits = full_precision(output)
        return logits.sigmoid() if self.is_binary else logits.softmax(-1)

    def exported_outputs(self, output: Tensor, image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Returns "probabilities" ``[N, num_classes]``."""
        return {"probabilities": self.scores(output)}

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {f"layers.{len(self.layers) - 1}.{leaf}": ClassDimension() for leaf in ("weight", "bias")}
