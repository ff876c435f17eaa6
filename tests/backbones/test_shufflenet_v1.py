"""ShuffleNetV1 equals its paper (arXiv 1707.01083), written out here because no reference library has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import ShuffleNetV1
from litmobile.backbones.blocks import ConvConfig
from litmobile.backbones.shufflenet_v1 import ShuffleUnit
from support.families import build_on_meta
from support.paper import Paper, assert_equal_with_gradients

Perturb = Callable[[nn.Module], nn.Module]

# table 1: channels of stage 2 by the number of groups, units in the stages 2, 3 and 4
STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
REPEATS = (4, 8, 4)
EVERY_GROUPS = pytest.mark.parametrize("groups", STAGE_2)

# ----------------------------------------------------------------------------------------------- the paper, written out


class ShuffleNet(Paper):
    """The paper's layers, written from their definitions; ``groups`` is that of the 1×1 convolutions."""

    def __init__(self, network: nn.Module, groups: int) -> None:
        super().__init__(network)
        self.groups = groups

    def pointwise(self, x: Tensor, out_channels: int, groups: int) -> Tensor:
        """Applies a 1×1 whose output channels depend only on the input channels of their group."""
        seen, made = x.shape[1] // groups, out_channels // groups
        weight = self.weight(out_channels, seen, 1, 1)
        outputs = []
        for group in range(groups):
            inputs = x[:, group * seen : (group + 1) * seen]
            outputs.append(torch.einsum("nihw,oi->nohw", inputs, weight[group * made : (group + 1) * made, :, 0, 0]))
        return torch.cat(outputs, dim=1)

    def depthwise(self, x: Tensor, stride: int) -> Tensor:
        """Applies a 3×3 in which every channel depends only on itself."""
        weight = self.weight(x.shape[1], 1, 3, 3)
        return sum(
            weight[:, 0, row, column, None, None] * window for row, column, window in windows(x, stride, border=0.0)
        )

    def stem(self, x: Tensor, channels: int) -> Tensor:
        """Applies a full 3×3 of stride 2, batch norm, ReLU and a 3×3 max-pool of stride 2."""
        weight = self.weight(channels, x.shape[1], 3, 3)
        x = sum(
            torch.einsum("nihw,oi->nohw", window, weight[:, :, row, column])
            for row, column, window in windows(x, 2, border=0.0)
        )
        x = self.norm(x).relu()
        return torch.stack([window for _, _, window in windows(x, 2, border=float("-inf"))]).amax(0)

    def unit(self, x: Tensor, out_channels: int, first_groups: int, strided: bool) -> Tensor:
        """Computes the unit of figure 2 b, or of figure 2 c if it is strided."""
        bottleneck = round_up_quarter(out_channels, self.groups)
        y = self.norm(self.pointwise(x, bottleneck, first_groups)).relu()
        y = shuffle(y, self.groups)
        y = self.norm(self.depthwise(y, 2 if strided else 1))
        if not strided:
            return (x + self.norm(self.pointwise(y, out_channels, self.groups))).relu()
        y = self.norm(self.pointwise(y, out_channels - x.shape[1], self.groups))
        return torch.cat((average_pool(x), y), dim=1).relu()

    def network(self, images: Tensor, width: float, stem: int) -> dict[str, Tensor]:
        """Computes the maps of table 1 at strides 4, 8, 16 and 32."""
        x = self.stem(images, stem)
        maps = {"c2": x}
        for stage, repeats in enumerate(REPEATS):
            channels = round(STAGE_2[self.groups] * width) * 2**stage
            for repeat in range(repeats):
                x = self.unit(x, channels, 1 if stage == repeat == 0 else self.groups, strided=repeat == 0)
            maps[f"c{stage + 3}"] = x
        return maps


