"""Published figures of the same architectures, which the report shows beside the study's own, marked as published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ....backbones.contract import Backbone
from ...profile.backbone.facts import find_published

MOBILENET_V2, MOBILENET_V3 = "arXiv 1801.04381, table 6", "arXiv 1905.02244, table 6"
V3_SEGMENTATION = "arXiv 1905.02244, table 7"
MOBILEVIT = "ml-cvnets' list of models"


class Published(NamedTuple):
    """A published figure.

    Attributes:
        family: name of the backbone's class.
        arguments: its constructor arguments that shapes depend on and that differ from the defaults.
        role: kind of task.
        figure: what was measured, and on which images.
        value: in %.
        source: paper and table.
    """

    family: str
    arguments: Mapping[str, Any]
    role: str
    figure: str
    value: float
    source: str


DETECTION, SEGMENTATION = "COCO AP, SSDLite at 320 px", "Cityscapes mIoU, LR-ASPP with 128 filters"
PUBLISHED = (
    Published("MobileNetV1", {}, "detection", DETECTION, 22.2, MOBILENET_V2),
    Published("MobileNetV2", {}, "detection", DETECTION, 22.1, MOBILENET_V2),
    Published("MobileNetV2", {"width": 0.5}, "detection", DETECTION, 16.6, MOBILENET_V3),
    Published("MobileNetV2", {"width": 0.35}, "detection", DETECTION, 13.7, MOBILENET_V3),
    Published("MobileNetV3", {}, "detection", DETECTION, 22.0, MOBILENET_V3),
    Published("MobileNetV3", {"variant": "small"}, "detection", DETECTION, 16.0, MOBILENET_V3),
    Published("MobileViT", {"variant": "xxs"}, "detection", DETECTION, 19.9, MOBILEVIT),
    Published("MobileViT", {"variant": "xs"}, "detection", DETECTION, 24.8, MOBILEVIT),
    Published("MobileViT", {}, "detection", DETECTION, 27.9, MOBILEVIT),
    Published("MobileNetV2", {}, "segmentation", SEGMENTATION, 72.74, V3_SEGMENTATION),
    Published("MobileNetV2", {"width": 0.5}, "segmentation", SEGMENTATION, 68.57, V3_SEGMENTATION),
    Published("MobileNetV2", {"width": 0.35}, "segmentation", SEGMENTATION, 66.83, V3_SEGMENTATION),
    Published("MobileNetV3", {}, "segmentation", SEGMENTATION, 72.36, V3_SEGMENTATION),
    Published("MobileNetV3", {"variant": "small"}, "segmentation", SEGMENTATION, 68.38, V3_SEGMENTATION),
)


def find_figures(family: str, arguments: Mapping[str, Any]) -> list[Published]:
    """Returns the published figures of an architecture on other tasks than ImageNet's."""
    return [entry for entry in PUBLISHED if entry.family == family and entry.arguments == arguments]


def find_top1(backbone: Backbone) -> float | None:
    """Returns the accuracy on ImageNet in % that the paper reports for the same shapes; None if it reports none."""
    published = find_published(backbone)
    return published.variant.top1 if published.variant and not published.shape_differences else None


def describe_architecture(backbone: Backbone) -> dict[str, Any]:
    """Returns plain values that identify the architecture: its class, and arguments that shapes depend on."""
    defaults = backbone.defaults()
    arguments = {
        name: value
        for name, value in backbone.arguments.items()
        if name in backbone.shape_arguments and value != defaults.get(name)
    }
    return {"family": type(backbone).__name__, "arguments": arguments, "top1": find_top1(backbone)}
