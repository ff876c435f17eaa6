"""A checkpoint of another network is refused with a sentence that names the difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from litmobile.backbones import MobileNetV2
from litmobile.errors import TaskError
from litmobile.heads import LRASPP
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.pretrained import check_same_network


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (("ant", "bee", "fly"), "fly only there"),
        (("ant",), "bee only here"),
        (("ant", "wasp"), "wasp only there, bee only here"),
        (("bee", "ant"), "in another order, bee, ant there"),
    ],
    ids=str,
)
def test_checkpoint_with_other_classes_is_refused(
    there: tuple[str, ...], words: str, assert_one_sentence: Callable[..., None]
) -> None:
    networks = [
        Network(MobileNetV2(0.35), LRASPP, classes, Preprocessing((64, 64)), role="segmentation")
        for classes in (there, ("ant", "bee"))
    ]
    with pytest.raises(TaskError) as caught:
        check_same_network({"network": networks[0].config(), "state_dict": {}}, networks[1])
    assert_one_sentence(caught.value, f"other classes: {words}.")
