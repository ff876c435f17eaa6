"""MobileNetV2 and V3 compute what torchvision's, timm's and TensorFlow's compute, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import timm
import torch
import torchvision
from timm.layers import Conv2dSame
from timm.models.mobilenetv3 import _gen_mobilenet_v3
from torch import Tensor, nn

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3
from litmobile.backbones.blocks import ConvNormAct, SamePadConv2d, Style
from litmobile.backbones.weights import load_state
from support.mobilenets import MAPS, TOLERANCES, name_of, on_meta, parameters_of

# --------------------------------------------------------------------------------------------- equality: torchvision


class Twin(NamedTuple):
    """One of torchvision's networks, ours to match, and where torchvision's has our maps."""

    ours: Callable[[], Backbone]
    theirs: Callable[[], nn.Module]
    blocks: dict[str, int]
    expansion: str


V2_MAPS = {"c1": 1, "c2": 3, "c3_first": 4, "c3": 6, "c4": 13, "c5": 17, "final": 18}
LARGE_MAPS = {"c1": 1, "c2": 3, "c3_first": 4, "c3": 6, "c4": 12, "c5": 15, "final": 16}
SMALL_MAPS = {"c1": 0, "c2": 1, "c3_first": 2, "c3": 3, "c4": 8, "c5": 11, "final": 12}
LARGE_EXPANSION, SMALL_EXPANSION = "features.13.block.0", "features.9.block.0"


def v2_twin(width: float) -> Twin:
    return Twin(
        lambda: MobileNetV2(width=width),
        lambda: torchvision.models.mobilenet_v2(width_mult=width),
        V2_MAPS,
        "features.14.conv.0",
    )


def v3_twin(variant: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Twin:
    make = getattr(torchvision.models, f"mobilenet_v3_{variant}")
    large = variant == "large"
    return Twin(
        lambda: MobileNetV3(variant=variant, **ours),
        lambda: make(**theirs),
        LARGE_MAPS if large else SMALL_MAPS,
        LARGE_EXPANSION if large else SMALL_EXPANSION,
    )


TWINS = {
    "mobilenet_v2": v2_twin(1.0),
    "mobilenet_v2 at width 0.3": v2_twin(0.3),
    "mobilenet_v2 at width 1.1": v2_twin(1.1),
    **{
        f"mobilenet_v3_{variant}{label}": v3_twin(variant, ours, theirs)
        for variant in ("large", "small")
        for label, ours, theirs in (
            ("", {}, {}),
            (" dilated", {"output_stride": 16}, {"dilated": True}),
            (" with reduced tail", {"tail": "detection"}, {"reduced_tail": True}),
            (
                " with reduced tail, dilated",
                {"tail": "detection", "output_stride": 16},
                {"reduced_tail": True, "dilated": True},
            ),
        )
    },
}


def reference_maps(network: nn.Module, twin: Twin, images: Tensor) -> dict[str, Tensor]:
    """Activations of torchvision's network under the contract's names."""
    taken: dict[str, Tensor] = {}
    wanted = {name: f"features.{index}" for name, index in twin.blocks.items()} | {"c4_expansion": twin.expansion}
    hooks = [
        network.get_submodule(path).register_forward_hook(lambda _m, _i, out, name=name: taken.update({name: out}))
        for name, path in wanted.items()
    ]
    network.features(images)
    for hook in hooks:
        hook.remove()
    return taken


def pair(twin: Twin, perturb: Callable[[nn.Module], nn.Module], dtype: torch.dtype) -> tuple[Backbone, nn.Module]:
    """Ours and theirs with the same weights, which came by :func:`load_state`."""
    torch.manual_seed(0)
    theirs = perturb(twin.theirs())
    ours = twin.ours()
    report = load_state(ours, theirs.state_dict(), "torchvision")
    assert report.missing == ()
    assert {name.split(".")[0] for name in report.left_over} == {"classifier"}
    return ours.to(dtype), theirs.to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=name_of)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
def test_every_map_and_every_gradient_equals_torchvisions(
    twin: Twin,
    training: bool,
    dtype: torch.dtype,
    as_if_trained: Callable[[nn.Module], nn.Module],
    deviation: Callable[[Tensor, Tensor], float],
) -> None:
    ours, theirs = pair(twin, as_if_trained, dtype)
    ours.train(training)
    theirs.train(training)
    images = torch.randn(2, 3, 49, 65, dtype=dtype)
    our_images, their_images = images.clone().requires_grad_(), images.clone().requires_grad_()
    found, expected = ours(our_images), reference_maps(theirs, twin, their_images)
    assert set(found) == set(expected) == set(MAPS)
    for name in MAPS:
        assert deviation(found[name], expected[name]) <= TOLERANCES[dtype], name

    directions = {name: torch.randn_like(x) for name, x in found.items()}
    torch.stack([(found[name] * directions[name]).sum() for name in MAPS]).sum().backward()
    torch.stack([(expected[name] * directions[name]).sum() for name in MAPS]).sum().backward()
    assert deviation(our_images.grad, their_images.grad) <= TOLERANCES[dtype]

    # the same parameters in the same order, but for the names
    our_parameters = list(ours.named_parameters())
    their_parameters = list(theirs.features.parameters())
    for (name, mine), yours in zip(our_parameters, their_parameters, strict=True):
        assert deviation(mine.grad, yours.grad) <= TOLERANCES[dtype], name
    # and in training the norms have counted alike
    for (name, mine), yours in zip(ours.named_buffers(), theirs.features.buffers(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype], msg=name)


def dilate(network: nn.Module, output_stride: int) -> None:
    """Turns the strides of a torchvision network beyond ``output_stride`` into dilation, block by block."""
    nominal = 1
    for module in network.features.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            nominal *= module.stride[0]
            factor = nominal // output_stride
            if factor > 1:
                module.stride = (1, 1)
                module.dilation = (factor, factor)
                module.padding = tuple(k // 2 * factor for k in module.kernel_size)


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"])
def test_output_stride_dilates_as_torchvision_does(
    name: str,
    output_stride: int,
    as_if_trained: Callable[[nn.Module], nn.Module],
    deviation: Callable[[Tensor, Tensor], float],
) -> None:
    twin = TWINS[name]
    plain = twin.ours()
    ours = lambda: type(plain)(**plain.init_args, output_stride=output_stride)  # noqa: E731
    mine, theirs = pair(twin._replace(ours=ours), as_if_trained, torch.float64)
    dilate(theirs, output_stride)
    images = torch.randn(1, 3, 65, 97, dtype=torch.float64)
    with torch.no_grad():
        found, expected = mine.eval()(images), reference_maps(theirs.eval(), twin, images)
    for key in MAPS:
        assert deviation(found[key], expected[key]) <= 1e-10, key


# ---------------------------------------------------------------------------------------- equality: timm and TensorFlow


def transplant(theirs: nn.Module, ours: Backbone) -> None:
    """Copies timm's weights into ours by their order, which is that of the layers in both."""
    head = ("conv_head", "norm_head", "classifier")
    source = [tensor for name, tensor in theirs.state_dict().items() if not name.startswith(head)]
    names = list(ours.state_dict())
    ours.load_state_dict(dict(zip(names, source, strict=True)))


