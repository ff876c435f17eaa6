"""Loads pretrained networks and checkpoints, and checks that they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from ..backbones.contract import Configurable
from ..backbones.weights import State, fetch, is_file_name, load_weights, read_checkpoint, tensors_of
from ..errors import TaskError, WeightsError
from ..heads.contract import ClassDimension, Head, default_class_names
from .atomic import write_checkpoint
from .data.files import format_list
from .network import NETWORK_PREFIX, Network, broadcast_state, checkpoint_file, name_parts
from .torchvision_weights import PretrainedState, published_network

CONFIG_KEYS = {"backbone", "head", "feature_maps", "classes", "preprocessing"}
ABSENT = "absent"
AUTO = "auto"  # backbone weights where they can be had


class PretrainedReport(NamedTuple):
    """Result of loading a whole network.

    Attributes:
        source: run, file or published name of the weights.
        loaded: number of tensors that were set.
        kept: classes whose rows were copied.
        new: classes whose rows keep their random weights.
        differences: arguments of the trained network that differ, although all tensor shapes agree.
    """

    source: str
    loaded: int
    kept: tuple[str, ...]
    new: tuple[str, ...]
    differences: tuple[str, ...]

    def __str__(self) -> str:
        text = f"loaded {self.loaded} tensors from {self.source}; "
        if not self.new:
            text += f"the head keeps the weights of all {len(self.kept)} classes"
        elif not self.kept:
            text += f"all {len(self.new)} classes start from random weights"
        else:
            text += f"the head keeps the weights of {format_list(self.kept)}; "
            text += f"{len(self.new)} classes start from random weights ({format_list(self.new)})"
        return text + (f". It was trained with {', '.join(self.differences[:8])}" if self.differences else "")


def load_starting_weights(network: Network, weights: str | None, backbone_weights: str | None) -> None:
    """Loads the initial weights of a training, and logs which tensors were loaded.

    Args:
        network: the network to train.
        weights: see :func:`load_pretrained`; None loads none.
        backbone_weights: see :func:`litmobile.backbones.load_weights`; None loads none. "auto" is "imagenet" where
            these weights can be had, else None. If published weights were trained on images with another normalisation,
            a warning is logged.
    """
    if backbone_weights == AUTO and weights is None:
        try:
            load_backbone(network, "imagenet")
        except WeightsError as error:
            rank_zero_info(f"The backbone starts from random weights. {error}")
        broadcast_state(network)  # a download may fail in one process only
    elif backbone_weights not in (None, AUTO):
        load_backbone(network, backbone_weights)
    if weights is not None:
        rank_zero_info(f"Network: {load_pretrained(network, weights)}.")


def load_backbone(network: Network, source: str) -> None:
    """Loads the backbone's weights and logs which; warns if they were trained with another normalisation."""
    report = load_weights(network.backbone, source)
    rank_zero_info(f"Backbone: {report}.")
    theirs, ours = network.backbone.normalisation(report.source), network.preprocessing.normalisation
    if theirs is not None and theirs != ours:
        flags = (f"--model.preprocessing.{name}=[{', '.join(map(str, x))}]" for name, x in theirs._asdict().items())
        rank_zero_warn(
            f"{report.source} was trained on images normalised by mean {theirs.mean} and std {theirs.std}, but "
            f"this network normalises by {ours.mean} and {ours.std}: set {' '.join(flags)} to match."
        )


def load_pretrained(network: Network, source: str | Path) -> PretrainedReport:
    """Loads a whole trained network into ``network``, whose classes may differ.

    Every tensor has to fit, except those with rows for classes. Rows are copied for classes whose names are in both
    networks; the others keep their random weights. If one network has no class names, rows are copied if both have
    the same number of classes.

    Args:
        network: its architecture is never changed to fit the weights.
        source: the folder or a checkpoint of a run, a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file, or an
            exact name of torchvision, such as ``SSDLite320_MobileNet_V3_Large_Weights.COCO_V1``. Tensors in files may
            have our names or torchvision's. Weights that torchvision publishes must be of a network with this head.

    Raises:
        WeightsError: the weights cannot be found or downloaded, are unsafe to read, or do not fit.
    """
    name = str(source)
    return load_state_into(network, find_pretrained(network.head, name), name)


