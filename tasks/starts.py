"""Where a training starts from: a whole trained network, of the same or of other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..backbones.contract import Configurable
from ..backbones.weights import State, fetch, is_file_name, read_checkpoint, tensors_of
from ..errors import WeightsError
from ..heads.contract import ClassDimension, Head, PretrainedState, default_class_names
from .checkpoints import plain
from .network import Network, checkpoint_file

CONFIG_KEYS = {"backbone", "head", "feature_maps", "classes", "preprocessing"}
Rows = list[tuple[int, int]]


class PretrainedReport(NamedTuple):
    """What became of a start.

    Attributes:
        source: where the network came from.
        loaded: how many tensors were set.
        kept: classes whose rows were taken over.
        new: classes whose rows stay as they were drawn.
        otherwise: arguments that the source was trained with and this network does not have, though all shapes agree.
    """

    source: str
    loaded: int
    kept: tuple[str, ...]
    new: tuple[str, ...]
    otherwise: tuple[str, ...]

    def __str__(self) -> str:
        text = f"loaded {self.loaded} tensors from {self.source}; "
        if not self.new:
            text += f"all {len(self.kept)} classes keep their rows"
        elif not self.kept:
            text += f"all {len(self.new)} classes start anew"
        else:
            text += f"{_some(self.kept)} keep their rows, {len(self.new)} start anew ({_some(self.new)})"
        return text + (f". It was trained with {_some(self.otherwise, 8)}" if self.otherwise else "")


def load_pretrained(network: Network, source: str | Path) -> PretrainedReport:
    """Loads a whole trained network into ``network``, whose classes may be others.

    Every tensor has to fit, but for those with rows for classes: the rows of classes that both have by name are taken
    over, and the rest stay as they are. Where one side has no names, rows are taken over if there are equally many.

    Args:
        network: its architecture is never changed to suit the weights.
        source: the folder or a checkpoint of a run; a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file in our
            names or torchvision's; or the exact name of weights that torchvision publishes for a network under this
            head, such as ``SSDLite320_MobileNet_V3_Large_Weights.COCO_V1``.

    Raises:
        WeightsError: the weights cannot be found or fetched, are unsafe to read, or do not fit.
    """
    name = str(source)
    return load_state_into(network, find_pretrained(network.head, name), name)


def find_pretrained(head: Head, source: str) -> PretrainedState:
    """Reads or fetches what ``source`` stands for under ``head``; see :func:`load_pretrained`."""
    if not is_file_name(source):
        if source not in head.published:
            raise WeightsError(
                f"{source!r} is neither a file, nor a run, nor weights published for {type(head).__name__}, which are "
                f"{', '.join(head.published) or 'none'} (weights of a backbone alone are given as backbone_weights)."
            )
        return split_state(head, fetch(source))
    path = checkpoint_file(source)
    content = read_checkpoint(path)
    state = tensors_of(content, path)
    config = content.get("network") if isinstance(content, Mapping) else None
    if isinstance(config, Mapping) and set(config) >= CONFIG_KEYS:
        return split_state(head, state)._replace(classes=tuple(config["classes"]), config=dict(config))
    return split_state(head, state)


def split_state(head: Head, state: State) -> PretrainedState:
    """Takes the tensors of a whole network apart, in our names or those that ``head`` knows."""
    theirs = type(head).from_torchvision(state)
    if theirs is not None:
        return theirs
    whole = "network."  # what the task calls it in a checkpoint
    state = {k.removeprefix(whole): v for k, v in state.items() if k.startswith(whole)} or state
    backbone = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    rest = {k.removeprefix("head."): v for k, v in state.items() if not k.startswith("backbone.")}
    return PretrainedState(backbone, rest, None, {})


def load_state_into(network: Network, origin: PretrainedState, source: str) -> PretrainedReport:
    """Loads ``origin``, called ``source`` in reports and errors; see :func:`load_pretrained`."""
    there = named_as_here(network, origin, source)
    own = network.state_dict()
    layouts = {f"head.{name}": layout for name, layout in network.head.class_dimensions().items()}
    classes = origin.classes or default_class_names(count_classes(there, layouts, len(network.classes)))
    for name in (*own, *there):
        if not fits(own.get(name), there.get(name), layouts.get(name), len(classes), name):
            here, other = (list(t.shape) if t is not None else "absent" for t in (own.get(name), there.get(name)))
            raise WeightsError(
                f"{source} does not fit {type(network.head).__name__} on {type(network.backbone).__name__}: {name} is "
                f"{here} here and {other} there; {remedy(network, origin, name, len(classes))}."
            )
    if feature_maps := maps_otherwise(network, origin):  # maps of equal channels can lie at different depths
        raise WeightsError(
            f"{source} was trained on other maps than {', '.join(network.feature_maps)}: give {feature_maps[0]}."
        )
    rows = shared_rows(network.classes, classes)
    if any(background_rows(there[name], layout, len(classes)) != layout.background for name, layout in layouts.items()):
        rows = []  # logits of another loss mean something else
        there = {name: tensor for name, tensor in there.items() if name not in layouts}
    for name, layout in layouts.items():
        if name in there:
            there[name] = with_rows_of(own[name], there[name], layout, rows)
    network.load_state_dict(there, strict=False)
    kept = {here for here, _ in rows} if layouts else set(range(len(network.classes)))
    return PretrainedReport(
        source,
        len(there),
        tuple(name for k, name in enumerate(network.classes) if k in kept),
        tuple(name for k, name in enumerate(network.classes) if k not in kept),
        tuple(differences(network, origin)),
    )


def named_as_here(network: Network, origin: PretrainedState, source: str) -> State:
    """All tensors of ``origin``, under the names of ``network`` where it has them."""
    if not set(origin.head) & set(network.head.state_dict()):
        raise WeightsError(
            f"{source} holds no {type(network.head).__name__} head (weights of a backbone alone are given as "
            "backbone_weights)."
        )
    backbone, left_over = network.backbone.translate(origin.backbone)
    backbone |= {name: origin.backbone[name] for name in left_over}
    return {f"backbone.{k}": v for k, v in backbone.items()} | {f"head.{k}": v for k, v in origin.head.items()}


def count_classes(there: State, layouts: Mapping[str, ClassDimension], unless_told: int) -> int:
    """How many classes the tensors ``there`` have rows for, if their head is like the one with these ``layouts``."""
    for name, layout in layouts.items():
        if name in there and there[name].ndim:
            return len(there[name]) // layout.groups - layout.background
    return unless_told


def fits(here: Tensor | None, there: Tensor | None, layout: ClassDimension | None, classes: int, name: str) -> bool:
    """Whether tensor ``name`` can start from the one ``there``, which was trained on that many ``classes``."""
    if there is None:
        return name.endswith("num_batches_tracked")  # older files lack it, and only an unset momentum needs it
    if here is None:
        return False
    if layout is None:
        return here.shape == there.shape
    if there.ndim != here.ndim or there.shape[1:] != here.shape[1:]:
        return False
    return background_rows(there, layout, classes) in (0, 1)


def background_rows(there: Tensor, layout: ClassDimension, classes: int) -> float:
    """Rows of a group that are not of one of ``classes``; a whole number if the groups are ``layout``'s."""
    return there.shape[0] / layout.groups - classes


