"""The costs of networks equal hand calculations and PyTorch's own counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones.blocks import SamePadConv2d
from litmobile.tools.profile.counts import Activation, Complexity, count, find_largest, without_values

IMAGE = (1, 8, 10, 12)


def count_without_values(make: Callable[[], nn.Module], *shape: int) -> Complexity:
    """Count a network without values."""
    with without_values():
        return count(make().eval(), torch.empty(shape))


class Mixed(nn.Module):
    """Norms, branches, a layer that is used twice, and attention as a layer and as products."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(inplace=True))
        self.twice = nn.Conv2d(16, 16, 1)
        self.fuse = nn.Conv2d(32, 16, 3, padding=1)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.queries = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.fuse(torch.cat((x, self.twice(self.twice(x))), dim=1))
        tokens = x.flatten(2).mT
        tokens = self.attend(tokens, tokens, tokens, need_weights=False)[0]
        weights = (self.queries(tokens) @ tokens.mT).softmax(-1)
        return F.scaled_dot_product_attention(weights @ tokens, tokens, tokens)


@pytest.mark.parametrize(
    ("conv", "kind", "weights", "outputs", "multiply_adds"),
    [
        # 1×1, ungrouped and grouped: hw(c1 + c2) + c1 c2 / g elements and hw c1 c2 / g multiply-adds
        (lambda: nn.Conv2d(8, 16, 1, bias=False), "conv 1×1", 128, 16 * 120, 120 * 128),
        (lambda: nn.Conv2d(8, 16, 1, groups=2, bias=False), "conv 1×1 g2", 64, 16 * 120, 120 * 64),
        # the bias is also read
        (lambda: nn.Conv2d(8, 16, 1), "conv 1×1", 128 + 16, 16 * 120, 120 * 128),
        (lambda: nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False), "depthwise 3×3 s2", 72, 8 * 30, 30 * 72),
        (lambda: nn.Conv2d(8, 4, (1, 2), (1, 2), bias=False), "conv 1×2 s1×2", 64, 4 * 60, 60 * 64),
        (lambda: nn.Conv2d(8, 8, 3, 1, 2, 2, bias=False), "conv 3×3 d2", 576, 8 * 120, 120 * 576),
        # padding is not part of the input
        (lambda: SamePadConv2d(8, 8, 3, 2, bias=False), "conv 3×3 s2", 576, 8 * 30, 30 * 576),
    ],
)
def test_convolution_cost_equals_hand_calculation(
    conv: Callable[[], nn.Module], kind: str, weights: int, outputs: int, multiply_adds: int
) -> None:
    (found,) = count_without_values(conv, *IMAGE).operations
    assert (found.layer, found.kind) == ("", kind)
    assert found.input == IMAGE[1:]
    assert found.parameters == weights
    assert found.multiply_adds == multiply_adds
    assert found.memory_access == 8 * 120 + outputs + weights