def find_pretrained(head: Head, source: str) -> PretrainedState:
    """Reads or downloads the weights ``source`` of a network with ``head``; see :func:`load_pretrained`."""
    if not is_file_name(source):
        published = published_network(head)
        if published is None or source != published.name:
            raise WeightsError(
                f"{source!r} is not a file, a run, or weights published for {type(head).__name__} "
                f"({'none' if published is None else published.name}); weights of a backbone go to backbone_weights."
            )
        return split_state(head, fetch(source))
    path = checkpoint_file(source)
    content = read_checkpoint(path)
    pretrained = split_state(head, tensors_of(content, path))
    config = content.get("network") if isinstance(content, Mapping) else None
    if isinstance(config, Mapping) and set(config) >= CONFIG_KEYS:
        return pretrained._replace(classes=tuple(config["classes"]), config=dict(config))
    return pretrained


def split_state(head: Head, state: State) -> PretrainedState:
    """Divides the tensors of a whole network into backbone and head; their names may be ours or torchvision's."""
    published = published_network(head)
    converted = published and published.convert(state)
    if converted:
        return converted
    state = strip_prefix(state, NETWORK_PREFIX) or state
    rest = {name.removeprefix("head."): tensor for name, tensor in state.items() if not name.startswith("backbone.")}
    return PretrainedState(strip_prefix(state, "backbone."), rest)


