"""The tensors that heads declare to depend on the number of classes are exactly those whose shapes do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from litmobile.backbones import Feature, Features
from litmobile.heads import LRASPP, Classifier, MobileViTSSDLite, SSDLite
from litmobile.heads.contract import Head
from litmobile.tools.profile.counts import without_values

FEATURES = Features({"c3": Feature(16, 8), "c5": Feature(24, 32)})
HEADS: dict[str, Callable[..., Head]] = {
    "SSDLite": SSDLite,
    "SSDLite-focal": partial(SSDLite, loss="focal", layout="tensorflow"),
    "MobileViTSSDLite": MobileViTSSDLite,
    "LRASPP": LRASPP,
    "Classifier": Classifier,
    "Classifier-hidden": partial(Classifier, hidden_dim=8),
}


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_class_dimensions_name_every_tensor_with_class_rows(make: Callable[..., Head]) -> None:
    with without_values():
        head, other = make(FEATURES, 5), make(FEATURES, 7)
    shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
    layouts = head.class_dimensions()
    assert set(layouts) == {name for name, tensor in head.state_dict().items() if tensor.shape != shapes[name]}
    for name, layout in layouts.items():
        for classes, rows in ((5, head.state_dict()[name].shape[0]), (7, shapes[name][0])):
            assert rows == layout.groups * (layout.offset + classes)