def test_linear_layers_and_attention_are_operations() -> None:
    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.widen = nn.Linear(16, 48)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.widen(x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
            return F.scaled_dot_product_attention(q, k, v)

    linear, attention = count_without_values(Attend, 1, 25, 16).operations
    assert (linear.layer, linear.kind, linear.input, linear.output) == ("widen", "linear", (25, 16), (25, 48))
    assert (linear.parameters, linear.multiply_adds) == (16 * 48 + 48, 25 * 16 * 48)
    assert linear.memory_access == 25 * (16 + 48) + 16 * 48 + 48
    assert (attention.layer, attention.kind) == ("", "attention")
    assert (attention.parameters, attention.multiply_adds) == (
        0,
        2 * 25 * 25 * 16,
    )  # products with the keys and with the values
    assert (
        attention.memory_access == 4 * 25 * 16
    )  # reads queries, keys and values, and writes one output of the same size


def test_operations_add_up_to_the_totals_of_pytorch() -> None:
    torch.manual_seed(0)
    network, image = Mixed().eval(), torch.randn(1, 3, 24, 20)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        network.to("meta")(image.to("meta"))
    found = count_without_values(Mixed, *image.shape)
    assert sum(operation.multiply_adds for operation in found.operations) == found.multiply_adds
    assert found.multiply_adds == flops.get_total_flops() // 2
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.other_parameters == 2 * 16  # of the norm
    assert [(o.layer, o.kind) for o in found.operations] == [
        ("stem.0", "conv 3×3 s2"),
        ("twice", "conv 1×1"),
        ("twice", "conv 1×1"),
        ("fuse", "conv 3×3"),
        ("attend", "attention"),
        ("queries", "linear"),
        ("", "matmul"),
        ("", "matmul"),
        ("", "attention"),
    ]
    once, again = found.operations[1:3]
    assert (once.parameters, again.parameters) == (16 * 16 + 16, 0)
    assert once.multiply_adds == again.multiply_adds


def test_values_make_no_difference() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Hardswish(inplace=True), nn.Conv2d(8, 4, 1))

    image = torch.randn(1, 3, 16, 18)
    network = make().eval()
    with_values, without = count(network, image), count_without_values(make, *image.shape)
    assert with_values.operations == without.operations
    assert with_values.output.shape == without.output.shape
    with torch.no_grad():
        assert torch.equal(with_values.output, network(image))


def test_standardised_weights_count_for_their_layer() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return F.conv2d(input, self.weight - self.weight.mean(), None, self.stride, self.padding)

    found = count_without_values(lambda: Standardised(8, 4, 3, bias=False), *IMAGE)
    assert found.operations[0].parameters == found.parameters
    assert found.other_parameters == 0


def test_largest_activation_at_every_resolution() -> None:
    class Block(nn.Module):
        """Has 12 and 20 channels inside, but outputs 6 channels at half the size."""

        def __init__(self) -> None:
            super().__init__()
            self.widen = nn.Conv2d(4, 12, 1)
            self.narrow = nn.Conv2d(20, 6, 3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            widened = self.widen(x)
            return self.narrow(torch.cat((widened, x, x), dim=1))

    with without_values():
        network = nn.Sequential(nn.Conv2d(3, 4, 1), Block())
        found = count(network.eval(), torch.empty(1, 3, 8, 10), blocks=network)
    assert find_largest(found.block_activations) == [Activation((8, 10), 4, "0"), Activation((4, 5), 6, "1")]
    assert find_largest(found.activations()) == [Activation((8, 10), 20, "1.narrow"), Activation((4, 5), 6, "1.narrow")]
    assert find_largest(found.activations())[0].elements == 20 * 8 * 10


def test_tokens_keep_the_resolution_of_their_map() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 2, 2)
            self.widen = nn.Linear(8, 24)
            self.classify = nn.Linear(24, 10)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.widen(self.embed(x).flatten(2).mT)
            return self.classify(tokens[:, :3])

    found = find_largest(count_without_values(Tokens, 1, 3, 8, 12).activations())
    assert found == [Activation((4, 6), 24, "widen"), Activation((3,), 24, "classify")]


def test_without_values_draws_no_initial_weights() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with without_values():
        layer = nn.Linear(4, 4)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.trunc_normal_(layer.weight)
    assert layer.weight.is_meta
    assert torch.equal(torch.get_rng_state(), before)
    assert nn.init.ones_(nn.Linear(4, 4).weight).sum() == 16


def test_failing_network_leaves_no_hooks() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        count_without_values(Failing, *IMAGE)
    network = nn.Conv2d(8, 8, 3)
    assert network(torch.zeros(IMAGE)).shape == (1, 8, 8, 10)
    (found,) = count_without_values(lambda: nn.Conv2d(8, 16, 1, bias=False), *IMAGE).operations
    assert found.multiply_adds == 120 * 128