def strip_prefix(state: State, prefix: str) -> State:
    """Returns the tensors whose names start with ``prefix``, under their names without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def load_state_into(network: Network, pretrained: PretrainedState, source: str) -> PretrainedReport:
    """Loads ``pretrained``, called ``source`` in reports and errors; see :func:`load_pretrained`."""
    stored = translate_names(network, pretrained, source)
    own = network.state_dict()
    dimensions = {f"head.{name}": dimension for name, dimension in network.head.class_dimensions().items()}
    classes = pretrained.classes or default_class_names(count_classes(stored, dimensions, len(network.classes)))
    for name in (*own, *stored):
        if not tensor_fits(own.get(name), stored.get(name), dimensions.get(name), len(classes), name):
            here, there = (list(t.shape) if t is not None else ABSENT for t in (own.get(name), stored.get(name)))
            raise WeightsError(
                f"{source} does not fit {name_parts(network.backbone, network.head)}: {name} is {here} here and "
                f"{there} there; {suggest_arguments(network, pretrained.config, name, len(classes))}."
            )
    differing = differing_settings(network, pretrained.config)
    if "feature_maps" in differing:  # maps of equal channels can lie at other depths
        maps = f"{', '.join(network.feature_maps)}: set feature_maps={differing['feature_maps']}"
        raise WeightsError(f"{source} was trained on other maps than {maps}.")
    rows = shared_classes(network.classes, classes)
    if any(f"head.{argument}" in differing for argument in network.head.class_arguments):
        rows = []  # the logits of another loss have another meaning
        stored = {name: tensor for name, tensor in stored.items() if name not in dimensions}
    for name, dimension in dimensions.items():
        if name in stored:
            stored[name] = copy_rows(own[name], stored[name], dimension, rows)
    network.load_state_dict(stored, strict=False)
    kept = {here for here, _ in rows} if dimensions else set(range(len(network.classes)))
    return PretrainedReport(
        source,
        len(stored),
        tuple(name for k, name in enumerate(network.classes) if k in kept),
        tuple(name for k, name in enumerate(network.classes) if k not in kept),
        tuple(f"{setting}={value}" for setting, value in differing.items()),
    )


def translate_names(network: Network, pretrained: PretrainedState, source: str) -> State:
    """Returns all tensors of ``pretrained``; those that ``network`` has get its names.

    Raises:
        WeightsError: no tensor belongs to the head.
    """
    if not set(pretrained.head) & set(network.head.state_dict()):
        raise WeightsError(f"{source} has no {type(network.head).__name__} head; load backbones with backbone_weights.")
    backbone, left_over = network.backbone.translate(pretrained.backbone)
    backbone |= {name: pretrained.backbone[name] for name in left_over}
    return {f"backbone.{k}": v for k, v in backbone.items()} | {f"head.{k}": v for k, v in pretrained.head.items()}


def count_classes(stored: State, dimensions: Mapping[str, ClassDimension], default: int) -> int:
    """Returns the number of classes that ``stored`` has rows for, if its head has these ``dimensions``."""
    for name, dimension in dimensions.items():
        if name in stored and stored[name].ndim:
            return len(stored[name]) // dimension.groups - dimension.offset
    return default


def tensor_fits(
    own: Tensor | None, stored: Tensor | None, dimension: ClassDimension | None, classes: int, name: str
) -> bool:
    """Whether tensor ``name`` can be initialised from ``stored``, which was trained on ``classes`` classes."""
    if stored is None:
        return name.endswith("num_batches_tracked")  # older files lack it; only an unset momentum needs it
    if own is None:
        return False
    if dimension is None:
        return own.shape == stored.shape
    if stored.ndim != own.ndim or stored.shape[1:] != own.shape[1:]:
        return False
    return stored.shape[0] == dimension.groups * (dimension.offset + classes)


def shared_classes(own: Sequence[str], stored: Sequence[str]) -> list[tuple[int, int]]:
    """Returns pairs of indices, in ``own`` and in ``stored``, of the same class."""
    if tuple(own) == tuple(stored) or any(tuple(names) == default_class_names(len(names)) for names in (own, stored)):
        return [(k, k) for k in range(len(own))] if len(own) == len(stored) else []
    unique = {name: k for k, name in enumerate(stored) if stored.count(name) == 1}  # torchvision's COCO has ten "N/A"
    return [(k, unique[name]) for k, name in enumerate(own) if name in unique]


def copy_rows(own: Tensor, stored: Tensor, dimension: ClassDimension, classes: Sequence[tuple[int, int]]) -> Tensor:
    """Returns ``own`` with the rows of ``classes`` (index here, index there) and those before them from ``stored``."""
    mixed = own.clone().unflatten(0, (dimension.groups, -1))
    source = stored.to(own).unflatten(0, (dimension.groups, -1))
    first = dimension.offset
    mixed[:, :first] = source[:, :first]
    for here, there in classes:
        mixed[:, first + here] = source[:, first + there]
    return mixed.flatten(0, 1)


# differences between a network and the network that pretrained weights were trained in, for messages


def differing_settings(network: Network, config: Mapping[str, Any]) -> dict[str, str]:
    """Returns the settings in the ``config`` of a trained network that differ from those of ``network``.

    Keys are names such as "backbone.width". A part of another class is listed with all its arguments.
    """
    differing: dict[str, str] = {}
    for key, part in network_parts(network).items():
        stored = config.get(key, part.config())
        own, theirs = part.arguments, part.defaults() | stored["init_args"]
        if stored["class_path"] != part.config()["class_path"]:
            differing[key] = stored["class_path"]
            own, theirs = {}, stored["init_args"]
        for name, value in theirs.items():
            if name not in Head.GIVEN and to_lists(value) != to_lists(own.get(name)):
                differing[f"{key}.{name}"] = repr(to_lists(value))
    maps = list(config.get("feature_maps", network.feature_maps))
    if maps != list(network.feature_maps):
        differing["feature_maps"] = f"[{','.join(maps)}]"
    preprocessing = config.get("preprocessing", {})
    for name, value in network.preprocessing.normalisation._asdict().items():
        if to_lists(preprocessing.get(name, value)) != to_lists(value):
            differing[f"preprocessing.{name}"] = repr(to_lists(preprocessing[name]))
    return differing


def network_parts(network: Network) -> dict[str, Configurable]:
    """Returns the parts of ``network`` that checkpoints describe by class and arguments."""
    return {"backbone": network.backbone, "head": network.head}


def suggest_arguments(network: Network, config: Mapping[str, Any], name: str, classes: int) -> str:
    """Suggests arguments that would make the tensor ``name`` fit, as the end of a sentence."""
    parts, differing = network_parts(network), differing_settings(network, config)
    known: list[str] = []
    for setting, value in differing.items():
        key, _, argument = setting.partition(".")
        if key in differing or (key in parts and argument in parts[key].shape_arguments):
            known.append(f"{setting}={value}")
    if known:
        return f"set {' and '.join(known)}"
    key = name.partition(".")[0]
    if key == "head" and not network.head.class_dimensions() and classes != len(network.classes):
        return f"let {type(network.head).__name__}.class_dimensions name the tensors that have rows for classes"
    arguments = [f"{key}.{argument}" for argument in parts[key].shape_arguments]
    return f"set {' and '.join(arguments) or 'the arguments'} as it was trained with"


def to_lists(value: Any) -> Any:
    """Converts tuples to lists, because checkpoints do not distinguish them."""
    return [to_lists(entry) for entry in value] if isinstance(value, list | tuple) else value


# checkpoints


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints with a checksum, beside the old one and then in its place, so no reader sees half a file.

    Lightning's own class writes to the system's temporary folder and copies from there; a full disk or a kill can leave
    half a file.
    """

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        checkpoint = read_checkpoint(Path(path))  # never runs code, whatever the arguments
        if not is_run_checkpoint(checkpoint):
            raise TaskError(f"{path} is not a checkpoint of a litmobile run.")
        return cast("dict[str, Any]", checkpoint)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))


