"""Tries timm's networks under the three heads, without values and in a step of training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import Tensor

from litmobile.backbones import TimmBackbone
from litmobile.backbones.checks import check_selection
from litmobile.backbones.timm_backbone import feature_info, find_trained_parameters
from litmobile.errors import first_line
from litmobile.heads import LRASPP, BoxTargets, Classifier, SSDLite
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.profile.counts import without_values

HEADS = {"classification": Classifier, "segmentation": LRASPP, "detection": SSDLite}
BATCH = 2  # batch norm cannot train on one pixel of one image
RECIPE_SIZE = (320, 320)  # height and width in the shipped SSDLite recipes
MAX_PARAMETERS = 100_000_000  # of a network that is trained for a step
SIZE_MISMATCH = "the head runs, but the size of a map is not the image's size over its stride"


@dataclass
class Trial:
    """Result of trying one network."""

    name: str
    family: str  # timm's module that defines it
    strides: list[float] | None = None  # of its maps, finest first; None if timm cannot build it for maps
    parameters: int = 0  # of the whole feature extractor
    size: tuple[int, int] = (0, 0)  # height and width of the images in the trial
    failures: dict[str, str] = field(default_factory=dict)  # reason by role, or by "backbone" if it cannot be built
    frozen: int = 0  # the most parameters that are frozen because the maps of a head do not need them
    recipe_size: str = "no"  # whether it takes RECIPE_SIZE: "as it is", with "image_size", or "no"
    training: str | None = None  # "works", a reason, or None if it was not trained

    @property
    def has_strides(self) -> bool:
        return {8, 16, 32} <= set(self.strides or ())

    @property
    def works(self) -> bool:
        return not self.failures


def family_of(name: str) -> str:
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def describe_error(error: Exception, name: str) -> str:
    """Return the first line of an error without the network's name, so that networks can share a reason."""
    line = first_line(error).replace(name, "it")
    return line if isinstance(error, ValueError | AssertionError) and line else f"{type(error).__name__}: {line}"


def make_targets(role: str, size: tuple[int, int]) -> Any:
    """Make targets on the default device: class 0 everywhere, and one object in each image."""
    if role == "classification":
        return torch.zeros(BATCH, dtype=torch.long)
    if role == "segmentation":
        return torch.zeros(BATCH, *size, dtype=torch.long)
    box = torch.tensor([0.25 * size[1], 0.25 * size[0], 0.75 * size[1], 0.75 * size[0]])
    return BoxTargets(box.expand(BATCH, 1, 4), torch.zeros(BATCH, 1, dtype=torch.long))


def make_network(backbone: TimmBackbone, role: str, size: tuple[int, int]) -> Network:
    return Network(copy.deepcopy(backbone), HEADS[role], ("one", "two"), Preprocessing(size), role=role)


