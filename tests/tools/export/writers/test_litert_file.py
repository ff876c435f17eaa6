"""LiteRT files give the network's outputs, in float and in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from litmobile.errors import UserError
from litmobile.tools.engines.choice import open_engine
from litmobile.tools.export import litert_environment
from litmobile.tools.export.quantization import Int8
from litmobile.tools.export.writers.litert_file import write_litert
from support.exporting import PHONE_PAIRS, largest_deviations, make_exportable, make_images

PAIRS = [("MobileNetV1", "classification"), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in PHONE_PAIRS)]


@pytest.fixture(scope="module")
def converter() -> None:
    pytest.importorskip("litert_torch", reason="litert-torch needs an environment of its own: docs/export_phones.md")


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize(("family", "role"), PAIRS)
def test_file_gives_equal_outputs(family: str, role: str, tmp_path: Path) -> None:
    exported = make_exportable(family, role)
    write_litert(exported.module, tmp_path / "net.tflite", exported.description)
    images = make_images(2, exported.module.size)
    found = open_engine(tmp_path / "net.tflite", threads=1).run(images.numpy())
    with torch.no_grad():
        expected = exported.module(images)
    if role == "segmentation":
        assert (found[0] == expected[0].numpy()).mean() > 0.999  # where two logits are equal, rounding decides
    else:
        assert max(largest_deviations(found, expected)) <= 1e-3


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("float_ends", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_int8_is_smaller_and_close(tmp_path: Path, per_channel: bool, float_ends: bool) -> None:
    exported = make_exportable("MobileNetV3", "classification")
    int8 = Int8(make_images(16, exported.module.size), per_channel, float_ends)
    write_litert(exported.module, tmp_path / "float.tflite", exported.description)
    write_litert(exported.module, tmp_path / "int8.tflite", exported.description, int8)
    engine = open_engine(tmp_path / "int8.tflite")
    assert engine.description.quantization == int8.describe()
    images = make_images(4, exported.module.size)
    with torch.no_grad():
        expected = exported.module(images)
    assert 1e-4 < max(largest_deviations(engine.run(images.numpy()), expected)) <= 0.5
    sizes = [(tmp_path / name).stat().st_size for name in ("int8.tflite", "float.tflite")]
    assert sizes[0] < 0.6 * sizes[1]


def test_environment_reports_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assert_one_sentence: Callable[..., None]
) -> None:
    assert litert_environment.find_requirement().endswith("[litert-export]")
    with pytest.raises(UserError) as failure:
        litert_environment.make_environment(tmp_path, "litmobile")
    assert_one_sentence(failure.value, tmp_path, "exists")
    monkeypatch.setattr("venv.create", lambda folder, with_pip: (folder / "bin").mkdir(parents=True))
    made = tmp_path / "made"
    monkeypatch.setattr("subprocess.run", lambda command, check: type("Ended", (), {"returncode": 1}))
    with pytest.raises(UserError) as failure:
        litert_environment.make_environment(made, "litmobile")
    assert_one_sentence(failure.value, made, "litmobile")
