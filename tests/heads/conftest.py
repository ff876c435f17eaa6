"""What the tests of the heads share: one thread, backbones to sit on, and what a readable error is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3, TimmBackbone

# by name: for the role of the head (the reduced tails of MobileNetV3 differ), a fresh backbone
BACKBONES: dict[str, Callable[[str], Backbone]] = {
    "MobileNetV2-0.35": lambda role: MobileNetV2(0.35),
    "MobileNetV3-small": lambda role: MobileNetV3("small", tail="full" if role == "classification" else role),
    "resnet18": lambda role: TimmBackbone("resnet18"),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread, which is quicker for tiny inputs; draw the same weights in every run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=BACKBONES, scope="module")
def backbone_for(request: pytest.FixtureRequest) -> Callable[[str], Backbone]:
    """Each kind of backbone in turn: role → a fresh one."""
    return BACKBONES[request.param]


@pytest.fixture(scope="session")
def assert_one_sentence() -> Callable[..., None]:
    """Check that an error message is a single sentence in which each of ``mentioned`` can be read."""

    def check(error: BaseException, *mentioned: str) -> None:
        text = str(error)
        assert text.endswith("."), text
        assert "\n" not in text, text
        assert ". " not in text, text
        for word in mentioned:
            assert word in text, f"{word!r} is not in {text!r}"

    return check
