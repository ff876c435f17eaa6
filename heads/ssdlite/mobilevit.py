"""MobileViT's SSDLite (arXiv 2110.02178, section 4.2; its layers are those of the authors' library ml-cvnets)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ...backbones.blocks import ConvConfig, init_convolutions
from ...errors import UserError, check_range
from ..contract import ClassDimension, Features
from .base import SSDHead
from .layers import JointPredictionBlock, build_pooled_extra, build_separable_extra, predict


class MobileViTSSDLite(SSDHead):
    """SSDLite as MobileViT's authors train it: one predictor of logits and offsets per map, and a pooled last map.

    It differs from :class:`SSDLite` in its layers and default anchors: scales from 0.1 to 1.05 in equal steps.

    Args:
        features: the maps, finest first; the paper uses c4 and c5.
        num_classes: number of foreground classes.
        extras: channels of the extra maps. The last one is a single cell, the average of the map before it.
        projections: channels of a 1×1 before the predictions, one for each of ``features``.
        aspect_ratios: aspect ratios other than 1, for all maps or with one list per map.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: the maps are not finest first, or another argument is invalid.
    """

    shape_arguments = (*SSDHead.shape_arguments, "projections")

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        extras: Sequence[int] = (256, 128, 128, 64),
        projections: Sequence[int] = (512, 256),
        aspect_ratios: Sequence[float] | Sequence[Sequence[float]] = (*[(2.0, 3.0)] * 5, (2.0,)),
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
        **options: Any,
    ) -> None:
        if not extras:
            raise UserError("MobileViTSSDLite needs at least one of extras, which is its pooled map.")
        super().__init__(features, num_classes, extras=extras, aspect_ratios=aspect_ratios, **options)
        for channels in projections:
            check_range("MobileViTSSDLite's projections", channels, ge=1)
        if len(projections) != len(features):
            raise UserError(
                f"MobileViTSSDLite needs {len(features)} projections, one per feature map, not {list(projections)}."
            )
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        *strided, pooled = itertools.pairwise(self.channels[len(features) - 1 :])
        self.extras = nn.ModuleList(build_separable_extra(*pair, config) for pair in strided)
        self.extras.append(build_pooled_extra(*pooled))
        levels = zip(self.channels, (*projections, *self.channels[len(features) :]), self.anchors.per_cell, strict=True)
        self.values = self.outputs + 4
        self.predictors = nn.ModuleList(
            JointPredictionBlock(
                channels, projected, anchors * self.values, pooled=level == len(self.channels) - 1, config=config
            )
            for level, (channels, projected, anchors) in enumerate(levels)
        )
        self._init_weights()

    @staticmethod
    def default_scales(levels: int) -> list[float]:
        return [0.1 + 0.95 * level / levels for level in range(levels + 1)]

    def _init_weights(self) -> None:
        init_convolutions(self, nn.init.xavier_uniform_)
        for name, bias in self.predictors.named_parameters():
            if name.endswith("project.bias"):
                nn.init.constant_(bias.unflatten(0, (-1, self.values))[:, 4:], self.classification.prior_bias)

    def predict(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        joint = predict(self.predictors, levels, self.values)
        return joint[..., 4:], joint[..., :4]

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {
            f"predictors.{level}.project.{leaf}": ClassDimension(anchors, offset=5)  # four offsets and background
            for level, anchors in enumerate(self.anchors.per_cell)
            for leaf in ("weight", "bias")
        }
