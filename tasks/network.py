"""The network that is trained, saved and loaded: backbone, head, preprocessing and class names, without Lightning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from ..backbones.contract import Backbone, Configurable, Features, from_config
from ..checksum import check_intact
from ..class_paths import import_class
from ..errors import ClassPathError, MissingCheckpointError, UserError, WeightsError, format_count
from ..heads.contract import Head, HeadFactory
from ..heads.predictions import Prediction
from .atomic import write_checkpoint
from .data.fingerprint import hash_arrays
from .prediction.predictor import Predictor as Predictor
from .preprocessing import Preprocessing

T = TypeVar("T")

NETWORK_PREFIX = "network."  # of the network's tensors in a checkpoint
SAVED_SUFFIXES = (".pt", ".pth", ".ckpt")  # of files that Network.save writes


class Network(Predictor):
    """A backbone with a head; turns images of any size into predictions in pixels of the image.

    Args:
        backbone: layers that the head does not need are removed from it.
        head: called with the features and the number of classes: a class such as ``SSDLite``, or
            ``functools.partial(SSDLite, loss="focal")``.
        classes: names of the foreground classes.
        preprocessing: how images become the input.
        role: "detection", "segmentation" or "classification": the head takes the backbone's default maps for it.
        feature_maps: names of the maps that the head takes, finest first; replaces ``role``.

    Raises:
        UserError: the backbone does not have the maps, or they do not suit the head.
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
        """Images ``[N, 3, H, W]`` of any size, uint8 or floats in 0 … 1 → output of the head."""
        return self.head(self.maps(images), (images.shape[2], images.shape[3]))

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Images ``[N, 3, H, W]`` of any size, uint8 or floats in 0 … 1 → maps that the head takes, by name."""
        values = images.to(self.mean.dtype)
        if not images.is_floating_point():
            values = values / 255
        return self.backbone((values - self.mean) / self.std)

    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        return self.head.decode(output, image_size)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def config(self) -> dict[str, Any]:
        """Returns plain values from which :meth:`from_config` builds the same network."""
        return {
            "backbone": self.backbone.config(),
            "head": self.head.config(leave_out=Head.GIVEN),
            "feature_maps": list(self.feature_maps),
            "classes": list(self.classes),
            "preprocessing": asdict(self.preprocessing),
        }

    def save(self, path: str | Path) -> Path:
        """Writes the network to one file: weights, backbone, head, classes and preprocessing.

        :meth:`load` and ``litmobile.load`` read it without running code from it, and the network gives the same outputs
        bit by bit. `litmobile predict --run`, `export --run` and `profile` take it, too.

        Args:
            path: the file, e.g. ``cells.pt``, which is replaced at once or not at all.

        Returns:
            The file.

        Raises:
            UserError: the suffix is not .pt, .pth or .ckpt, the backbone or the head cannot be rebuilt by its import
                path and arguments, or the file cannot be written.
        """
        target = Path(path).expanduser()
        if target.suffix.lower() not in SAVED_SUFFIXES:
            raise UserError(f"A network is saved as {', '.join(SAVED_SUFFIXES)}, not as {target.name}.")
        config = self.config()
        for part in (self.backbone, self.head):
            check_can_be_rebuilt(part)
        state = {f"{NETWORK_PREFIX}{name}": value.detach().cpu() for name, value in self.state_dict().items()}
        is_channels_last = any(
            value.dim() == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)
            for value in self.parameters()
        )
        # without these two, other kernels would run, whose sums are rounded differently
        layout = {"channels_last": is_channels_last, "dtype": str(self.mean.dtype).removeprefix("torch.")}
        write_checkpoint({"network": config, "state_dict": state, "layout": layout}, target)
        return target

    @staticmethod
    def load(path: str | Path) -> Network:
        """Loads a file that :meth:`save` wrote, or the network of a run, on the CPU; see :func:`load`."""
        return load(path)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Network:
        """Builds the network that :meth:`config` describes, with random weights."""

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
    """Returns the best checkpoint in the folder of a run, or else the last; a path to a file is returned unchanged."""
    path = Path(run)
    if not path.is_dir():
        return path
    candidates = [path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    return next((file for file in candidates if file.is_file()), candidates[0])


def load(run: str | Path) -> Network:
    """Loads the network of a run, or one that :meth:`Network.save` wrote, on the CPU, ready to predict.

    Args:
        run: folder of a run, whose best checkpoint is loaded, or else the last; a checkpoint file; or a saved network.

    Raises:
        MissingCheckpointError: the checkpoint does not exist.
        WeightsError: the file is damaged, is unsafe to read, is not a checkpoint of litmobile, or names a class whose
            module is neither installed nor imported by your program.
    """
    path = checkpoint_file(run)
    if not path.is_file():
        wrong = "is not the folder of a run: it has no checkpoint" if Path(run).is_dir() else "does not exist"
        raise MissingCheckpointError(f"{run} {wrong}; pass the folder of a run, or a checkpoint file.")
    check_intact(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        network = Network.from_config(checkpoint["network"])
        state = checkpoint["state_dict"].items()
        network.load_state_dict({k.removeprefix(NETWORK_PREFIX): v for k, v in state if k.startswith(NETWORK_PREFIX)})
        restore_layout(network, checkpoint.get("layout", {}))
    except ClassPathError as error:
        raise WeightsError(f"{path} {error}") from error
    except Exception as error:  # another program's file can fail in any way: unpickling, keys, types, shapes, imports
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")  # libraries append advice
        raise WeightsError(f"{path} is not a checkpoint of litmobile ({type(error).__name__}: {reason}).") from error
    return network.eval()


def restore_layout(network: Network, layout: Mapping[str, Any]) -> None:
    """Converts a loaded network to the type and the memory format that it was saved with."""
    if "dtype" in layout:
        network.to(getattr(torch, layout["dtype"]))
    if layout.get("channels_last"):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — missing in torch's stub


def check_can_be_rebuilt(part: Configurable) -> None:
    """Raises UserError unless ``part`` can be built again from its import path and its arguments in a file."""
    config, name = part.config(leave_out=Head.GIVEN), type(part).__name__
    try:
        import_class(config["class_path"], type(part))
    except ClassPathError as error:
        raise UserError(
            f"{name} cannot be saved, because a file could not name it; define it in a module of its own, not in a "
            "script, a notebook or a function."
        ) from error
    for argument, value in config["init_args"].items():
        if not is_plain(value):
            raise UserError(
                f"{name} cannot be saved, because its argument {argument} is of type {type(value).__name__}; arguments "
                "in files are numbers, strings, lists and dictionaries."
            )


def is_plain(value: Any) -> bool:
    """Whether a file can hold ``value`` without code."""
    if isinstance(value, dict):
        return all(is_plain(entry) for pair in value.items() for entry in pair)
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def name_parts(backbone: nn.Module, head: nn.Module) -> str:
    """Returns the classes of a network's parts, e.g. "SSDLite on MobileNetV2"."""
    return f"{type(head).__name__} on {type(backbone).__name__}"


