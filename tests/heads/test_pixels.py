"""LR-ASPP and R-ASPP: published parameters, any output stride and size, and the paper's pool."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from litmobile.backbones import Backbone, Feature, MobileNetV2, MobileNetV3
from litmobile.heads import LRASPP, RASPP
from litmobile.heads.contract import HeadFactory
from litmobile.heads.lraspp import PoolingWindow
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.profile.counts import without_values
from support.families import count_parameters

CITYSCAPES = [str(k) for k in range(19)]
HEADS = {"LRASPP": LRASPP, "LRASPP-large": partial(LRASPP, pool="large"), "RASPP": RASPP}
each_head = pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)

# the networks at 19 classes; "block" is the low-level skip from a block's output
PUBLISHED: dict[str, tuple[type[Backbone], dict[str, Any], HeadFactory, list[str], int]] = {
    "V3-Large RF2 LR-ASPP 128": (
        MobileNetV3,
        {"tail": "segmentation"},
        partial(LRASPP, channels=128),
        ["c3", "final"],
        1_505_550,
    ),
    "V3-Large RF2 LR-ASPP 256": (
        MobileNetV3,
        {"tail": "segmentation"},
        partial(LRASPP, channels=256),
        ["c3", "final"],
        1_631_118,
    ),
    "V3-Small RF2 LR-ASPP 128": (
        MobileNetV3,
        {"variant": "small", "tail": "segmentation"},
        partial(LRASPP, channels=128),
        ["c3", "final"],
        467_486,
    ),
    "V2 R-ASPP 256": (MobileNetV2, {}, RASPP, ["c5"], 2_113_043),
}


def network(family: type[Backbone], arguments: dict[str, Any], head: Any, maps: list[str] | None = None) -> Network:
    return Network(
        family(**arguments), head, CITYSCAPES, Preprocessing((64, 64)), role="segmentation", feature_maps=maps
    ).eval()


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED)
@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_parameters_are_published_at_every_output_stride(row: Any, output_stride: int) -> None:
    family, arguments, head, maps, expected = row
    with without_values():
        built = network(family, arguments | {"output_stride": output_stride}, head, maps)
    assert count_parameters(built) == expected


@pytest.mark.parametrize("pool", ["global", "large"])
def test_the_pool_has_no_parameters(pool: Any) -> None:
    with without_values():
        built = network(MobileNetV3, {"tail": "segmentation"}, partial(LRASPP, pool=pool))
    assert count_parameters(built) == 1_505_550


@pytest.mark.parametrize("family", [MobileNetV2, MobileNetV3])
@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 97), (161, 32)], ids=str)
@each_head
def test_logits_have_the_size_of_the_image(
    make: Any, family: type[Backbone], output_stride: int, size: tuple[int, int]
) -> None:
    with without_values():
        built = network(family, {"output_stride": output_stride}, make)
        assert built(torch.zeros(2, 3, *size)).shape == (2, 19, *size)


# the paper's pool


@pytest.mark.parametrize(
    ("stride", "expected"), [(32, (25, 8, 10)), (16, (49, 16, 20)), (8, (97, 32, 40)), (4, (193, 64, 80))]
)
def test_windows_cover_the_papers_pixels_at_every_stride(stride: int, expected: tuple[int, int, int]) -> None:
    assert PoolingWindow.for_stride(stride) == expected


def random_maps(size: tuple[int, int], stride: int) -> tuple[dict[str, Feature], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    features = {"fine": Feature(3, 8), "coarse": Feature(5, stride)}
    factor = stride // 8
    fine = torch.randn(2, 3, size[0] * factor, size[1] * factor, generator=generator, dtype=torch.float64)
    return features, {"fine": fine, "coarse": torch.randn(2, 5, *size, generator=generator, dtype=torch.float64)}


@pytest.mark.parametrize(
    ("stride", "size"),
    [(16, (49, 49)), (16, (65, 129)), (16, (64, 20)), (16, (20, 128)), (32, (33, 65)), (32, (25, 24)), (8, (100, 60))],
    ids=str,
)
def test_large_pool_averages_windows_and_upsamples(stride: int, size: tuple[int, int]) -> None:
    features, maps = random_maps(size, stride)
    head = LRASPP(features, 4, channels=6, pool="large").double().eval()
    window, coarse = PoolingWindow.for_stride(stride), maps["coarse"]
    height, width = min(window.size, size[0]), min(window.size, size[1])
    rows, columns = -(-(size[0] - height) // window.row_step), -(-(size[1] - width) // window.column_step)
    tops, lefts = (window.row_step * k for k in range(rows + 1)), [window.column_step * k for k in range(columns + 1)]
    means = torch.stack(
        [torch.stack([coarse[:, :, y : y + height, x : x + width].mean((2, 3)) for x in lefts], dim=-1) for y in tops],
        dim=-2,
    )
    gates = torch.einsum("oi,nihw->nohw", head.gate.weight[:, :, 0, 0], means).sigmoid()
    expected = F.interpolate(gates, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(head.compute_gates(coarse), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(64, 128), (65, 129), (64, 64), (32, 64), (50, 7)], ids=str)
def test_every_cell_affects_the_large_pool(size: tuple[int, int]) -> None:
    features, maps = random_maps(size, 16)
    coarse = maps["coarse"].requires_grad_()
    head = LRASPP(features, 4, channels=6, pool="large").double().eval()
    (gradient,) = torch.autograd.grad(head.compute_gates(coarse).sum(), coarse)
    assert gradient.abs().amax((0, 1)).gt(0).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 49), (48, 48), (49, 49)], ids=str)
def test_pools_are_equal_on_a_map_of_one_window(size: tuple[int, int]) -> None:
    features, maps = random_maps(size, 16)
    large, whole = (LRASPP(features, 4, channels=6, pool=pool).double().eval() for pool in ("large", "global"))
    whole.load_state_dict(large.state_dict())
    image = (size[0] * 16, size[1] * 16)
    torch.testing.assert_close(large(maps, image), whole(maps, image), rtol=1e-12, atol=1e-12)


def test_pools_differ_on_a_larger_map() -> None:
    features, maps = random_maps((70, 70), 16)
    large, whole = (LRASPP(features, 4, channels=6, pool=pool).double().eval() for pool in ("large", "global"))
    whole.load_state_dict(large.state_dict())
    assert (large(maps, (560, 560)) - whole(maps, (560, 560))).abs().max() > 1e-6


# precision


@each_head
def test_logits_are_upsampled_in_float32_under_autocast(make: Any) -> None:
    features, maps = random_maps((7, 9), 16)
    head = make(features, 19).eval()
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        logits = head({name: x.float() for name, x in maps.items()}, (112, 144))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.to(torch.bfloat16).float()), "bits beyond bfloat16's are in use"


# R-ASPP


def test_raspp_fuses_two_branches() -> None:
    generator = torch.Generator().manual_seed(0)
    head = RASPP({"c3": Feature(3, 8), "c5": Feature(5, 16)}, 4, channels=6).double().eval()
    x = torch.randn(2, 5, 7, 9, generator=generator, dtype=torch.float64)
    mean = x.mean((2, 3), keepdim=True)
    joined = head.join(torch.cat((head.project(x), head.pool_project(mean).repeat(1, 1, 7, 9)), dim=1))
    expected = F.interpolate(head.classifier(joined), size=(112, 140), mode="bilinear", align_corners=False)
    torch.testing.assert_close(head({"c5": x}, (112, 140)), expected, rtol=1e-12, atol=1e-12)


@each_head
def test_class_dimensions_cover_all_class_tensors(make: Any) -> None:
    head = make({"fine": Feature(3, 8), "coarse": Feature(5, 16)}, 7)
    other = make({"fine": Feature(3, 8), "coarse": Feature(5, 16)}, 9)
    shapes = {name: x.shape for name, x in other.state_dict().items()}
    differing = {name for name, x in head.state_dict().items() if x.shape != shapes[name]}
    assert set(head.class_dimensions()) == differing
