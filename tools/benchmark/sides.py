"""Both sides of each benchmark: our networks and the peers', with equal inputs and steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ... import backbones
from ...backbones import Backbone, MobileNetV3
from ...heads import Classifier
from ...tasks.memory import keep_freed_memory
from ...tasks.network import Network
from ...tasks.preprocessing import Preprocessing

Step = Callable[[], object]  # what is timed

BACKBONE_SIZE = 224
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


class Setting(NamedTuple):
    """Settings of both sides; ``compiled`` is for ours alone, because the peer's step does not compile as a whole."""

    batch: int
    device: str
    precision: str
    compiled: bool


Side = Callable[[Setting], Step]  # ours or a peer's
Sides = tuple[Side, Side | None]  # ours, and the peer's if there is one


def autocast(setting: Setting) -> torch.autocast:
    """Returns a context of mixed precision, which does nothing at 32 bits."""
    return torch.autocast(setting.device, PRECISIONS[setting.precision], enabled=setting.precision != "32")


def prepare(network: nn.Module, setting: Setting) -> None:
    """Moves ``network`` to the device with channels-last memory, and compiles it if the setting says so."""
    keep_freed_memory()
    network.to(setting.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it
    if setting.compiled:
        network.compile()


def make_step(network: nn.Module, setting: Setting, compute_loss: Callable[[], Tensor]) -> Step:
    """Makes a training step: forward, loss, backward and SGD."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    scaler = torch.amp.GradScaler(setting.device, enabled=setting.precision == "16")

    def step() -> None:
        with autocast(setting):
            loss = compute_loss()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def make_images(setting: Setting, height: int, width: int) -> tuple[Tensor, torch.Generator]:
    """Makes random uint8 images ``[N, 3, H, W]`` in channels-last memory, and the generator for their targets."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (setting.batch, height, width, 3), dtype=torch.uint8, generator=generator)
    return images.to(setting.device).permute(0, 3, 1, 2), generator


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """Adds the terms of a loss."""
    return torch.stack(list(losses.values())).sum()


# backbones with their classifiers; channels last and the same memory settings on both sides


class WithClassifier(Network):
    """A backbone with its published classifier for 1000 classes; takes normalised images, like the peers."""

    def __init__(self, backbone: Backbone, **options: Any) -> None:
        head = partial(Classifier, **options)
        super().__init__(backbone, head, [str(k) for k in range(1000)], Preprocessing(), role="classification")

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images), (BACKBONE_SIZE, BACKBONE_SIZE))


def backbone_side(make: Callable[[], nn.Module], training: bool, setting: Setting) -> Step:
    """Makes a training step, or a forward pass in evaluation mode, of 1000-way classification."""
    network = make().train(training)
    prepare(network, setting)
    images = torch.randn(setting.batch, 3, BACKBONE_SIZE, BACKBONE_SIZE, device=setting.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(1000, (setting.batch,), device=setting.device)
    if training:
        return make_step(network, setting, lambda: F.cross_entropy(network(images), labels))

    def forward() -> Tensor:
        with torch.inference_mode(), autocast(setting):
            return network(images)

    return forward


MODELS = torchvision.models
#: builders of each network: ours, and the peer's if it has this network
BACKBONES: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module] | None]] = {
    "mobilenet_v1": (
        lambda: WithClassifier(backbones.MobileNetV1(activation="relu6")),
        lambda: timm.create_model("mobilenetv1_100"),
    ),
    "mobilenet_v2": (lambda: WithClassifier(backbones.MobileNetV2()), MODELS.mobilenet_v2),
    "mobilenet_v3_large": (lambda: WithClassifier(MobileNetV3(), hidden_dim=1280), MODELS.mobilenet_v3_large),
    "mobilenet_v3_small": (lambda: WithClassifier(MobileNetV3("small"), hidden_dim=1024), MODELS.mobilenet_v3_small),
    "shufflenet_v2": (lambda: WithClassifier(backbones.ShuffleNetV2()), MODELS.shufflenet_v2_x1_0),
    "mobilevit_xs": (
        lambda: WithClassifier(backbones.MobileViT("xs", dropout=0)),  # timm's default
        lambda: timm.create_model("mobilevit_xs"),
    ),
    "shufflenet_v1": (lambda: WithClassifier(backbones.ShuffleNetV1()), None),
    "effnet_extended": (lambda: WithClassifier(backbones.EffNet(extended=True)), None),
}
BACKBONE_SIDES: dict[str, Sides] = {
    f"{name}-{what}": (partial(backbone_side, ours, training), theirs and partial(backbone_side, theirs, training))
    for name, (ours, theirs) in BACKBONES.items()
    for what, training in (("forward", False), ("step", True))
}
