"""LR-ASPP, the light segmentation head of MobileNetV3 (arXiv 1905.02244, section 6.4), in torchvision's layout."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_weight

from ..backbones.blocks import ConvNormAct, Style, global_average
from .contract import ClassRows, Features, Head, Origin, full_precision, nameless_classes
from .predictions import IGNORED, Segmentation

TORCHVISION_MODULES = {
    "cbr.0": "project.conv",
    "cbr.1": "project.norm",
    "scale.1": "gate",
    "low_classifier": "fine_classifier",
    "high_classifier": "coarse_classifier",
}


class LRASPP(Head):
    """A 1×1 on the coarse map, gated by its global mean, upsampled and added to a 1×1 on the fine map.

    Args:
        features: two maps, the finer first.
        num_classes: classes to tell apart; pixels labelled 255 count as none of them.
        width: unused; the published heads have one width for every backbone.
        channels: filters of the coarse branch (128; 256 in the paper's larger version).
        norm_eps: epsilon of the batch norm.
        norm_momentum: momentum of the batch norm.

    Raises:
        ValueError: not two maps of falling resolution, or no class.
    """

    role = "segmentation"
    published = ("LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",)
    shape_arguments = ("channels",)

    def __init__(
        self,
        features: Features,
        num_classes: int,
        width: float = 1.0,
        *,
        channels: int = 128,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        del width
        if num_classes < 1:
            raise ValueError(f"LRASPP needs at least one class, not {num_classes}.")
        strides = [feature.stride for feature in features.values()]
        if len(strides) != 2 or strides[0] >= strides[1]:
            raise ValueError(
                f"LRASPP needs two maps, the finer first, but was given {', '.join(features)} at strides {strides}."
            )
        (self.fine, fine), (self.coarse, coarse) = features.items()
        style = Style(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.project = ConvNormAct(coarse.channels, channels, act="relu", style=style)
        self.gate = nn.Conv2d(coarse.channels, channels, 1, bias=False)
        self.fine_classifier = nn.Conv2d(fine.channels, num_classes, 1)
        self.coarse_classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes, H, W]`` at the size of the images."""
        fine, coarse = maps[self.fine], maps[self.coarse]
        gated = self.project(coarse) * self.gate(global_average(coarse)[:, :, None, None]).sigmoid()
        gated = F.interpolate(gated, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        logits = self.fine_classifier(fine) + self.coarse_classifier(gated)
        return F.interpolate(logits, size=image_size, mode="bilinear", align_corners=False)

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy with label maps ``[N, H, W]``, averaged over the labelled pixels; 0 where there are none."""
        total = F.cross_entropy(full_precision(output), targets, ignore_index=IGNORED, reduction="sum")
        return {"segmentation": total / (targets != IGNORED).sum().clamp(min=1)}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Segmentation]:
        """The likeliest class of every pixel, image by image."""
        return [Segmentation(labels) for labels in output.argmax(1)]

    def class_rows(self) -> dict[str, ClassRows]:
        layers = ("fine_classifier", "coarse_classifier")
        return {f"{layer}.{leaf}": ClassRows() for layer in layers for leaf in ("weight", "bias")}

    @classmethod
    def from_torchvision(cls, state: dict[str, Tensor]) -> Origin | None:
        """Takes ``lraspp_mobilenet_v3_large`` apart; 21 classes are VOC's with background, as in the one published."""
        rows = state.get("classifier.low_classifier.bias")
        if rows is None:
            return None
        backbone, head = {}, {}
        for key, tensor in state.items():
            part, _, name = key.partition(".")
            module, _, leaf = name.rpartition(".")
            if part == "backbone":
                backbone[f"features.{name}"] = tensor
            else:
                head[f"{TORCHVISION_MODULES.get(module, module)}.{leaf}"] = tensor
        voc = ("background", *get_weight(cls.published[0]).meta["categories"][1:])
        spec = {
            "backbone": {"class_path": "litmobile.backbones.MobileNetV3", "init_args": {"output_stride": 16}},
            "head": {"class_path": "litmobile.heads.LRASPP", "init_args": {}},
            "maps": ["c3_first", "final"],
            "preprocessing": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        }
        return Origin(backbone, head, voc if len(voc) == rows.numel() else nameless_classes(rows.numel()), spec)
