"""Checks that a backbone keeps the contract, for tests of your own backbones as well as ours."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ..errors import first_line
from .contract import Backbone, from_config
from .weights import load_state

Make = Callable[[], Backbone]
Maps = Mapping[str, Tensor]

TOLERANCE = 1e-4  # of the largest value; far above the float32 error of convolutions that sum in another order


def check_backbone(make: Make, sizes: Sequence[tuple[int, int]] = ((32, 32), (33, 47), (64, 96))) -> None:
    """Checks everything that :class:`Backbone` promises to heads, tasks and checkpoints; takes seconds.

    Args:
        make: builds a new backbone, e.g. ``lambda: MyBackbone(width=0.5)``.
        sizes: (height, width) in pixels of the test images. The default includes odd sizes; pass even ones for a
            network that rounds the sizes of its maps down.

    Raises:
        AssertionError: a promise is broken; one sentence says what was promised and what happened instead.
    """
    generator = torch.Generator().manual_seed(0)
    channels = make().arguments.get("in_channels", 3)
    images = [torch.randn(2, channels, *size, generator=generator) for size in sizes]
    for x in images:
        check_features(make, x)
    check_default_features(make)
    for names in list_selections(make()):
        check_selection(make, names, images[0])
    check_refusals(make)
    check_narrowing(make)
    check_config(make)
    check_independence(make)
    check_evaluation(make, images[-1])
    check_export(make, images[-1])
    check_weights(make, images[0])


def fail(backbone: Backbone, promise: str, outcome: str) -> NoReturn:
    """Raises AssertionError, even where Python strips assert statements."""
    raise AssertionError(f"{backbone.describe()} promises {promise}, but {outcome}.")


def describe_error(error: BaseException) -> str:
    """Describes an error as the end of a sentence."""
    return f"it raised {type(error).__name__}: {first_line(error)}"


def join_names(names: Iterable[str]) -> str:
    """Joins names for a sentence."""
    return ", ".join(names) or "none"


def compute_maps(backbone: Backbone, images: Tensor) -> dict[str, Tensor]:
    """Computes the maps of ``images`` in evaluation mode."""
    try:
        return backbone.eval()(images)
    except Exception as error:
        fail(backbone, f"to take images {list(images.shape)}", describe_error(error))


def require_same_maps(backbone: Backbone, maps: Maps, expected: Maps, condition: str) -> None:
    """Fails unless ``maps`` equal those of the same names in ``expected``, up to rounding."""
    for name, x in maps.items():
        y = expected[name]
        is_comparable = x.shape == y.shape and bool(x.isfinite().all())
        if not (is_comparable and (x - y).abs().max() <= TOLERANCE * y.abs().max()):  # NaN in y fails, too
            fail(backbone, f"the same {name} {condition}", "its values differ")


def check_features(make: Make, images: Tensor) -> None:
    """Checks that ``features`` describes the maps of forward, finest first."""
    backbone = make()
    maps = compute_maps(backbone, images)
    named = join_names(backbone.features)
    if not backbone.features or list(maps) != list(backbone.features):
        fail(backbone, f"the maps {named} in its features", f"forward gives {join_names(maps)}")
    strides = [feature.stride for feature in backbone.features.values()]
    if strides != sorted(strides):
        fail(backbone, "features finest first", f"their strides are {join_names(map(str, strides))}")
    for name, (channels, stride) in backbone.features.items():
        expected = [len(images), channels, *(-(-side // stride) for side in images.shape[-2:])]
        shape = list(maps[name].shape)
        if shape != expected:
            outcome = f"for images {list(images.shape)} it gives {shape}, not {expected}"
            fail(backbone, f"{name} with {channels} channels at stride {stride}", outcome)


def check_default_features(make: Make) -> None:
    """Checks that the default maps of every role exist, finest first."""
    backbone = make()
    if not backbone.width > 0:
        fail(backbone, "a positive width", f"it is {backbone.width}")
    for role, names in backbone.default_features.items():
        if not names or list(names) != [name for name in backbone.features if name in names]:
            promise = f"for {role} some of the maps {join_names(backbone.features)}, finest first"
            fail(backbone, promise, f"its default_features are {join_names(names)}")


def list_selections(backbone: Backbone) -> list[tuple[str, ...]]:
    """Lists the selections to test: single maps, default maps of the roles, the last and first map in that order."""
    names = list(backbone.features)
    single = [(name,) for name in names]
    outermost = [(names[-1], names[0])] if len(names) > 1 else []
    return list(dict.fromkeys([*single, *map(tuple, backbone.default_features.values()), *outermost]))


def check_selection(make: Make, names: tuple[str, ...], images: Tensor) -> None:
    """Checks that ``select`` keeps the maps unchanged, removes unused layers, and updates the features."""
    whole = make()
    narrow = copy.deepcopy(whole)
    narrow.select(names)
    after = f"after select({list(names)})"
    maps = compute_maps(narrow, images)
    if tuple(maps) != names:
        fail(whole, f"{after} these maps in this order", f"it gives {join_names(maps)}")
    require_same_maps(whole, maps, compute_maps(whole, images), after)
    if not set(names) <= set(narrow.features) or not narrow.features.items() <= whole.features.items():
        fail(whole, f"{after} features of these maps and no new ones", f"it has {join_names(narrow.features)}")
    for role, role_maps in narrow.default_features.items():
        if not set(role_maps) <= set(narrow.features):
            fail(whole, f"{after} only roles whose maps are left", f"it still has {role}")
    torch.stack([x.sum() for x in maps.values()]).sum().backward()
    for name, parameter in narrow.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            fail(whole, f"{after} that every parameter is used", f"{name} has no gradient")


def check_refusals(make: Make) -> None:
    """Checks that ``select`` raises ValueError for unknown maps, and then changes nothing."""
    backbone = make()
    first = next(iter(backbone.features))
    invalid: dict[str, Any] = {"an unknown map": [first, "no such map"], "no map": [], "a single string": first}
    for description, names in invalid.items():
        promise = f"a ValueError if {description} is selected"
        before = dict(backbone.features), list(backbone.state_dict())
        try:
            backbone.select(names)
        except ValueError:
            if (dict(backbone.features), list(backbone.state_dict())) != before:
                fail(backbone, f"{promise}, and no change", "its features or tensors changed")
        except Exception as error:
            fail(backbone, promise, describe_error(error))
        else:
            fail(backbone, promise, "it raised no error")


def check_narrowing(make: Make) -> None:
    """Checks that ``select`` can be called again for fewer maps, never for more."""
    backbone = make()
    names = list(backbone.features)
    for selected in (names[-1], names[0]):
        backbone.select([selected])
        if selected not in backbone.features:
            fail(backbone, f"that {selected} can be selected again", "it is missing from its features")
    for name in names:
        if name not in backbone.features:
            try:
                backbone.select([name])
            except ValueError:
                continue
            fail(backbone, "that select never adds maps", f"it let {name} be selected after removing it")


def check_config(make: Make) -> None:
    """Checks that ``config`` consists of plain values and rebuilds the same network."""
    backbone = make()
    for argument in backbone.shape_arguments:
        if argument not in backbone.arguments:
            fail(backbone, "shape_arguments that its constructor has", f"{argument} is not one of them")
    config = backbone.config()
    try:
        buffer = io.BytesIO()
        torch.save(config, buffer)
        buffer.seek(0)
        json.dumps(config)
        rebuilt = from_config(torch.load(buffer, weights_only=True), Backbone)  # as a checkpoint stores it
    except Exception as error:
        promise = f"to be rebuilt from its config of plain values and an import path ({config})"
        fail(backbone, promise, describe_error(error))
    for kind, first, second in (
        ("config", config, rebuilt.config()),
        ("features", backbone.features, rebuilt.features),
        ("default_features", backbone.default_features, rebuilt.default_features),
        ("width", {"width": backbone.width}, {"width": rebuilt.width}),
        ("tensors", tensor_shapes(backbone), tensor_shapes(rebuilt)),
    ):
        for key in (*first, *second):
            if first.get(key) != second.get(key):
                outcome = f"{key} was {first.get(key, 'missing')} and is {second.get(key, 'missing')}"
                fail(backbone, f"to be rebuilt from its config with the same {kind}", outcome)


def tensor_shapes(network: nn.Module) -> dict[str, list[int]]:
    """Returns the shape of every tensor by name."""
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def check_independence(make: Make) -> None:
    """Checks that two networks share neither tensors nor features."""
    first, second = make(), make()
    addresses = {tensor.data_ptr() for tensor in first.state_dict().values() if tensor.numel()}
    for name, tensor in second.state_dict().items():
        if tensor.data_ptr() in addresses:
            fail(first, "to share no tensor with a second network", f"both have the same {name}")
    before = dict(second.features), dict(second.default_features)
    first.select(list(first.features)[:1])
    if (second.features, second.default_features) != before:
        fail(first, "to share no features and default_features with a second network", "its select changed both")


def check_evaluation(make: Make, images: Tensor) -> None:
    """Checks that in evaluation mode the maps of an image depend only on the image."""
    backbone = make().eval()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with torch.no_grad():
        maps = compute_maps(backbone, images)
        channels_last = copy.deepcopy(backbone).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub
        repeated = {
            "computed again": compute_maps(backbone, images),
            "alone": compute_maps(backbone, images[:1]),
            "in channels-last memory": compute_maps(channels_last, images.to(memory_format=torch.channels_last)),
        }
    first = {name: x[:1] for name, x in maps.items()}
    for how, others in repeated.items():
        found = {name: x[:1] for name, x in others.items()}
        require_same_maps(backbone, found, first, f"in evaluation mode for an image {how}")
    for name, tensor in backbone.state_dict().items():
        if not torch.equal(tensor, before[name]):
            fail(backbone, "no change of its state in evaluation mode", f"{name} changed")


def check_export(make: Make, images: Tensor) -> None:
    """Checks that torch.export takes a network after ``select`` and gives the same maps."""
    backbone = make().eval()
    backbone.select([list(backbone.features)[-1]])
    try:
        program = torch.export.export(backbone, (images,)).module()
    except Exception as error:
        fail(backbone, "that torch.export takes it", describe_error(error))
    require_same_maps(backbone, program(images), compute_maps(backbone, images), "after torch.export")


def check_weights(make: Make, images: Tensor) -> None:
    """Checks that a saved ``state_dict`` loads completely, with all maps selected and with the first one only."""
    source = make().eval()
    expected = compute_maps(source, images)
    for names in (list(source.features), list(source.features)[:1]):
        backbone = make().eval()
        backbone.select(names)
        for name in load_state(backbone, source.state_dict(), "its own state_dict").missing:
            fail(source, "to load its own state_dict", f"{name} was not found there")
        require_same_maps(source, compute_maps(backbone, images), expected, "with the same state_dict")
