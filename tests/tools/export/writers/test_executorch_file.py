"""ExecuTorch files give the network's outputs, in float and in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from litmobile.backbones import MobileNetV1
from litmobile.errors import UserError
from litmobile.tools.engines.choice import open_engine
from litmobile.tools.engines.description import write_description
from litmobile.tools.export.quantization import Int8
from litmobile.tools.export.simulated_int8 import SimulatedInt8
from litmobile.tools.export.writers.executorch_file import write_executorch
from support.exporting import PHONE_PAIRS, Exportable, largest_deviations, make_exportable, make_images

pytest.importorskip("executorch", reason="executorch is not installed: pip install 'litmobile[executorch]'")

PAIRS = [pytest.param(*pair, marks=pytest.mark.slow) for pair in PHONE_PAIRS]


@pytest.fixture(scope="module")
def classifier() -> Exportable:
    return make_exportable("MobileNetV1", "classification", (32, 32))


def run_network(exported: Exportable, images: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return exported.module(images)


def test_classifier_gives_equal_probabilities(classifier: Exportable, tmp_path: Path) -> None:
    write_executorch(classifier.module, tmp_path / "net.pte", classifier.description)
    engine = open_engine(tmp_path / "net.pte", threads=1)
    assert engine.description.as_json() == classifier.description.as_json()
    images = make_images(3, classifier.module.size)
    assert max(largest_deviations(engine.run(images.numpy()), run_network(classifier, images))) <= 1e-4


@pytest.mark.parametrize(("family", "role"), PAIRS)
def test_every_network_gives_equal_outputs(family: str, role: str, tmp_path: Path) -> None:
    exported = make_exportable(family, role)
    write_executorch(exported.module, tmp_path / "net.pte", exported.description)
    images = make_images(2, exported.module.size)
    found, expected = open_engine(tmp_path / "net.pte").run(images.numpy()), run_network(exported, images)
    if role == "segmentation":
        assert (found[0] == expected[0].numpy()).mean() > 0.999  # where two logits are equal, rounding decides
    else:
        assert max(largest_deviations(found, expected)) <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("per_channel", "float_ends"), [(False, False), (True, True)])
def test_int8_is_smaller_and_as_close_as_simulated(
    classifier: Exportable, tmp_path: Path, per_channel: bool, float_ends: bool
) -> None:
    images = make_images(8, classifier.module.size)
    int8 = Int8(images, per_channel, float_ends)
    write_executorch(classifier.module, tmp_path / "float.pte", classifier.description)
    write_executorch(classifier.module, tmp_path / "int8.pte", classifier.description, int8)
    engine = open_engine(tmp_path / "int8.pte")
    assert engine.description.quantization == int8.describe()
    simulated = SimulatedInt8(classifier.module, images)
    layers = list(simulated.ranges)[1:-1] if float_ends else list(simulated.ranges)
    (truth,) = simulated.exact.values()
    error = float((torch.from_numpy(engine.run(images.numpy())[0]) - truth).square().sum() / truth.square().sum())
    assert 0 < error < 3 * simulated.compute_error(layers, per_channel)
    sizes = [(tmp_path / name).stat().st_size for name in ("int8.pte", "float.pte")]
    assert sizes[0] < 0.5 * sizes[1]


def test_operator_that_cannot_be_lowered_is_named(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    class Orthogonal(MobileNetV1):
        """A backbone with an operator that mobile runtimes do not have."""

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {name: torch.linalg.qr(x)[0] for name, x in super().forward(images).items()}

    exported = make_exportable(Orthogonal(0.25), "classification", (32, 32))
    with pytest.raises(UserError) as failure:
        write_executorch(exported.module, tmp_path / "net.pte", exported.description)
    assert_one_sentence(failure.value, "Orthogonal", "linalg_qr", "ExecuTorch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", bytes(range(200, 256)) * 20])
def test_foreign_file_is_refused(content: bytes, classifier: Exportable, tmp_path: Path) -> None:
    path = tmp_path / "other.pte"
    path.write_bytes(content)
    write_description(path, classifier.description)
    with pytest.raises(UserError, match=r"other\.pte is not an ExecuTorch file: it has no program identifier"):
        open_engine(path)