def check_maps(backbone: TimmBackbone, maps: dict[str, Tensor], size: tuple[int, int]) -> None:
    """Checks channels and sizes of maps; a network may round sizes up or down."""
    for name, x in maps.items():
        channels, stride = backbone.features[name]
        assert x.ndim == 4 and x.shape[1] == channels, "a map does not have the channels that timm says"
        rounded = all(n in (side // stride, -(-side // stride)) for n, side in zip(x.shape[2:], size, strict=True))
        assert rounded, SIZE_MISMATCH


def try_head(backbone: TimmBackbone, role: str, size: tuple[int, int]) -> int:
    """Computes a loss on the meta device and returns the number of the backbone's frozen parameters."""
    network = make_network(backbone, role, size).eval()  # batch statistics are slow even without values
    maps = network.backbone(torch.empty(BATCH, 3, *size))
    losses = network.head.loss(network.head(maps, size), make_targets(role, size))
    check_maps(backbone, maps, size)
    trained = find_trained_parameters(losses.values())
    idle = [parameter for parameter in network.parameters() if parameter.requires_grad and parameter not in trained]
    assert not idle, "parameters get no gradient"
    return sum(parameter.numel() for parameter in network.backbone.parameters() if not parameter.requires_grad)


def try_recipe_size(backbone: TimmBackbone) -> str:
    """Return the value of :attr:`Trial.recipe_size`."""
    attempts: dict[str, Callable[[], TimmBackbone]] = {
        "as it is": lambda: backbone,
        "image_size": lambda: TimmBackbone(backbone.name, image_size=RECIPE_SIZE),
    }
    for how, make in attempts.items():
        try:
            resized = make().eval()
            with torch.no_grad():
                check_maps(resized, resized(torch.empty(1, 3, *RECIPE_SIZE)), RECIPE_SIZE)
        except Exception:  # timm's networks refuse a size with any exception
            continue
        return how
    return "no"


@without_values()
def try_shapes(name: str) -> Trial:
    """Tries a network without values of its weights."""
    trial = Trial(name, family_of(name))
    try:
        backbone = TimmBackbone(name)
    except Exception as error:  # timm's networks fail with any exception
        trial.failures["backbone"] = describe_error(error, name)
        try:
            trial.strides = sorted(set(feature_info(timm.create_model(name, features_only=True)).reduction()))
        except Exception:
            trial.strides = None
        return trial
    trial.strides = [feature.stride for feature in backbone.features.values()]
    trial.parameters = sum(parameter.numel() for parameter in backbone.parameters())
    trial.size = backbone.image_size
    for role in HEADS:
        try:
            trial.frozen = max(trial.frozen, try_head(backbone, role, trial.size))
        except Exception as error:
            trial.failures[role] = describe_error(error, name)
    if trial.has_strides:
        trial.recipe_size = try_recipe_size(backbone)
    return trial


def try_training(trial: Trial) -> str:
    """Trains a network with random weights for one step under each head; returns "works" or the reason."""
    if trial.parameters > MAX_PARAMETERS:
        return f"too large to try ({trial.parameters / 1e6:.0f} M parameters)"
    torch.manual_seed(0)
    size, image_size = trial.size, None
    if trial.recipe_size != "no" and max(size) > max(RECIPE_SIZE):  # large images take long
        size = RECIPE_SIZE
        image_size = size if trial.recipe_size == "image_size" else None
    try:
        backbone = TimmBackbone(trial.name, image_size=image_size)
        for role in HEADS:
            check_selection(lambda: copy.deepcopy(backbone), backbone.feature_names(role), torch.randn(1, 3, *size))
            check_training(make_network(backbone, role, size), role, size)
    except Exception as error:
        return describe_error(error, trial.name)
    return "works"


def check_training(network: Network, role: str, size: tuple[int, int]) -> None:
    """Checks that every trainable parameter gets a finite gradient and that predictions are decoded."""
    images = torch.rand(BATCH, 3, *size)
    network.train()
    losses = network.head.loss(network(images), make_targets(role, size))
    torch.stack(list(losses.values())).sum().backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), f"{key} has no finite gradient"
    with torch.no_grad():
        assert len(network.head.decode(network.eval()(images), size)) == BATCH


def find_smallest(trials: Sequence[Trial]) -> list[Trial]:
    """Return each family's smallest working network with the three strides."""
    smallest: dict[str, Trial] = {}
    for trial in trials:
        if trial.has_strides and trial.works:
            smallest[trial.family] = min(smallest.get(trial.family, trial), trial, key=lambda t: t.parameters)
    return list(smallest.values())


def try_all(names: Sequence[str]) -> list[Trial]:
    """Tries all networks, and trains the smallest of each family."""
    trials = []
    for name in names:
        trials.append(try_shapes(name))
        print(f"{len(trials)}/{len(names)} {name}: {trials[-1].failures or 'works'}")
    for trial in find_smallest(trials):
        trial.training = try_training(trial)
        if trial.parameters <= MAX_PARAMETERS and trial.training != "works":
            trial.failures["training"] = trial.training
        print(f"training {trial.name}: {trial.training}")
    return trials
