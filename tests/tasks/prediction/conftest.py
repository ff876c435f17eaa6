"""Small networks of each task, whose predictions differ from image to image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from litmobile.tasks.network import Network
from support.exporting import make_network
from support.predicting import make_noise, make_segmenter


@pytest.fixture(scope="session")
def detector() -> Network:
    return make_network("MobileNetV2", "SSDLite", (64, 64))


@pytest.fixture(scope="session")
def classifier() -> Network:
    return make_network("MobileNetV2", "Classifier", (64, 64))


@pytest.fixture(scope="session")
def segmenter() -> Network:
    return make_segmenter(("background", "sky", "road <b>"))


@pytest.fixture(scope="session")
def noise() -> NDArray[np.uint8]:
    return make_noise(90, 120)
