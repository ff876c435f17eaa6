"""Detection: SSDLite's training step and its postprocessing, against torchvision's."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from ...backbones import MobileNetV3
from ...heads import BoxTargets, SSDLite
from ...heads.ssdlite import SSDOutput
from ...heads.ssdlite.anchors import AnchorGenerator, default_scales
from ...tasks.memory import keep_freed_memory
from ...tasks.network import Network
from ...tasks.preprocessing import Preprocessing
from .sides import Setting, Sides, Step, make_images, make_step, prepare, total

SSDLITE_SIZE = 320
CLASSES = 90
BOXES = 7
GRIDS = ((20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))  # 3,234 anchors
#: scale of the random logits, and what is added to that of background
LOGITS = {"dense": (1.0, 0.0), "sparse": (2.0, 14.5)}


def make_detection_batch(setting: Setting) -> tuple[Tensor, BoxTargets]:
    """Makes images ``[N, 3, H, W]`` uint8, and seven boxes in pixels with class indices for each."""
    images, generator = make_images(setting, SSDLITE_SIZE, SSDLITE_SIZE)
    sides = 20 + 140 * torch.rand(setting.batch, BOXES, 2, generator=generator)
    corner = torch.rand(setting.batch, BOXES, 2, generator=generator) * (SSDLITE_SIZE - sides)
    labels = torch.randint(CLASSES, (setting.batch, BOXES), generator=generator)
    boxes = torch.cat((corner, corner + sides), dim=-1)
    return images, BoxTargets(boxes.to(setting.device), labels.to(setting.device))


def build_network() -> Network:
    """Builds our network, which equals the peer's."""
    classes = [str(k) for k in range(CLASSES)]
    backbone = MobileNetV3(tail="detection", norm_momentum=0.03)
    return Network(backbone, SSDLite, classes, Preprocessing((SSDLITE_SIZE, SSDLITE_SIZE)), role="detection")


def ssdlite_ours(setting: Setting) -> Step:
    """Makes the training step of `litmobile fit`."""
    network = build_network().train()
    prepare(network, setting)
    images, targets = make_detection_batch(setting)
    return make_step(network, setting, lambda: total(network.head.loss(network(images), targets)))


def ssdlite_torchvision(setting: Setting) -> Step:
    """Makes a training step of torchvision's reference: a list of float images, a target dictionary for each."""
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).train()
    network.to(setting.device)
    images, (boxes, labels) = make_detection_batch(setting)
    float_images = list(images.contiguous().float() / 255)
    targets = [{"boxes": b, "labels": k + 1} for b, k in zip(boxes, labels, strict=True)]
    return make_step(network, setting, lambda: total(network(float_images, targets)))


def make_output(kind: str, setting: Setting) -> SSDOutput:
    """Makes random logits and offsets for 3,234 anchors.

    97 % of the scores of "dense" are above SSDLite's threshold of 0.001, as in an untrained network. Of "sparse" it is
    0.3 %, as in a trained one.
    """
    scale, background = LOGITS[kind]
    generator = torch.Generator().manual_seed(0)
    anchors = AnchorGenerator(default_scales(len(GRIDS)), (2.0, 3.0))(
        GRIDS, (SSDLITE_SIZE, SSDLITE_SIZE), torch.zeros(())
    )
    logits = scale * torch.randn(setting.batch, len(anchors), CLASSES + 1, generator=generator)
    logits[..., 0] += background
    offsets = torch.randn(setting.batch, len(anchors), 4, generator=generator)
    return SSDOutput(*(x.to(setting.device) for x in (logits, offsets, anchors)))


def postprocess_ours(kind: str, setting: Setting) -> Step:
    """Makes the step from the head's output to the detections of each image."""
    keep_freed_memory()
    head, output = build_network().head, make_output(kind, setting)

    def step() -> object:
        with torch.inference_mode():
            return head.decode(output, (SSDLITE_SIZE, SSDLITE_SIZE))

    return step


def postprocess_torchvision(kind: str, setting: Setting) -> Step:
    """Makes the same step of torchvision."""
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    logits, offsets, anchors = make_output(kind, setting)
    outputs = {"cls_logits": logits, "bbox_regression": offsets}
    sizes = [(SSDLITE_SIZE, SSDLITE_SIZE)] * setting.batch

    def step() -> object:
        with torch.inference_mode():
            return network.postprocess_detections(outputs, [anchors] * setting.batch, sizes)

    return step


DETECTION: dict[str, Sides] = {
    "ssdlite-step": (ssdlite_ours, ssdlite_torchvision),
    **{
        f"postprocess-{kind}": (partial(postprocess_ours, kind), partial(postprocess_torchvision, kind))
        for kind in LOGITS
    },
}