def shared_rows(here: Sequence[str], there: Sequence[str]) -> Rows:
    """Which row of the classes ``there`` means what a row of those ``here`` does, as pairs (here, there)."""
    if tuple(here) == tuple(there) or any(tuple(names) == default_class_names(len(names)) for names in (here, there)):
        return [(k, k) for k in range(len(here))] if len(here) == len(there) else []
    place = {name: k for k, name in enumerate(there) if there.count(name) == 1}  # torchvision's COCO has ten "N/A"
    return [(k, place[name]) for k, name in enumerate(here) if name in place]


def with_rows_of(here: Tensor, there: Tensor, layout: ClassDimension, rows: Rows) -> Tensor:
    """``here`` with the background and the ``rows`` (here, there) of the classes taken from ``there``."""
    mixed = here.clone().unflatten(0, (layout.groups, -1))
    source = there.to(here).unflatten(0, (layout.groups, -1))
    background = [(k, k) for k in range(layout.background)]
    pairs = background + [(layout.background + a, layout.background + b) for a, b in rows]
    for ours, theirs in pairs:
        mixed[:, ours] = source[:, theirs]
    return mixed.flatten(0, 1)


def kinds_otherwise(network: Network, origin: PretrainedState) -> list[str]:
    """Parts that ``origin`` has of another class, as ``part=class``."""
    parts = {"backbone": network.backbone, "head": network.head}
    there = {key: origin.config.get(key, {}).get("class_path") for key in parts}
    other = [k for k, part in parts.items() if there[k] not in (None, part.config()["class_path"])]
    arguments = {k: [f"{k}.{name}={value!r}" for name, value in origin.config[k]["init_args"].items()] for k in other}
    return [text for k in other for text in (f"{k}={there[k]}", *arguments[k])]