def windows(x: Tensor, stride: int, border: float) -> list[tuple[int, int, Tensor]]:
    """Returns, for each of the nine positions in a 3×3 kernel, its inputs at all steps, padded with ``border``."""
    height, width = x.shape[-2:]
    padded = x.new_full((*x.shape[:2], height + 2, width + 2), border)
    padded[:, :, 1:-1, 1:-1] = x
    return [
        (row, column, padded[:, :, row : row + height : stride, column : column + width : stride])
        for row in range(3)
        for column in range(3)
    ]


def average_pool(x: Tensor) -> Tensor:
    """Applies a 3×3 average pool of stride 2 with zero padding."""
    return sum(window for _, _, window in windows(x, 2, border=0.0)) / 9


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Moves channel ``i`` of group ``j`` to position ``i · groups + j``: (groups, n) → transposed → flattened."""
    per_group = x.shape[1] // groups
    places: list[Tensor] = [x[:, 0]] * x.shape[1]
    for j in range(groups):
        for i in range(per_group):
            places[i * groups + j] = x[:, j * per_group + i]
    return torch.stack(places, dim=1)


def round_up_quarter(channels: int, groups: int) -> int:
    """Returns a quarter of the unit's output channels, rounded up to a multiple of ``groups``."""
    quarter = channels // 4
    while quarter % groups:
        quarter += 1
    return quarter


def build_unit(groups: int, strided: bool, first_groups: int | None = None) -> ShuffleUnit:
    """Builds a unit from 24 channels to 24, or to 72 if it is strided; its bottleneck depends on ``groups``."""
    return ShuffleUnit(
        24,
        72 if strided else 24,
        groups=groups,
        first_groups=first_groups or groups,
        stride=2 if strided else 1,
        dilation=1,
        act="relu",
        config=ConvConfig(),
    )


TRAINING = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
STRIDED = pytest.mark.parametrize("strided", [False, True], ids=["figure 2b", "figure 2c"])


@TRAINING
@pytest.mark.parametrize("first", ["grouped", "ungrouped"])
@STRIDED
@EVERY_GROUPS
def test_unit_equals_the_papers_with_gradients(
    groups: int, strided: bool, first: str, training: bool, as_if_trained: Perturb
) -> None:
    first_groups = groups if first == "grouped" else 1
    unit = as_if_trained(build_unit(groups, strided, first_groups)).double().train(training)
    x = torch.randn(2, 24, 7, 10, dtype=torch.float64, requires_grad=True)
    found = {"unit": unit(x)}
    paper = ShuffleNet(unit, groups)
    expected = {"unit": paper.unit(x, 72 if strided else 24, first_groups, strided)}
    assert paper.is_finished()
    assert_equal_with_gradients(found, expected, [x, *unit.parameters()])


@TRAINING
@pytest.mark.parametrize(("groups", "width", "stem"), [(1, 0.25, 6), (3, 0.25, 6), (4, 0.25, 8), (8, 0.5, 16)])
def test_network_equals_the_papers_with_gradients(
    groups: int, width: float, stem: int, training: bool, as_if_trained: Perturb
) -> None:
    network = as_if_trained(ShuffleNetV1(groups, width, stem)).double().train(training)
    images = torch.randn(2, 3, 33, 66, dtype=torch.float64, requires_grad=True)
    found = network(images)
    del found["c1"]  # the stem without its pool
    paper = ShuffleNet(network, groups)
    expected = paper.network(images, width, stem)
    assert paper.is_finished()
    assert_equal_with_gradients(found, expected, [images, *network.parameters()])


# ----------------------------------------------------------------------------------------------------- layers of a unit


