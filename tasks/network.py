"""Backbone + head + preprocessing + class names: what is trained, saved, loaded and used. No Lightning in here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from ..backbones.contract import Backbone, Features, from_config
from ..errors import MissingCheckpointError, UserError, WeightsError
from ..heads.contract import Head, HeadFactory
from ..heads.predictions import Prediction
from .images import Image, read_image
from .preprocessing import Preprocessing

#: from a network and images ``[N, 3, H, W]`` to its head's output for them
Inference = Callable[[nn.Module, Tensor], Any]


class Network(nn.Module):
    """A backbone under a head, from images as they are on disk to predictions in their pixels.

    Args:
        backbone: narrowed here to the maps that the head takes.
        head: builds the head from those maps, and the number of classes: a class such as
            ``SSDLite``, or ``functools.partial(SSDLite, loss="focal")``.
        classes: names of the foreground classes.
        preprocessing: how images become the input.
        role: which of the backbone's published maps to take: "detection", "segmentation" or "classification".
        feature_maps: names of the maps to take instead, finest first.

    Raises:
        ValueError: the backbone lacks the maps, or the head cannot sit on them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        *,
        role: str | None = None,
        feature_maps: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if feature_maps is None:
            if role is None:
                raise UserError("Network needs a role or the names of the maps that its head takes.")
            feature_maps = backbone.feature_names(role)
        if not feature_maps:
            raise UserError("Network needs at least one map for its head.")
        features = backbone.head_features(feature_maps)
        backbone.select(feature_maps)
        self.backbone = backbone
        self.head = head(features, len(classes))
        if self.head.role not in ("", "classification"):
            preprocessing.check_not_cropped(type(self.head).__name__)
        self.feature_maps = tuple(feature_maps)
        self.classes = tuple(classes)
        self.preprocessing = preprocessing
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Any:
        """Images ``[N, 3, H, W]``, uint8 or floats in 0 … 1, of any size → the head's output."""
        image_size = (images.shape[2], images.shape[3])
        values = images.to(self.mean.dtype)
        if not images.is_floating_point():
            values = values / 255
        return self.head(self.backbone((values - self.mean) / self.std), image_size)

    @torch.inference_mode()
    def predict(self, image: str | Path | Image, inference: Inference | None = None) -> Prediction:
        """Predicts for one picture, a file or an RGB array ``[h, w, 3]`` uint8, in pixels of that picture.

        The network is put into evaluation mode.

        Args:
            image: the picture.
            inference: how the input becomes the head's output, such as
                :class:`litmobile.tasks.segmentation.Inference` with its windows and scales; None shows all of it once.
        """
        if isinstance(image, str | Path):
            image = read_image(image)
        if not isinstance(image, np.ndarray):
            raise TypeError(f"predict wants a file or an array, not {type(image).__name__}: numpy.asarray makes one.")
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != "uint8" or not image.size:
            raise UserError(f"predict wants a uint8 array [h, w, 3], not {image.dtype} {list(image.shape)}.")
        geometry = self.preprocessing.geometry(*image.shape[:2])
        placed = np.ascontiguousarray(
            self.preprocessing.apply_geometry(image, geometry)
        )  # a flipped view cannot become a tensor
        images = torch.from_numpy(placed).permute(2, 0, 1).unsqueeze(0).to(self.mean.device)
        network = self.eval()
        output = network(images) if inference is None else inference(network, images)
        return self.head.decode(output, self.preprocessing.size)[0].to_image(geometry)

    def config(self) -> dict[str, Any]:
        """All that it takes to build this network again, as plain values."""
        return {
            "backbone": self.backbone.config(),
            "head": self.head.config(leave_out=Head.GIVEN),
            "feature_maps": list(self.feature_maps),
            "classes": list(self.classes),
            "preprocessing": asdict(self.preprocessing),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Network:
        """Builds the network that :meth:`spec` described, with weights drawn at random."""

        def head(features: Features, num_classes: int) -> Head:
            return from_config(config["head"], Head, features=features, num_classes=num_classes)

        return cls(
            from_config(config["backbone"], Backbone),
            head,
            config["classes"],
            Preprocessing(**config["preprocessing"]),
            feature_maps=config["feature_maps"],
        )


def checkpoint_file(run: str | Path) -> Path:
    """The best checkpoint of a run's folder (the last where none is best); what is no folder stands for itself."""
    path = Path(run)
    if not path.is_dir():
        return path
    candidates = [path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    return next((file for file in candidates if file.is_file()), candidates[0])


def load(run: str | Path) -> Network:
    """Loads the network of a run, ready to predict.

    Args:
        run: a run's folder, whose best checkpoint is taken (the last where none is best), or a checkpoint file.

    Raises:
        FileNotFoundError: no checkpoint there.
        WeightsError: the file is unsafe to read, or no checkpoint of litmobile.
    """
    path = checkpoint_file(run)
    if not path.is_file():
        raise MissingCheckpointError(f"There is no checkpoint {path}.")
    prefix = "network."
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        network = Network.from_config(checkpoint["network"])
        state = checkpoint["state_dict"].items()
        network.load_state_dict({k.removeprefix(prefix): v for k, v in state if k.startswith(prefix)})
    except Exception as error:  # a foreign file can fail in any way: unpickling, keys, types, shapes, imports
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")  # libraries append advice
        raise WeightsError(f"{path} is no checkpoint of litmobile ({type(error).__name__}: {reason}).") from error
    return network.eval()


def summarize_network(network: Network) -> str:
    """Names the network's parts and counts its parameters in one sentence."""
    total = sum(p.numel() for p in network.parameters())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    parts = f"{type(network.head).__name__} on {type(network.backbone).__name__}"
    return f"{parts}, {len(network.classes)} classes: {total:,} parameters, {trainable:,} of them trainable."


def has_single_value_norm(network: nn.Module, images: Tensor) -> bool:
    """Whether ``images`` give one of the network's batch norms a single value per channel."""
    sizes: list[int] = []

    def record_size(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(inputs[0].numel() // inputs[0].shape[1])

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(record_size) for norm in norms]
    with torch.no_grad():
        network.eval()(images)
    for handle in handles:
        handle.remove()
    return 1 in sizes


def is_distributed() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def broadcast_buffers(network: nn.Module) -> None:
    """Gives all processes the norm statistics of the first, whose checkpoint is written, so that all evaluate alike."""
    if is_distributed():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
