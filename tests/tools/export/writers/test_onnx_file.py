"""ONNX files give the network's predictions at any batch size, and say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from litmobile.errors import UserError
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.benchmark.untrained import imitate_training
from litmobile.tools.engines.network import load_exported
from litmobile.tools.export.calibration import read_calibration_images
from litmobile.tools.export.module import SegmentationOutput
from support.exporting import (
    CLASSES,
    HEADS,
    assert_equal_predictions,
    export_onnx,
    make_images,
    make_network,
    predict_batch,
)
from support.families import SMALL

QUICK = {("MobileNetV2", "SSDLite"), ("MobileNetV3", "LRASPP"), ("EffNet", "Classifier")}
#: heads that are tested on one family
OWN_FAMILIES = {"MobileViTSSDLite": "MobileViT", "RASPP": "MobileNetV2"}
PAIRS = [
    pytest.param(family, head, marks=() if (family, head) in QUICK else pytest.mark.slow)
    for family in SMALL
    for head in HEADS
    if head not in OWN_FAMILIES or OWN_FAMILIES[head] == family
]


@pytest.fixture(scope="module")
def detector() -> Network:
    return make_network("MobileNetV1", "SSDLite")


@pytest.fixture(scope="module")
def detector_file(detector: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(detector, tmp_path_factory.mktemp("onnx") / "detector.onnx")


@pytest.fixture(scope="module")
def photos(request: pytest.FixtureRequest) -> Tensor:
    """Photos where the real data are next to this checkout, or else generated images."""
    try:
        folder = request.getfixturevalue("real_data") / "ants_bees" / "val"
    except pytest.skip.Exception:
        return make_images(16)
    return read_calibration_images(folder, Preprocessing((64, 96)), 16)


@pytest.mark.parametrize(("family", "head"), PAIRS)
def test_file_predicts_like_the_network(family: str, head: str, photos: Tensor, tmp_path: Path) -> None:
    """One file, at batch sizes 1 and 3."""
    network = imitate_training(make_network(family, head), photos)
    exported = load_exported(export_onnx(network, tmp_path / "network.onnx"), threads=1)
    for images in (photos[:1], photos[:3]):
        assert_equal_predictions(predict_batch(exported, images), predict_batch(network, images))


@pytest.mark.parametrize("segmentation", ["labels", "logits"])
def test_segmentation_outputs_labels_or_logits(segmentation: SegmentationOutput, tmp_path: Path) -> None:
    network = make_network("MobileNetV2", "LRASPP")
    exported = load_exported(export_onnx(network, tmp_path / "network.onnx", segmentation), threads=1)
    images = make_images(1)
    (found,) = exported.engine.run(images.numpy())
    with torch.inference_mode():
        logits = network(images)
    if segmentation == "logits":
        assert float((torch.from_numpy(found) - logits).abs().max() / logits.abs().max()) < 1e-4
    else:
        assert found.dtype == np.uint8
        assert (torch.from_numpy(found) == logits.argmax(1)).float().mean() > 0.999


def test_rows_without_a_detection_are_marked(detector_file: Path) -> None:
    exported = load_exported(detector_file, threads=1)
    boxes, scores, labels, count = exported.engine.run(np.zeros((2, 3, 64, 96), dtype=np.uint8))
    for image in range(2):
        assert (scores[image, : count[image]] > 0).all()
        assert (labels[image, : count[image]] >= 0).all()
        assert (scores[image, count[image] :] == 0).all()
        assert (labels[image, count[image] :] == -1).all()
        assert (boxes[image, count[image] :] == 0).all()


def test_metadata_and_json_describe_the_file(detector: Network, detector_file: Path) -> None:
    model = onnx.load(detector_file)
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert metadata == json.loads(detector_file.with_name("detector.onnx.json").read_text())
    assert metadata["classes"] == list(CLASSES)
    assert metadata["preprocessing"]["size"] == [64, 96]
    assert metadata["postprocess"] == {**detector.head.postprocess._asdict(), "is_inside": True}
    assert metadata["run"]["step"] == 40


def test_file_contains_no_path_of_this_machine(detector_file: Path) -> None:
    content = detector_file.read_bytes()
    assert str(Path(__file__).parents[4]).encode() not in content
    assert b"site-packages" not in content


def test_nodes_are_named_after_modules(detector_file: Path) -> None:
    names = [node.name for node in onnx.load(detector_file).graph.node if node.op_type == "Conv"]
    assert len(names) == len(set(names))
    assert any(name.startswith("head.classifiers.0.project") for name in names)


def test_old_opset_is_refused(detector: Network, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--opset must be 18 to"):
        export_onnx(detector, tmp_path / "old.onnx", opset=11)
    assert not list(tmp_path.iterdir())


def test_unsupported_operator_is_named(detector: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(maps: dict[str, torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        return torch.linalg.eigvals(maps["c4"][:, :4, :4, :4])

    network = Network.from_config(detector.config())
    monkeypatch.setattr(network.head, "exported_outputs", lambda output, size: {"boxes": output.real, "scores": output})
    monkeypatch.setattr(network.head, "forward", forward)
    with pytest.raises(UserError, match=r"SSDLite on MobileNetV1 cannot be exported to ONNX.*eig"):
        export_onnx(network, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