def maps_otherwise(network: Network, origin: PretrainedState) -> list[str]:
    """The maps that ``origin`` was trained on, as ``feature_maps=[…]``, if they are others."""
    feature_maps = list(origin.config.get("feature_maps", network.feature_maps))
    return [] if feature_maps == list(network.feature_maps) else [f"maps=[{','.join(feature_maps)}]"]


def arguments_otherwise(network: Network, origin: PretrainedState, key: str) -> dict[str, Any]:
    """Arguments of the "backbone" or "head" that ``origin`` was built with otherwise, and how."""
    part: Configurable = getattr(network, key)
    config = origin.config.get(key, {})
    there = part.defaults() | config["init_args"] if config.get("class_path") == part.config()["class_path"] else {}
    return {
        name: plain(there[name])
        for name, value in part.arguments.items()
        if name in there and not (key == "head" and name in Head.GIVEN) and plain(there[name]) != plain(value)
    }


def differences(network: Network, origin: PretrainedState) -> list[str]:
    """What was otherwise when ``origin`` was trained and no shape shows, as ``part.argument=value``."""
    parts = {key: arguments_otherwise(network, origin, key) for key in ("backbone", "head")}
    there = origin.config.get("preprocessing", {})
    parts["preprocessing"] = {
        name: plain(there[name])
        for name in ("mean", "std")
        if name in there and plain(there[name]) != plain(getattr(network.preprocessing, name))
    }
    arguments = [f"{key}.{name}={value!r}" for key, values in parts.items() for name, value in values.items()]
    return kinds_otherwise(network, origin) + arguments


def remedy(network: Network, origin: PretrainedState, name: str, classes: int) -> str:
    """What would make the tensor ``name`` fit, as the end of a sentence."""
    parts: dict[str, Configurable] = {"backbone": network.backbone, "head": network.head}
    known = kinds_otherwise(network, origin) + maps_otherwise(network, origin)
    for key, part in parts.items():
        there = arguments_otherwise(network, origin, key)
        known += [f"{key}.{argument}={there[argument]!r}" for argument in part.shape_arguments if argument in there]
    if known:
        return f"give {' and '.join(known)}"
    key = name.partition(".")[0]
    if key == "head" and not network.head.class_dimensions() and classes != len(network.classes):
        return f"let {type(network.head).__name__}.class_dimensions name the tensors that have rows for classes"
    arguments = [f"{key}.{argument}" for argument in parts[key].shape_arguments]
    return f"give {' and '.join(arguments) or 'the arguments'} as it was trained with"


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first of ``names``."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