def summarize_network(network: Network) -> str:
    """Returns one sentence with the network's head, backbone, classes and parameters."""
    total = sum(p.numel() for p in network.parameters())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    parts = name_parts(network.backbone, network.head)
    classes = format_count(len(network.classes), "classes")
    return f"{parts}, {classes}: {total:,} parameters, {trainable:,} of them trainable."


def hash_weights(module: nn.Module) -> str:
    """Returns a hash of all parameters and buffers."""
    tensors = (value.detach().cpu().contiguous().reshape(-1) for value in module.state_dict().values())
    return hash_arrays(*(tensor.view(torch.uint8).numpy() for tensor in tensors))


def has_single_value_norm(network: nn.Module, images: Tensor) -> bool:
    """Whether a batch norm of the network gets only one value per channel for ``images``."""
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
    """Copies the norm statistics of the first process, which writes the checkpoints, to all others."""
    if is_distributed():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


def broadcast_state(network: nn.Module) -> None:
    """Copies the weights and norm statistics of the first process to all others."""
    if is_distributed():
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, src=0)


def gather_by_image(kept: dict[int, T]) -> dict[int, T]:
    """Returns what all processes kept, by index of the image, ascending; all of them have to call it."""
    parts = [kept]
    if is_distributed():
        parts *= distributed.get_world_size()
        distributed.all_gather_object(parts, kept)
    merged = {image: value for part in parts for image, value in part.items()}
    return {image: merged[image] for image in sorted(merged)}
