"""EffNet equals its paper (arXiv 1801.06434), written out here because no reference library has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones import EffNet, Feature, check_backbone
from litmobile.backbones.effnet import Peer, PeerMobileNet, PeerShuffleNet, RowPool
from litmobile.heads import Classifier
from litmobile.tools.profile.counts import without_values
from support.families import build_on_meta, count_parameters, format_id
from support.paper import Paper, assert_equal_with_gradients

Perturb = Callable[[nn.Module], nn.Module]
Deviation = Callable[[Tensor, Tensor], float]

SLOPE = 0.3  # negative slope of the leaky ReLUs
BLOCKS = ((32, 64), (64, 128), (128, 256))  # channels inside a block, and of its output
ADDED = ((256, 512), (512, 1024))  # the two blocks of the extension

TRAINING = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
CLOSING = pytest.mark.parametrize("closing", ["2x1", "1x2"])

# ----------------------------------------------------------------------------------------------- the paper, written out


class Blocks(Paper):
    """The paper's blocks, written from their definition."""

    def post(self, x: Tensor) -> Tensor:
        """Applies what follows every convolution: leaky ReLU, then batch norm."""
        return self.norm(torch.where(x > 0, x, SLOPE * x))

    def block(self, x: Tensor, inner: int, out_channels: int, closing: str) -> Tensor:
        """1×1, depthwise 1×3, max-pool of two rows, depthwise 3×1, closing convolution of column stride 2."""
        weight = self.weight(inner, x.shape[1], 1, 1)
        x = self.post(torch.einsum("nihw,oi->nohw", x, weight[:, :, 0, 0]))

        left, here, right = self.weight(inner, 1, 1, 3)[:, 0, 0, :, None, None].unbind(1)
        before, behind = zeros_like_columns(x), zeros_like_columns(x)
        x = self.post(
            left * torch.cat((before, x[..., :-1]), 3) + here * x + right * torch.cat((x[..., 1:], behind), 3)
        )

        upper, lower = pairs(x, dim=2, beyond=float("-inf"))
        x = torch.maximum(upper, lower)

        above, here, below = self.weight(inner, 1, 3, 1)[:, 0, :, 0, None, None].unbind(1)
        rim = torch.zeros_like(x[:, :, :1])
        x = self.post(above * torch.cat((rim, x[:, :, :-1]), 2) + here * x + below * torch.cat((x[:, :, 1:], rim), 2))

        if closing == "1x2":  # the two columns that the stride spans
            first, second = self.weight(out_channels, inner, 1, 2)[:, :, 0].unbind(2)
            cells = pairs(x, dim=3, beyond=0.0)
        else:  # two rows of every other column
            first, second = self.weight(out_channels, inner, 2, 1)[:, :, :, 0].unbind(2)
            rows = x[..., ::2]
            cells = rows, torch.cat((rows[:, :, 1:], torch.zeros_like(rows[:, :, :1])), 2)
        return self.post(sum(torch.einsum("nihw,oi->nohw", x, w) for x, w in zip(cells, (first, second), strict=True)))


def zeros_like_columns(x: Tensor) -> Tensor:
    """Returns a column of zeros to put next to ``x``."""
    return torch.zeros_like(x[..., :1])


def pairs(x: Tensor, dim: int, beyond: float) -> tuple[Tensor, Tensor]:
    """Splits rows (``dim`` 2) or columns (3) into first and second of each pair; ``beyond`` pads an odd number."""
    if x.shape[dim] % 2:
        x = torch.cat((x, torch.full_like(x.narrow(dim, 0, 1), beyond)), dim)
    first, second = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    return first, second


# ------------------------------------------------------------------------------------------------ the published network


@TRAINING
@pytest.mark.parametrize("size", [(16, 16), (15, 18), (9, 13)], ids=str)
@CLOSING
def test_block_equals_the_papers_with_gradients(
    closing: str, size: tuple[int, int], training: bool, as_if_trained: Perturb
) -> None:
    """Odd sizes are rounded up."""
    network = as_if_trained(EffNet(closing_kernel=closing)).double().train(training)
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    found = network(images)
    paper = Blocks(network)
    x, expected = images, {}
    for number, (inner, out_channels) in enumerate(BLOCKS, start=1):
        x = expected[f"c{number}"] = paper.block(x, inner, out_channels, closing)
    assert paper.is_finished()
    assert x.shape == (2, 256, -(-size[0] // 8), -(-size[1] // 8))
    assert_equal_with_gradients(found, expected, [images, *network.parameters()])


def post(channels: int) -> nn.Sequential:
    """LeakyReLU, then batch norm with Keras' default epsilon and momentum."""
    return nn.Sequential(nn.LeakyReLU(SLOPE), nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))


def port() -> nn.Sequential:
    """The published network for 32×32 px and ten classes, as in PyTorch ports."""
    layers: list[nn.Module] = []
    before = 3
    for inner, out_channels in BLOCKS:
        layers += [
            nn.Conv2d(before, inner, 1, bias=False),
            post(inner),
            nn.Conv2d(inner, inner, (1, 3), padding=(0, 1), groups=inner, bias=False),
            post(inner),
            nn.MaxPool2d((2, 1), (2, 1)),
            nn.Conv2d(inner, inner, (3, 1), padding=(1, 0), groups=inner, bias=False),
            post(inner),
            nn.Conv2d(inner, out_channels, (1, 2), (1, 2), bias=False),
            post(out_channels),
        ]
        before = out_channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, 10))