def record_outputs(unit: ShuffleUnit, x: Tensor) -> dict[str, Tensor]:
    """Returns the unit's output for ``x``, and the inputs and outputs of its three convolutions with norms."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            seen.update({f"into {name}": given[0].clone(), f"out of {name}": made.clone()})

        return hook

    for name in ("squeeze", "depthwise", "expand"):
        unit.get_submodule(name).register_forward_hook(watch(name))
    seen["unit"] = unit(x)
    return seen


@EVERY_GROUPS
def test_shuffle_transposes_groups_and_channels(groups: int) -> None:
    """Channel i of group j moves to position i · groups + j."""
    unit = build_unit(groups, strided=False).eval()
    seen = record_outputs(unit, torch.randn(1, 24, 5, 5))
    before, after = seen["out of squeeze"], seen["into depthwise"]
    assert not torch.equal(before, torch.zeros_like(before))
    per_group = before.shape[1] // groups
    for j in range(groups):
        for i in range(per_group):
            assert torch.equal(after[:, i * groups + j], before[:, j * per_group + i])
    assert torch.equal(seen["into expand"], seen["out of depthwise"])  # no second shuffle


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_second_1x1_sees_all_groups_of_the_first(groups: int) -> None:
    unit = ShuffleNetV1(groups, activation="leaky_relu").eval().layers[3]  # no ReLU stops gradients
    assert isinstance(unit, ShuffleUnit)
    channels = STAGE_2[groups]
    x = torch.randn(1, channels, 3, 3, requires_grad=True)
    branch = record_outputs(unit, x)["out of expand"]
    for first_of_group in range(0, channels, channels // groups):
        (gradient,) = torch.autograd.grad(branch[:, first_of_group].sum(), x, retain_graph=True)
        assert (gradient.abs().sum((0, 2, 3)).reshape(groups, -1).sum(1) > 0).all()


@STRIDED
def test_relus_follow_only_first_1x1_and_shortcut(strided: bool) -> None:
    x = torch.randn(2, 24, 6, 6)
    seen = record_outputs(build_unit(3, strided), x)
    for name in ("out of squeeze", "unit"):
        assert seen[name].min() == 0
        assert seen[name].max() > 0
    assert seen["out of depthwise"].min() < 0
    assert seen["out of expand"].min() < 0
    branch = seen["out of expand"]
    joined = torch.cat((average_pool(x), branch), dim=1) if strided else x + branch
    torch.testing.assert_close(seen["unit"], joined.relu())  # the ReLU also applies to the shortcut


def test_strided_unit_concatenates_its_pooled_input_first() -> None:
    x = torch.rand(1, 24, 5, 8)  # positive, so that the ReLU does not change the pooled input
    with torch.no_grad():
        found = build_unit(3, strided=True)(x)
    assert found.shape == (1, 72, 3, 4)
    for row, column in ((1, 1), (1, 2)):  # cells away from the border are plain means
        window = x[0, :, 2 * row - 1 : 2 * row + 2, 2 * column - 1 : 2 * column + 2]
        torch.testing.assert_close(found[0, :24, row, column], window.mean((1, 2)))
    torch.testing.assert_close(found[0, :24, 0, 0], x[0, :, :2, :2].sum((1, 2)) / 9)  # the border is zeros


@pytest.mark.parametrize(("output_stride", "dilations"), [(32, (1, 1, 1)), (16, (1, 1, 2)), (8, (1, 2, 4))])
def test_output_stride_dilates_units_and_keeps_pools(output_stride: int, dilations: tuple[int, int, int]) -> None:
    network = build_on_meta(ShuffleNetV1, output_stride=output_stride)
    units = [m for m in network.modules() if isinstance(m, ShuffleUnit)]
    for number, unit in enumerate(units):
        dilation = dilations[0 if number < 4 else 1 if number < 12 else 2]
        convolutions = [m for m in unit.modules() if isinstance(m, nn.Conv2d)]
        assert convolutions[1].dilation == (dilation, dilation)
        stride = 2 if number in (0, 4, 12) and dilation == 1 else 1
        assert convolutions[1].stride == (stride, stride)
        assert [m.stride for m in unit.modules() if isinstance(m, nn.AvgPool2d)] == [stride] * (number in (0, 4, 12))
