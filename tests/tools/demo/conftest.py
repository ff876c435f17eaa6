"""Small networks of each task, and their demos."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from litmobile.tasks.network import Network
from litmobile.tools.demo.server import DemoServer
from support.exporting import ROLE_HEADS, make_network
from support.serving import serve_network

KINDS = ("detection", "segmentation", "classification")


@pytest.fixture(scope="session")
def networks() -> dict[str, Network]:
    """A network for each task, with outputs that depend on the image."""
    return {kind: make_network("MobileNetV2", ROLE_HEADS[kind]) for kind in KINDS}


@pytest.fixture(scope="session")
def demos(networks: dict[str, Network]) -> Iterator[dict[str, DemoServer]]:
    """The demo of each network."""
    with (
        serve_network(networks["detection"]) as detection,
        serve_network(networks["segmentation"]) as segmentation,
        serve_network(networks["classification"]) as classification,
    ):
        yield {"detection": detection, "segmentation": segmentation, "classification": classification}


@pytest.fixture
def demo(demos: dict[str, DemoServer]) -> DemoServer:
    """The demo of a detector."""
    return demos["detection"]