class Ours(nn.Module):
    """Our network with the classifier that has its own weights for each of the 4×4 cells."""

    def __init__(self, closing: str) -> None:
        super().__init__()
        self.backbone = EffNet(closing_kernel=closing)
        self.classifier = Classifier(self.backbone.features, 10, pool_size=4, dropout=0.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.backbone(images), (images.shape[2], images.shape[3]))


@TRAINING
def test_network_equals_its_pytorch_port(training: bool, as_if_trained: Perturb, deviation: Deviation) -> None:
    """With the port's closing kernel, logits, gradients and running means are equal."""
    theirs, ours = as_if_trained(port()).double(), Ours("1x2").double()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    logits = ours.train(training)(images), theirs.train(training)(images)
    assert logits[0].shape == (4, 10)
    assert deviation(*logits) <= 1e-10
    direction = torch.randn_like(logits[0])
    gradients = [
        torch.autograd.grad((x * direction).sum(), [images, *network.parameters()])
        for x, network in zip(logits, (ours, theirs), strict=True)
    ]
    for mine, yours in zip(*gradients, strict=True):
        assert deviation(mine, yours) <= 1e-10
    for mine, yours in zip(ours.buffers(), theirs.buffers(), strict=True):  # the momentum is the same
        torch.testing.assert_close(mine, yours, rtol=1e-10, atol=1e-10)


def test_parameters_and_multiply_adds_equal_the_ports() -> None:
    with without_values():
        images = torch.zeros(1, 3, 32, 32)
        for network in (port(), Ours("1x2"), Ours("2x1")):
            with FlopCounterMode(display=False) as counter:
                network.eval()(images)
            assert count_parameters(network) == 151_146
            assert round(counter.get_total_flops() / 2e6, 2) == 5.64


def test_global_pool_takes_images_of_any_size() -> None:
    network = EffNet().eval()
    classifier = Classifier(network.features, 10).eval()
    for size in ((32, 32), (17, 50), (1, 1)):
        assert classifier(network(torch.zeros(2, 3, *size)), size).shape == (2, 10)


# ---------------------------------------------------------------------------------------------------- layers of a block


def layers_of(block: nn.Module) -> list[str]:
    """Returns the types of the layers in the order in which they run, and the kernels of the convolutions."""
    kinds = {nn.LeakyReLU: "leaky ReLU", nn.BatchNorm2d: "norm", RowPool: "pool"}
    return [
        "{}×{}".format(*m.kernel_size) if isinstance(m, nn.Conv2d) else kinds[type(m)]
        for m in block.modules()
        if isinstance(m, (nn.Conv2d, *kinds))
    ]


