"""Segmentation in the benchmark: a training step, against torchvision; counting pixels, against torchmetrics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...backbones import MobileNetV3
from ...heads import LRASPP
from ...heads.predictions import IGNORED
from ...tasks.network import Network
from ...tasks.preprocessing import Preprocessing
from ...tasks.segmentation.metrics import SegmentationEvaluator
from ..memory import keep_freed_memory
from .sides import Setting, Side, Step, stepper

# a training step: CamVid's
STEP_CLASSES = 11
STEP_SIZE = (360, 480)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# counting: Cityscapes'
CLASSES = 19
SIZE = (1024, 2048)
BLOCK = 64  # pixels of a side of what is of one class, as masks have it


def streets(setting: Setting) -> tuple[Tensor, Tensor]:
    """Images ``[N, H, W, 3]`` uint8 and labels ``[N, H, W]`` uint8, of which some are of no class."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (setting.batch, *STEP_SIZE, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(STEP_CLASSES + 1, (setting.batch, *STEP_SIZE), dtype=torch.uint8, generator=generator)
    labels[labels == STEP_CLASSES] = IGNORED
    return images.to(setting.device), labels.to(setting.device)


def lraspp_ours(setting: Setting) -> Step:
    """A training step as `litmobile fit` takes it."""
    keep_freed_memory()
    network = Network(
        MobileNetV3(output_stride=16),
        LRASPP,
        [str(k) for k in range(STEP_CLASSES)],
        Preprocessing(STEP_SIZE, mean=MEAN, std=STD),
        feature_maps=["c3_first", "final"],  # where torchvision's head sits
    ).train()
    network.to(setting.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it
    if setting.compiled:
        network.compile()
    images, labels = streets(setting)
    images = images.permute(0, 3, 1, 2)

    def loss() -> Tensor:
        return torch.stack(list(network.head.loss(network(images), labels).values())).sum()

    return stepper(network, setting, loss)


def lraspp_torchvision(setting: Setting) -> Step:
    """A training step of torchvision's reference: normalised floats, labels of eight bytes, its criterion."""
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=STEP_CLASSES).train()
    network.to(setting.device)
    images, labels = streets(setting)
    mean, std = (torch.tensor(x, device=setting.device).view(3, 1, 1) for x in (MEAN, STD))
    floats = ((images.permute(0, 3, 1, 2) / 255 - mean) / std).contiguous()
    targets = labels.long()
    return stepper(network, setting, lambda: F.cross_entropy(network(floats)["out"], targets, ignore_index=IGNORED))


def label_maps(setting: Setting) -> tuple[Tensor, Tensor]:
    """Predictions int64 and truths uint8, ``[N, H, W]``: a tenth is mistaken, a twelfth has no class."""
    generator = torch.Generator().manual_seed(0)
    shape = (setting.batch, *SIZE)
    blocks = torch.randint(CLASSES, (setting.batch, SIZE[0] // BLOCK, SIZE[1] // BLOCK), generator=generator)
    truth = blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    mistaken = torch.rand(shape, generator=generator) < 1 / 10
    predicted = torch.where(mistaken, torch.randint(CLASSES, shape, generator=generator), truth)
    truth[torch.rand(shape, generator=generator) < 1 / 12] = IGNORED
    return predicted.to(setting.device), truth.to(torch.uint8).to(setting.device)


def confusion_ours(setting: Setting) -> Step:
    """The confusion matrix as an evaluation counts it, image by image; masks are bytes."""
    predicted, truth = label_maps(setting)
    evaluator = SegmentationEvaluator([str(k) for k in range(CLASSES)], setting.device)

    def count() -> Tensor:
        for said, true in zip(predicted, truth, strict=True):
            evaluator.add(said, true)
        return evaluator.matrix

    return count


def confusion_torchmetrics(setting: Setting) -> Step:
    """The same by torchmetrics with its defaults, given masks of eight bytes a pixel, as its documentation has them."""
    from torchmetrics.classification import MulticlassJaccardIndex

    predicted, truth = label_maps(setting)
    truth = truth.long()
    metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORED).to(setting.device)

    def count() -> Tensor:
        for said, true in zip(predicted, truth, strict=True):
            metric.update(said, true)
        return metric.confmat  # pyright: ignore[reportReturnType] — a state that the metric adds under this name

    return count


SEGMENTATION: dict[str, tuple[Side, Side]] = {
    "lraspp-step": (lraspp_ours, lraspp_torchvision),
    "confusion": (confusion_ours, confusion_torchmetrics),
}
