"""Files of torch.export give the network's outputs for batches of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from litmobile.errors import UserError
from litmobile.tools.engines.choice import open_engine
from litmobile.tools.export.quantization import Int8
from litmobile.tools.export.writers.torch_file import write_torch_export
from support.exporting import PHONE_PAIRS, Exportable, largest_deviations, make_exportable, make_images

QUICK = [("MobileNetV3", "detection"), ("MobileViT", "classification"), ("ShuffleNetV1", "segmentation")]
PAIRS = [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in PHONE_PAIRS if pair not in QUICK)]


@pytest.fixture(scope="module")
def classifier() -> Exportable:
    return make_exportable("MobileNetV1", "classification")


@pytest.mark.parametrize(("family", "role"), PAIRS)
def test_file_gives_equal_outputs_at_any_batch_size(family: str, role: str, tmp_path: Path) -> None:
    exported = make_exportable(family, role)
    write_torch_export(exported.module, tmp_path / "net.pt2", exported.description)
    engine = open_engine(tmp_path / "net.pt2")
    assert engine.description.as_json() == exported.description.as_json()
    for number in (1, 3):
        images = make_images(number, exported.module.size)
        with torch.no_grad():
            expected = exported.module(images)
        assert max(largest_deviations(engine.run(images.numpy()), expected)) <= 1e-4


def test_fixed_batch_runs_one_image_at_a_time(
    classifier: Exportable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise RuntimeError(f"{name} is fixed")

    monkeypatch.setattr("litmobile.tools.export.writers.torch_file.Dim", refuse)
    write_torch_export(classifier.module, tmp_path / "net.pt2", classifier.description)
    images = make_images(3, (64, 64))
    with torch.no_grad():
        expected = classifier.module(images)
    assert max(largest_deviations(open_engine(tmp_path / "net.pt2", threads=1).run(images.numpy()), expected)) <= 1e-4


def test_int8_is_refused(classifier: Exportable, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    int8 = Int8(make_images(2, (64, 64)), per_channel=False, float_ends=False)
    with pytest.raises(UserError) as failure:
        write_torch_export(classifier.module, tmp_path / "net.pt2", classifier.description, int8)
    assert_one_sentence(failure.value, ".onnx", ".pte", ".tflite")
    assert not list(tmp_path.iterdir())