@pytest.mark.parametrize(("closing", "kernel"), [("1x2", "1×2"), ("2x1", "2×1")])
@pytest.mark.parametrize("extended", [False, True], ids=["published", "extended"])
def test_block_is_separable_with_a_pool_between(extended: bool, closing: str, kernel: str) -> None:
    network = build_on_meta(EffNet, extended=extended, closing_kernel=closing)
    after = ["leaky ReLU", "norm"]
    assert len(network.layers) == (5 if extended else 3)
    for block, (inner, out_channels) in zip(network.layers, BLOCKS + ADDED, strict=False):
        assert layers_of(block) == ["1×1", *after, "1×3", *after, "pool", "3×1", *after, kernel, *after]
        pointwise, row, column, closes = (m for m in block.modules() if isinstance(m, nn.Conv2d))
        assert [m.groups for m in (pointwise, row, column, closes)] == [1, inner, inner, 1]
        assert [m.stride for m in (pointwise, row, column, closes)] == [(1, 1), (1, 1), (1, 1), (1, 2)]
        assert (closes.in_channels, closes.out_channels) == (inner, out_channels)
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {SLOPE}
    assert all(m.bias is None for m in network.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("in_channels", [1, 3, 4])
def test_first_block_replaces_the_stem(in_channels: int) -> None:
    network = build_on_meta(EffNet, in_channels=in_channels)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert (first.in_channels, first.out_channels, first.kernel_size) == (in_channels, 32, (1, 1))
    assert network.features["c1"] == (64, 2)


@pytest.mark.parametrize("arguments", [{}, {"norm_eps": 1e-5, "norm_momentum": 0.1}], ids=format_id)
def test_norm_options_default_to_keras(arguments: dict[str, Any]) -> None:
    norms = {(m.eps, m.momentum) for m in build_on_meta(EffNet, **arguments).modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms == {tuple(arguments.values()) or (1e-3, 0.01)}  # Keras' momentum of 0.99 is 0.01 here


# -------------------------------------------------------------------------------------------------------- the extension


def test_extension_adds_two_blocks_by_the_same_rule(as_if_trained: Perturb) -> None:
    published = as_if_trained(EffNet()).double().eval()
    extended = as_if_trained(EffNet(extended=True)).double().eval()
    extended.load_state_dict(published.state_dict(), strict=False)
    images = torch.randn(1, 3, 45, 70, dtype=torch.float64)
    with torch.no_grad():
        found, known = extended(images), published(images)
        paper = Blocks(extended)
        expected = {}
        x = images
        for number, (inner, out_channels) in enumerate(BLOCKS + ADDED, start=1):
            x = expected[f"c{number}"] = paper.block(x, inner, out_channels, "2x1")
    assert list(found) == [*known, "c4", "c5"]
    assert all(torch.equal(found[name], known[name]) for name in known)
    for name, y in found.items():
        torch.testing.assert_close(y, expected[name], rtol=1e-10, atol=1e-10)


def test_extension_has_no_published_figures() -> None:
    (ours,) = (variant for variant in EffNet.variants if variant.arguments.get("extended"))
    assert (ours.parameters, ours.multiply_adds, ours.top1) == (None, None, None)


@pytest.mark.parametrize(("output_stride", "spacings"), [(32, (1, 1, 1)), (16, (1, 1, 2)), (8, (1, 2, 4))])
def test_output_stride_dilates_from_the_changed_pool_on(output_stride: int, spacings: tuple[int, int, int]) -> None:
    blocks = build_on_meta(EffNet, extended=True, output_stride=output_stride).layers[2:]
    for block, before, spacing in zip(blocks, (1, *spacings), spacings, strict=False):
        _, row, column, closes = (m for m in block.modules() if isinstance(m, nn.Conv2d))
        assert row.dilation[1] == before  # it comes before the pool
        assert column.dilation[0] == closes.dilation[1] == spacing
        assert closes.stride == ((1, 2) if spacing == 1 else (1, 1))
        assert [(m.stride, m.dilation) for m in block.modules() if isinstance(m, RowPool)] == [
            (2 if spacing == 1 else 1, spacing)
        ]


@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_pool_without_stride_compares_dilated_rows(
    rows: int,
) -> None:
    x = torch.randn(2, 3, rows, 4) - 5  # negative, so that zero padding would change the maximum
    for spacing in (2, 4):
        found = RowPool(1, spacing)(x)
        assert found.shape == x.shape
        for row in range(rows):
            partner = x[:, :, row + spacing] if row + spacing < rows else x[:, :, row]
            assert torch.equal(found[:, :, row], torch.maximum(x[:, :, row], partner))


def test_missing_role_names_the_extension(assert_one_sentence) -> None:
    for role in ("detection", "segmentation"):
        with pytest.raises(ValueError, match=f"no maps for {role}") as caught:
            build_on_meta(EffNet).feature_names(role)
        assert_one_sentence(caught.value, "extended=True", "c3 (stride 8)")
        assert build_on_meta(EffNet, extended=True).feature_names(role)


# ------------------------------------------------------------------------------------------------------------ the peers

PEERS = pytest.mark.parametrize("peer", [PeerMobileNet, PeerShuffleNet], ids=format_id)


@pytest.mark.parametrize(("peer", "published"), [(PeerMobileNet, 5.8), (PeerShuffleNet, 4.7)], ids=format_id)
def test_the_budget_is_the_papers(peer: type[Peer], published: float) -> None:
    backbone = build_on_meta(peer)
    with without_values():
        head = Classifier(backbone.features, 10, pool_size=4)
        with FlopCounterMode(display=False) as flops:
            head(backbone(torch.empty(1, 3, 32, 32)), (32, 32))
    assert flops.get_total_flops() / 1e6 == pytest.approx(published, rel=0.02)


@PEERS
def test_peer_keeps_the_contract(peer: type[Peer]) -> None:
    check_backbone(peer)


@PEERS
def test_maps_grow_as_effnets_do(peer: type[Peer]) -> None:
    assert peer().features == {"c1": Feature(64, 2), "c2": Feature(128, 4), "c3": Feature(256, 8)}
