"""Core ML packages have an image as input and the outputs' names; predictions need a Mac."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import UserError
from litmobile.tools.engines.description import json_path, read_description
from litmobile.tools.export.quantization import Int8
from litmobile.tools.export.writers.coreml_file import replace_folder, write_coreml
from support.exporting import PHONE_PAIRS, Exportable, make_exportable, make_images

pytest.importorskip("coremltools", reason="coremltools is not installed: pip install 'litmobile[coreml]'")

FLOAT16, FLOAT32 = 10, 11  # in Core ML's programs
PAIRS = [("MobileNetV1", "classification"), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in PHONE_PAIRS)]


@pytest.fixture(scope="module")
def classifier() -> Exportable:
    return make_exportable("MobileNetV1", "classification", (32, 32))


def read_package(path: Path) -> Any:
    from coremltools.models.utils import load_spec

    return load_spec(str(path))


@pytest.mark.parametrize(("family", "role"), PAIRS)
def test_package_has_named_inputs_and_outputs(family: str, role: str, tmp_path: Path) -> None:
    exported = make_exportable(family, role)
    path = tmp_path / "net.mlpackage"
    write_coreml(exported.module, path, exported.description)
    content = read_package(path)
    (images,) = content.description.input
    assert (images.name, images.type.imageType.width, images.type.imageType.height) == ("images", 64, 64)
    assert tuple(output.name for output in content.description.output) == exported.module.outputs
    assert read_description(path).outputs == exported.module.outputs
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, json_path(path).name]


@pytest.mark.slow
def test_layers_are_half_and_decoding_is_single_precision(tmp_path: Path) -> None:
    exported = make_exportable("MobileNetV1", "detection")
    write_coreml(exported.module, tmp_path / "net.mlpackage", exported.description)
    program = read_package(tmp_path / "net.mlpackage").mlProgram.functions["main"]
    operations = program.block_specializations[program.opset].operations
    types = Counter((x.type, x.outputs[0].type.tensorType.dataType) for x in operations)
    assert types["conv", FLOAT16] > 10
    assert types["conv", FLOAT32] == 0
    assert types["exp", FLOAT32] == 2
    assert types["softmax", FLOAT32] == 1


def test_package_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.mlpackage"
    for content in ("first", "second"):
        with replace_folder(path) as part:
            part.mkdir()
            (part / "weights").write_text(content)
        assert (path / "weights").read_text() == content
    failure = pytest.raises(OSError, match="No space")
    with failure, replace_folder(path) as part:
        part.mkdir()
        raise OSError("No space left on device")
    assert (path / "weights").read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_use_is_refused(classifier: Exportable, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    int8 = Int8(make_images(2, (32, 32)), per_channel=False, float_ends=False)
    with pytest.raises(UserError) as failure:
        write_coreml(classifier.module, tmp_path / "net.mlpackage", classifier.description, int8)
    assert_one_sentence(failure.value, ".onnx", ".pte", ".tflite")
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError) as failure:
        write_coreml(classifier.module, tmp_path / "photos", classifier.description)
    assert_one_sentence(failure.value, tmp_path / "photos", "not a Core ML package")
