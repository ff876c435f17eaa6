"""Does a backbone keep what the contract promises? For tests of backbones, yours as well as ours."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from .contract import Backbone, from_config
from .weights import describe, first_line, load_state

Make = Callable[[], Backbone]
Sizes = Sequence[tuple[int, int]]

SIZES: Sizes = ((32, 32), (33, 47), (64, 96))
TOLERANCE = 1e-4  # of the largest value; what float32 loses when convolutions sum in another order is far less


def check_backbone(make: Make, sizes: Sizes = SIZES) -> None:
    """Checks all that :class:`Backbone` promises to heads, tasks and checkpoints, in seconds.

    Args:
        make: builds the backbone anew, such as ``lambda: MyBackbone(width=0.5)``.
        sizes: (height, width) in pixels of the images to try; odd ones are among the default, which networks that
            round sizes down cannot keep to.

    Raises:
        AssertionError: a promise is broken; one sentence says what was promised and what was found.
    """
    generator = torch.Generator().manual_seed(0)
    channels = make().arguments.get("in_channels", 3)
    images = [torch.randn(2, channels, *size, generator=generator) for size in sizes]
    for x in images:
        check_features(make, x)
    check_taps(make)
    for names in selections(make()):
        check_selection(make, names, images[0])
    check_refusals(make)
    check_narrowing(make)
    check_spec(make)
    check_independence(make)
    check_evaluation(make, images[-1])
    check_export(make, images[-1])
    check_weights(make, images[0])


def broken(backbone: Backbone, promised: str, found: str) -> NoReturn:
    """Raises AssertionError, also where Python leaves assert statements out."""
    raise AssertionError(f"{describe(backbone)} promises {promised}, but {found}.")


def told(error: BaseException) -> str:
    """An error as the end of a sentence."""
    return f"it raised {type(error).__name__}: {first_line(error)}"


def maps_of(backbone: Backbone, images: Tensor) -> dict[str, Tensor]:
    """The maps of ``images``, in evaluation mode."""
    try:
        return backbone.eval()(images)
    except Exception as error:
        broken(backbone, f"to take images {list(images.shape)}", told(error))


def check_features(make: Make, images: Tensor) -> None:
    """``features`` says, finest first, what forward gives."""
    backbone = make()
    with torch.no_grad():
        maps = maps_of(backbone, images)
    if not backbone.features or list(maps) != list(backbone.features):
        broken(backbone, f"the maps {listed(backbone.features)} in its features", f"forward gives {listed(maps)}")
    strides = [feature.stride for feature in backbone.features.values()]
    if strides != sorted(strides):
        broken(backbone, "features finest first", f"their strides are {listed(map(str, strides))}")
    for name, (channels, stride) in backbone.features.items():
        wanted = [len(images), channels, *(-(-side // stride) for side in images.shape[-2:])]
        found = list(maps[name].shape)
        if found != wanted:
            given = f"for images {list(images.shape)} it gives {found}, not {wanted}"
            broken(backbone, f"{name} with {channels} channels at stride {stride}", given)


def check_taps(make: Make) -> None:
    """Every role taps maps that are on offer, finest first."""
    backbone = make()
    if not backbone.width > 0:
        broken(backbone, "a positive width", f"it is {backbone.width}")
    for role, names in backbone.default_features.items():
        if not names or list(names) != [name for name in backbone.features if name in names]:
            offer = f"for {role} some of the maps {listed(backbone.features)}, finest first"
            broken(backbone, offer, f"it taps {listed(names)}")


def selections(backbone: Backbone) -> list[tuple[str, ...]]:
    """The selections to try: every map alone, what the roles tap, and the outermost two in the wrong order."""
    names = list(backbone.features)
    outermost = [(names[-1], names[0])] if len(names) > 1 else []
    return list(
        dict.fromkeys([*((name,) for name in names), *map(tuple, backbone.default_features.values()), *outermost])
    )


def check_selection(make: Make, names: tuple[str, ...], images: Tensor) -> None:
    """``select`` leaves the maps as they are, drops what they do not need, and says what is left."""
    whole = make()
    narrow = copy.deepcopy(whole)
    narrow.select(names)
    after = f"after select({list(names)})"
    maps = maps_of(narrow, images)
    if tuple(maps) != names:
        broken(whole, f"{after} these maps in this order", f"it gives {listed(maps)}")
    with torch.no_grad():
        expected = maps_of(whole, images)
    for name in names:
        if not close(maps[name], expected[name]):
            broken(whole, f"{after} the same {name} as before", "its values differ")
    if not set(names) <= set(narrow.features) or not narrow.features.items() <= whole.features.items():
        broken(whole, f"{after} features of these maps and none that are new", f"it has {listed(narrow.features)}")
    for role, default_features in narrow.default_features.items():
        if not set(default_features) <= set(narrow.features):
            broken(whole, f"{after} only roles whose maps are left", f"it still has {role}")
    torch.stack([x.sum() for x in maps.values()]).sum().backward()
    for name, parameter in narrow.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            broken(whole, f"{after} that no parameter is idle", f"{name} has no gradient")


def check_refusals(make: Make) -> None:
    """``select`` refuses what is not on offer by a ValueError, and changes nothing then."""
    backbone = make()
    first = next(iter(backbone.features))
    wrong: dict[str, Any] = {"a map that it has not": [first, "no such map"], "no map": [], "a bare name": first}
    for what, names in wrong.items():
        promised = f"a ValueError where {what} is selected"
        before = dict(backbone.features), list(backbone.state_dict())
        try:
            backbone.select(names)
        except ValueError:
            if (dict(backbone.features), list(backbone.state_dict())) != before:
                broken(backbone, f"{promised}, and to stay as it was", "its features or tensors changed")
        except Exception as error:
            broken(backbone, promised, told(error))
        else:
            broken(backbone, promised, "it raised none")


def check_narrowing(make: Make) -> None:
    """``select`` can be called again for fewer maps, never for more."""
    backbone = make()
    names = list(backbone.features)
    for chosen in (names[-1], names[0]):
        backbone.select([chosen])
        if chosen not in backbone.features:
            broken(backbone, f"that {chosen} can be selected again", "it is gone from its features")
    for name in names:
        if name not in backbone.features:
            try:
                backbone.select([name])
            except ValueError:
                continue
            broken(backbone, "that select never widens", f"it let {name} be selected after dropping it")


def check_spec(make: Make) -> None:
    """``config`` is plain values, and builds the same network again."""
    backbone = make()
    for argument in backbone.shape_arguments:
        if argument not in backbone.arguments:
            broken(backbone, "shape_arguments that its constructor has", f"{argument} is none")
    config = backbone.config()
    try:
        buffer = io.BytesIO()
        torch.save(config, buffer)
        buffer.seek(0)
        json.dumps(config)
        again = from_config(torch.load(buffer, weights_only=True), Backbone)  # as a checkpoint keeps it
    except Exception as error:
        broken(backbone, f"to be built again from its spec, plain values and a path to import ({config})", told(error))
    for what, first, second in (
        ("spec", config, again.config()),
        ("features", backbone.features, again.features),
        ("taps", backbone.default_features, again.default_features),
        ("width", {"width": backbone.width}, {"width": again.width}),
        ("tensors", shapes(backbone), shapes(again)),
    ):
        for key in (*first, *second):
            if first.get(key) != second.get(key):
                found = f"{key} was {first.get(key, 'absent')} and is {second.get(key, 'absent')}"
                broken(backbone, f"to be built again from its spec with the same {what}", found)


def check_independence(make: Make) -> None:
    """Two networks share nothing."""
    first, second = make(), make()
    held = {tensor.data_ptr() for tensor in first.state_dict().values() if tensor.numel()}
    for name, tensor in second.state_dict().items():
        if tensor.data_ptr() in held:
            broken(first, "to share no tensor with one that is made anew", f"both have the same {name}")
    before = dict(second.features), dict(second.default_features)
    first.select(list(first.features)[:1])
    if (second.features, second.default_features) != before:
        broken(first, "to share no features and taps with one that is made anew", "its select changed both")


def check_evaluation(make: Make, images: Tensor) -> None:
    """In evaluation mode the maps of an image hang on nothing but the image."""
    backbone = make().eval()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with torch.no_grad():
        maps = maps_of(backbone, images)
        variations = {
            "once more": maps_of(backbone, images),
            "alone": maps_of(backbone, images[:1]),
            "laid out with channels last": maps_of(
                copy.deepcopy(backbone).to(memory_format=torch.channels_last),  # pyright: ignore[reportCallIssue] — torch's stub
                images.to(memory_format=torch.channels_last),
            ),
        }
    for how, found in variations.items():
        for name, x in found.items():
            if not close(x[:1], maps[name][:1]):
                broken(backbone, f"the same {name} in evaluation mode for an image {how}", "its values differ")
    for name, tensor in backbone.state_dict().items():
        if not torch.equal(tensor, before[name]):
            broken(backbone, "to learn nothing in evaluation mode", f"{name} changed")


def check_export(make: Make, images: Tensor) -> None:
    """A selected network can be exported."""
    backbone = make().eval()
    backbone.select([list(backbone.features)[-1]])
    try:
        program = torch.export.export(backbone, (images,)).module()
    except Exception as error:
        broken(backbone, "that torch.export takes it", told(error))
    with torch.no_grad():
        found, expected = program(images), maps_of(backbone, images)
    for name, x in expected.items():
        if name not in found or not close(found[name], x):
            broken(backbone, "the same maps when it is exported", f"{name} differs")


def check_weights(make: Make, images: Tensor) -> None:
    """A saved ``state_dict`` loads completely, into the whole network and a selected one."""
    source = make().eval()
    with torch.no_grad():
        expected = maps_of(source, images)
        for names in (list(source.features), list(source.features)[:1]):
            backbone = make().eval()
            backbone.select(names)
            for name in load_state(backbone, source.state_dict(), "its own state_dict").missing:
                broken(source, "to load its own state_dict", f"{name} was not found there")
            for name, x in maps_of(backbone, images).items():
                if not close(x, expected[name]):
                    broken(source, f"the same {name} with the same state_dict", "its values differ")


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two maps are equal but for rounding."""
    if found.shape != expected.shape or not found.isfinite().all():
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())


def shapes(network: nn.Module) -> dict[str, list[int]]:
    """Shape of every tensor by name."""
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names) or "none"
