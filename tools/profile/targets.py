"""Finds what a target of `litmobile profile` names, and builds its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ...backbones import TimmBackbone
from ...backbones.contract import Backbone, format_arguments
from ...errors import UserError, check_range, suggest
from ...heads import Classifier
from ...heads.contract import default_class_names
from ...tasks.network import Network, checkpoint_file, load
from ...tasks.preprocessing import Preprocessing
from ..engines.choice import is_exported
from ..export.module import reparameterize
from ..options.configurations import list_shipped
from ..options.parser import Parser
from .backbone.facts import find_published
from .backbone.families import add_constructor_options, build_backbone, import_family, shipped_families

TIMM = "timm/"
RECIPE_SUFFIXES = (".yaml", ".yml")
IMAGENET_CLASSES = 1000
KINDS = "the folder of a run, a recipe, a family such as MobileNetV2, timm/NAME, or the import path of a backbone"


class NamedBackbone(NamedTuple):
    """A backbone class and those of its constructor arguments that are given."""

    family: type[Backbone]
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A network to profile.

    Attributes:
        name: as the user wrote it, with constructor arguments.
        network: in the form for deployment, in evaluation mode, in channels-last memory.
        is_reparameterized: whether that form differs from the trained one.
        folder: of the run; None for others.
        backbone: of a target that names a backbone; None for others.
    """

    name: str
    network: Network
    is_reparameterized: bool
    folder: Path | None = None
    backbone: NamedBackbone | None = None


class Choice(NamedTuple):
    """Options that change the networks of targets.

    Attributes:
        size: height and width of the input in pixels; None is the target's own.
        classes: number of classes of a target that is not trained; None is the target's own.
        model_options: words that begin with ``--model``, for recipes.
    """

    size: tuple[int, int] | None = None
    classes: int | None = None
    model_options: Sequence[str] = ()


def build_target(text: str, choice: Choice, device: torch.device, options: Mapping[str, Any] | None = None) -> Target:
    """Builds the network that ``text`` names; of untrained networks with random weights.

    Args:
        text: the folder or checkpoint of a run, a recipe, a backbone's name or import path, or "timm/NAME".
        choice: options for all targets.
        device: of the network.
        options: constructor arguments of a backbone, beside those in ``text``.

    Raises:
        UserError: the target does not exist or cannot be built.
    """
    torch.manual_seed(0)
    path = Path(text).expanduser()
    folder = backbone = None
    if (path.is_dir() and checkpoint_file(path).parent.is_dir()) or (path.is_file() and not is_recipe(text)):
        folder, network, name = path, load(path), text.rstrip("/")
    elif is_recipe(text):
        from .recipes import build_recipe  # imports Lightning

        network, name = build_recipe(text, choice.model_options, choice.classes), text
    else:
        backbone = name_backbone(text, options or {})
        network = build_classifier(backbone, choice)
        name = text.partition(":")[0]
        given = {key: value for key, value in backbone.arguments.items() if (key, TIMM) != ("name", name[: len(TIMM)])}
        name += f"({format_arguments(given)})" if given else ""
    if choice.size is not None:
        network.preprocessing = replace(network.preprocessing, size=choice.size)
    return replace(deploy(name, network, device), folder=folder, backbone=backbone)


def deploy(name: str, network: Network, device: torch.device) -> Target:
    """Returns a network in its form for deployment, on ``device``, as a target."""
    deployed = reparameterize(network)
    is_reparameterized = deployed.state_dict().keys() != network.state_dict().keys()
    return Target(name, place(deployed, device), is_reparameterized)


def place(network: nn.Module, device: torch.device) -> Any:
    """Moves a network to ``device`` in channels-last memory, in which images are read and predictions run."""
    return network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it


def is_recipe(text: str) -> bool:
    """Whether ``text`` names a configuration file or a shipped recipe."""
    return text.endswith(RECIPE_SUFFIXES) or text in list_shipped()


def find_family(text: str) -> type[Backbone] | None:
    """Returns the backbone class that a target names; None for other targets.

    Raises:
        UserError: nothing has that name, or the class is not a backbone.
    """
    name = text.partition(":")[0]
    if is_exported(Path(text)):
        raise UserError(f"{text} is an exported file; pass the run that it comes from, and --engines.")
    if is_recipe(text) or Path(text).expanduser().exists():
        return None
    families = shipped_families()
    if name in families:
        return families[name]
    if name.startswith(TIMM):
        return TimmBackbone
    if "/" not in name and "." in name:
        return import_family(name)
    raise UserError(f"The target {text!r} is unknown{suggest(name, [*families, *list_shipped()])} Pass {KINDS}.")


def name_backbone(text: str, options: Mapping[str, Any]) -> NamedBackbone:
    """Finds the backbone of a target such as "MobileNetV2", "MobileNetV2:width=0.5" or "timm/resnet18".

    Raises:
        UserError: nothing has that name, or an argument is wrong.
    """
    family = find_family(text)
    if family is None:
        raise UserError(f"{text} is not the folder of a run: it has no checkpoints. Pass {KINDS}.")
    name, _, inline = text.partition(":")
    given = {"name": name.removeprefix(TIMM)} if name.startswith(TIMM) else {}
    if inline or (not options and not given):
        parser = Parser(prog=f"litmobile profile {name}")
        defaults = add_constructor_options(parser, family, skip=given)
        parsed = parser.parse_words([f"--{argument.strip()}" for argument in inline.split(",") if argument.strip()])
        given |= {key: parsed[key] for key, default in defaults.items() if parsed[key] != default}
    return NamedBackbone(family, given | dict(options))


def build_classifier(named: NamedBackbone, choice: Choice) -> Network:
    """Builds a backbone with its published classifier, or else with that of the most similar published network.

    Raises:
        UserError: the backbone cannot be built, or does not take colour images.
    """
    backbone = build_backbone(*named)
    if backbone.arguments.get("in_channels", 3) != 3:
        raise UserError(f"Networks take images with 3 channels, not {backbone.arguments['in_channels']}.")
    published = find_published(backbone)
    size = choice.size or published.size
    if isinstance(backbone, TimmBackbone) and choice.size is None:
        size = backbone.image_size
    classes = choice.classes or (published.variant.classes if published.variant else IMAGENET_CLASSES)
    check_range("--classes", classes, ge=2)
    options = published.variant.classifier if published.variant else {}
    has_role = "classification" in backbone.default_features
    maps = None if has_role else [min(backbone.features, key=lambda name: -backbone.features[name].stride)]
    return Network(
        backbone,
        partial(Classifier, **options),
        default_class_names(classes),
        Preprocessing(size, fit="crop"),
        role="classification",
        feature_maps=maps,
    )