def is_run_checkpoint(content: object) -> bool:
    """Whether ``content`` has what every command needs of a run's checkpoint."""
    if not isinstance(content, dict):
        return False
    has_parts = all(isinstance(content.get(key), dict) for key in ("network", "state_dict"))
    counts = [content.get(key) for key in ("epoch", "global_step")]
    return has_parts and all(isinstance(count, int) and 0 <= count < 2**63 for count in counts)


def check_same_network(checkpoint: Mapping[str, Any], network: Network) -> None:
    """Refuses the checkpoint of another network with a short message; PyTorch's would list every tensor.

    Raises:
        TaskError: classes, maps, parts or shapes differ, or it is not a litmobile checkpoint.
    """
    stored, own = checkpoint.get("network"), network.config()
    if stored is None:
        raise TaskError("The checkpoint contains no litmobile network.")
    for what in ("classes", "feature_maps"):
        if list(stored[what]) != own[what]:
            contrast = contrast_names(list(stored[what]), own[what])
            raise TaskError(f"The checkpoint was trained with other {what}: {contrast}.")
    for part in ("backbone", "head"):
        if stored[part]["class_path"] != own[part]["class_path"]:
            raise TaskError(
                f"The {part} of the checkpoint is {stored[part]['class_path']}, but this run builds "
                f"{own[part]['class_path']}."
            )
    shapes = {f"{NETWORK_PREFIX}{name}": list(value.shape) for name, value in network.state_dict().items()}
    stored_shapes = {name: list(value.shape) for name, value in checkpoint["state_dict"].items()}
    differing = [name for name in {**shapes, **stored_shapes} if shapes.get(name) != stored_shapes.get(name)]
    if differing:
        name = differing[0]
        key = name.split(".")[1]
        part = network_parts(network)[key]
        explained = "".join(
            f"; {type(part).__name__} has {argument}={part.arguments.get(argument)!r} here and {value} there"
            for setting, value in differing_settings(network, stored).items()
            if (argument := setting.removeprefix(f"{key}.")) != setting
        )
        raise TaskError(
            f"The checkpoint does not fit: {name} is {stored_shapes.get(name, ABSENT)} there and "
            f"{shapes.get(name, ABSENT)} here{explained}."
        )


def contrast_names(stored: Sequence[str], own: Sequence[str]) -> str:
    """Describes the names that two lists do not share."""
    only = {"there": [name for name in stored if name not in own], "here": [name for name in own if name not in stored]}
    found = [f"{format_list(names)} only {where}" for where, names in only.items() if names]
    return ", ".join(found) or f"in another order, {format_list(stored)} there"
