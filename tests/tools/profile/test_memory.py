"""The predicted activation memory equals hand calculations and PyTorch's own measurement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from litmobile.heads import LRASPP, Classifier, SSDLite
from litmobile.heads.contract import Head
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.profile.memory import measure_peak, predict_peak
from litmobile.tools.profile.targets import place
from support.families import SMALL, build_small

SIZE = 96
CPU = torch.device("cpu")
MAP = 4 * 8 * 10 * 12  # bytes of a map of 8 channels


class Residual(nn.Module):
    """Adds a convolution's output to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 + self.conv(x)


class Views(nn.Module):
    """Holds views, which share memory, and one copy of them."""

    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        views = [y.flatten(2), y[:, :4], y.transpose(1, 2)]
        return views[2].contiguous()


@pytest.mark.parametrize("head", [Classifier, SSDLite, LRASPP])
@pytest.mark.parametrize("family", SMALL)
def test_prediction_is_within_15_percent(family: str, head: type[Head]) -> None:
    backbone = build_small(family, head.role)
    classes = [str(k) for k in range(20)]
    network = place(Network(backbone, head, classes, Preprocessing((SIZE, SIZE)), role=head.role).eval(), CPU)
    images = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8).to(memory_format=torch.channels_last)
    measured = measure_peak(lambda: network(images), CPU)
    assert measured > 3 * 4 * 3 * SIZE**2 * 0.9  # three float images while they are normalised
    assert predict_peak(network, images) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(
    ("make", "maps"),
    [
        (lambda: nn.ReLU(), 1),
        (lambda: nn.Sequential(nn.ReLU(), nn.ReLU()), 2),
        # the first output is freed when the third is computed
        (lambda: nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()), 2),
        (lambda: nn.Sequential(nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU(inplace=True)), 1),
        (Residual, 3),
        (Views, 2),
    ],
    ids=["one", "two", "three", "inplace", "residual", "views"],
)
def test_prediction_equals_hand_calculation(make: Callable[[], nn.Module], maps: int) -> None:
    x = torch.zeros(1, 8, 10, 12)
    network = make().eval()
    assert predict_peak(network, x) == maps * MAP
    assert measure_peak(lambda: network(x), CPU) == maps * MAP


def test_small_convolutions_on_one_thread_unfold_their_input() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.zeros(1, 8, 10, 12)
        network = nn.Conv2d(8, 8, 3, padding=1)
        assert predict_peak(network, x) == (1 + 9) * MAP
        assert measure_peak(lambda: network(x), CPU) == (1 + 9) * MAP
    finally:
        torch.set_num_threads(before)


def test_a_batch_needs_as_many_times_the_memory() -> None:
    network = nn.Sequential(nn.ReLU(), nn.ReLU())
    assert predict_peak(network, torch.zeros(3, 8, 10, 12)) == 3 * 2 * MAP


def test_prediction_leaves_the_network_as_it_was() -> None:
    network = Residual().eval()
    predict_peak(network, torch.zeros(1, 8, 10, 12))
    assert type(network.conv.weight) is nn.Parameter
    assert torch.isfinite(network(torch.zeros(1, 8, 10, 12))).all()