TIMM_TWINS = {
    "mobilenetv3_large_075": {"variant": "large", "width": 0.75},
    "mobilenetv3_large_100": {"variant": "large"},
    "mobilenetv3_small_075": {"variant": "small", "width": 0.75},
    "mobilenetv3_small_100": {"variant": "small"},
    "tf_mobilenetv3_large_075": {"variant": "large", "width": 0.75, "padding": "same"},
    "tf_mobilenetv3_large_100": {"variant": "large", "padding": "same"},
    "tf_mobilenetv3_small_075": {"variant": "small", "width": 0.75, "padding": "same"},
    "tf_mobilenetv3_small_100": {"variant": "small", "padding": "same"},
    "tf_mobilenetv3_large_minimal_100": {"variant": "large", "minimalistic": True, "padding": "same"},
    "tf_mobilenetv3_small_minimal_100": {"variant": "small", "minimalistic": True, "padding": "same"},
}


@pytest.mark.parametrize(("name", "arguments"), TIMM_TWINS.items(), ids=name_of)
def test_mobilenet_v3_has_as_many_parameters_as_timms(name: str, arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        reference = timm.create_model(name)
    classifier = parameters_of(reference.conv_head) + parameters_of(reference.classifier)
    assert parameters_of(on_meta(MobileNetV3, **arguments)) == parameters_of(reference) - classifier


@pytest.mark.parametrize("size", [(64, 64), (47, 65)], ids=str)
@pytest.mark.parametrize(("name", "arguments"), TIMM_TWINS.items(), ids=name_of)
def test_the_last_map_equals_timms_with_its_padding_on_even_and_odd_sizes(
    name: str,
    arguments: dict[str, Any],
    size: tuple[int, int],
    as_if_trained: Callable[[nn.Module], nn.Module],
    deviation: Callable[[Tensor, Tensor], float],
) -> None:
    torch.manual_seed(0)
    theirs = as_if_trained(timm.create_model(name)).eval()
    eps = next(m.eps for m in theirs.modules() if isinstance(m, nn.BatchNorm2d))
    ours = MobileNetV3(**arguments, norm_eps=eps).eval()
    transplant(theirs, ours)
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        found = ours.double()(images)["final"]
        assert deviation(found, theirs.double().forward_features(images)) <= 1e-10


@pytest.mark.parametrize("variant", ["large", "small"])
def test_mobilenet_v3_at_width_1_25_equals_timms(
    variant: str,
    as_if_trained: Callable[[nn.Module], nn.Module],
    deviation: Callable[[Tensor, Tensor], float],
) -> None:
    torch.manual_seed(0)
    theirs = as_if_trained(_gen_mobilenet_v3(f"mobilenetv3_{variant}_100", 1.25)).eval().double()
    ours = MobileNetV3(variant=variant, width=1.25, norm_eps=1e-5).eval().double()
    transplant(theirs, ours)
    images = torch.randn(1, 3, 65, 97, dtype=torch.float64)
    with torch.no_grad():
        assert deviation(ours(images)["final"], theirs.forward_features(images)) <= 1e-10


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (32, 47), (31, 8), (9, 5)], ids=str)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 4)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding_is_tensorflows(kernel: int, stride: int, dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = SamePadConv2d(3, 4, kernel, stride, dilation=dilation)
    theirs = Conv2dSame(3, 4, kernel, stride, dilation=dilation)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, *size)
    found = ours(images)
    torch.testing.assert_close(found, theirs(images))
    assert found.shape[-2:] == tuple(-(-x // stride) for x in size)


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (32, 47)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_layer_in_same_style_pads_as_tensorflow_at_every_stride(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    ours = ConvNormAct(3, 4, kernel, stride, act=None, style=Style(padding="same")).eval()
    theirs = Conv2dSame(3, 4, kernel, stride, bias=False)
    theirs.load_state_dict(ours.conv.state_dict())
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(ours(images), ours.norm(theirs(images)))


def test_same_and_symmetric_padding_differ_on_even_sizes() -> None:
    torch.manual_seed(0)
    symmetric, same = (MobileNetV3(variant="small", padding=padding).eval() for padding in ("symmetric", "same"))
    same.load_state_dict(symmetric.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(symmetric(images)["c1"], same(images)["c1"])
