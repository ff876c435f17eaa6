"""Segmentation benchmarks: a training step against torchvision, the confusion matrix against torchmetrics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...backbones import MobileNetV3
from ...backbones.contract import IMAGENET
from ...heads import LRASPP
from ...heads.predictions import IGNORED
from ...tasks.network import Network
from ...tasks.preprocessing import Preprocessing
from ...tasks.segmentation.metrics import count_pixels
from .sides import Setting, Side, Step, make_images, make_step, prepare, total

# training step: as for CamVid
STEP_CLASSES = 11
STEP_SIZE = (360, 480)
# confusion matrix: as for Cityscapes
CLASSES = 19
SIZE = (1024, 2048)
BLOCK = 64  # side in pixels of the squares of one class; real masks have such areas


def make_batch(setting: Setting) -> tuple[Tensor, Tensor]:
    """Makes images ``[N, 3, H, W]`` uint8 and labels ``[N, H, W]`` uint8, of which some are ignored."""
    images, generator = make_images(setting, *STEP_SIZE)
    labels = torch.randint(STEP_CLASSES + 1, (setting.batch, *STEP_SIZE), dtype=torch.uint8, generator=generator)
    labels[labels == STEP_CLASSES] = IGNORED
    return images, labels.to(setting.device)


def lraspp_ours(setting: Setting) -> Step:
    """Makes the training step of `litmobile fit`."""
    network = Network(
        MobileNetV3(output_stride=16),
        LRASPP,
        [str(k) for k in range(STEP_CLASSES)],
        Preprocessing(STEP_SIZE, mean=IMAGENET.mean, std=IMAGENET.std),
        feature_maps=["c3_first", "final"],  # the maps that torchvision's head takes
    ).train()
    prepare(network, setting)
    images, labels = make_batch(setting)
    return make_step(network, setting, lambda: total(network.head.loss(network(images), labels)))


def lraspp_torchvision(setting: Setting) -> Step:
    """Makes a training step of torchvision's reference: normalised floats, int64 labels, its loss."""
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=STEP_CLASSES).train()
    network.to(setting.device)
    images, labels = make_batch(setting)
    mean, std = (torch.tensor(x, device=setting.device).view(3, 1, 1) for x in IMAGENET)
    floats = ((images / 255 - mean) / std).contiguous()
    targets = labels.long()
    return make_step(network, setting, lambda: F.cross_entropy(network(floats)["out"], targets, ignore_index=IGNORED))


def make_label_maps(setting: Setting) -> tuple[Tensor, Tensor]:
    """Makes predictions int64 and labels uint8, ``[N, H, W]``: a tenth is wrong, a twelfth is ignored."""
    generator = torch.Generator().manual_seed(0)
    shape = (setting.batch, *SIZE)
    blocks = torch.randint(CLASSES, (setting.batch, SIZE[0] // BLOCK, SIZE[1] // BLOCK), generator=generator)
    truth = blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    is_wrong = torch.rand(shape, generator=generator) < 1 / 10
    predicted = torch.where(is_wrong, torch.randint(CLASSES, shape, generator=generator), truth)
    truth[torch.rand(shape, generator=generator) < 1 / 12] = IGNORED
    return predicted.to(setting.device), truth.to(torch.uint8).to(setting.device)


def confusion_ours(setting: Setting) -> Step:
    """Counts the confusion matrix as our evaluation does, image by image, with uint8 labels."""
    predicted, truth = make_label_maps(setting)
    matrix = torch.zeros(CLASSES, CLASSES, dtype=torch.int64, device=setting.device)

    def count() -> Tensor:
        for prediction, label in zip(predicted, truth, strict=True):
            matrix.add_(count_pixels(prediction, label, CLASSES))
        return matrix

    return count


def confusion_torchmetrics(setting: Setting) -> Step:
    """Counts the confusion matrix with torchmetrics' defaults and int64 labels, as in its documentation."""
    from torchmetrics.classification import MulticlassJaccardIndex

    predicted, truth = make_label_maps(setting)
    truth = truth.long()
    metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORED).to(setting.device)

    def count() -> Tensor:
        for prediction, label in zip(predicted, truth, strict=True):
            metric.update(prediction, label)
        return metric.confmat  # pyright: ignore[reportReturnType] — added by add_state

    return count


SEGMENTATION: dict[str, tuple[Side, Side]] = {
    "lraspp-step": (lraspp_ours, lraspp_torchvision),
    "confusion": (confusion_ours, confusion_torchmetrics),
}
