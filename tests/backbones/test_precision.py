"""The bfloat16 error of a family is at most the reference's, and its training steps are finite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import Backbone, EffNet, ShuffleNetV1
from litmobile.backbones.weights import load_state
from support.families import SMALL
from support.twins import TWINS, compute_reference_maps

Perturb = Callable[[nn.Module], nn.Module]

MODES = pytest.mark.parametrize("mode", ["train", "eval"])
LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
MARGIN = 1.1


# every family that a library has, in two sizes if there are two
REFERENCES = (
    "mobilenetv1_100",
    "mobilenet_v2 at width 1.0",
    "mobilenet_v2 at width 0.3",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "mobilevit_xxs",
    "mobilevit_s",
)

# without a reference: the network, and its maximum error in evaluation and in training. With untrained weights and
# the statistics of a small batch, rounding errors grow from layer to layer: the error of ShuffleNetV2 is a third there,
# as is torchvision's
ALONE: dict[str, tuple[Callable[[], Backbone], dict[str, float]]] = {
    "ShuffleNetV1-3-groups": (partial(ShuffleNetV1, 3, 0.5), {"eval": 0.01, "train": 0.25}),
    "ShuffleNetV1-8-groups": (partial(ShuffleNetV1, 8, 0.5), {"eval": 0.01, "train": 0.25}),
    "EffNet": (EffNet, {"eval": 0.01, "train": 0.05}),
    "EffNet-extended": (partial(EffNet, 0.5, extended=True), {"eval": 0.01, "train": 0.1}),
}


def images_of(size: tuple[int, int], layout: torch.memory_format, count: int = 4) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)


def error(forward: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """Returns the root mean square error of a map under autocast, relative to that of the map."""
    with torch.no_grad():
        exact = forward(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = forward(images)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()
    return float((found.float() - exact).square().mean().sqrt() / exact.square().mean().sqrt())


@LAYOUTS
@MODES
@pytest.mark.parametrize("name", REFERENCES)
def test_error_is_at_most_the_references(
    name: str, mode: str, layout: torch.memory_format, as_if_trained: Perturb
) -> None:
    twin = TWINS[name]
    torch.manual_seed(0)
    theirs = as_if_trained(twin.theirs())
    ours = twin.ours()
    assert load_state(ours, theirs.state_dict(), "the reference").missing == ()
    for network in (ours, theirs):
        network.train(mode == "train").to(memory_format=layout)
    images = images_of((65, 96), layout)
    deepest = list(ours.features)[-1]
    path = {deepest: twin.paths[deepest]}
    found = error(lambda x: ours(x)[deepest], images)
    reference = error(lambda x: compute_reference_maps(theirs, path, x)[deepest], images)
    assert reference > 1e-4  # otherwise nothing was rounded
    assert found <= MARGIN * reference


@MODES
@pytest.mark.parametrize(("make", "most"), ALONE.values(), ids=ALONE)
def test_error_without_a_reference_is_small(
    make: Callable[[], Backbone], most: dict[str, float], mode: str, as_if_trained: Perturb
) -> None:
    torch.manual_seed(0)
    backbone = as_if_trained(make()).train(mode == "train")
    name = list(backbone.features)[-1]
    found = error(lambda x: backbone(x)[name], images_of((65, 96), torch.contiguous_format))
    assert 1e-4 < found <= most[mode]


# at 32 px the last map has one pixel, at 33 px four, at 64 × 20 px one column. Images of up to 16 columns are omitted:
# the strided depthwise convolution before c5 then has one column, and with PyTorch 2.15 the bfloat16 gradient of its
# weights is undefined on a CPU if memory is channels-last
@LAYOUTS
@pytest.mark.parametrize("size", [(32, 32), (33, 33), (64, 20)], ids=str)
@pytest.mark.parametrize("family", SMALL)
def test_training_step_is_finite_with_tiny_maps(
    family: str, size: tuple[int, int], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    backbone = SMALL[family]().to(memory_format=layout).train()
    with torch.autocast("cpu", torch.bfloat16):
        maps = backbone(images_of(size, layout))
    torch.stack([x.float().square().mean() for x in maps.values()]).sum().backward()
    for name, x in maps.items():
        assert x.isfinite().all(), name
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    for name, tensor in backbone.state_dict().items():
        assert tensor.isfinite().all(), name
