"""Results count, describe, draw, save and convert themselves."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from litmobile.errors import UserError
from litmobile.heads.predictions import Detections
from litmobile.tasks.images.inputs import InputImage
from litmobile.tasks.network import Network
from litmobile.tasks.prediction import ImageDetections

Pixels = NDArray[np.uint8]
NEEDS_SUPERVISION = pytest.mark.skipif(
    importlib.util.find_spec("supervision") is None, reason="supervision is not installed"
)


def make_detections(noise: Pixels, score: float | None = None, path: str | None = None) -> ImageDetections:
    boxes = torch.tensor([[10.0, 10, 60, 50], [0, 0, 20, 30], [5, 5, 9, 9]])
    detections = Detections(boxes, torch.tensor([0.93, 0.71, 0.02]), torch.tensor([1, 0, 1]))
    source = InputImage(noise if path is None else path)
    return ImageDetections(detections, ["car", "person"], source, noise.shape[:2], score)


def test_detections_are_counted_and_named(noise: Pixels) -> None:
    result = make_detections(noise, 0.5, "photos/street.jpg")
    assert len(result) == 2 and result.names == ["person", "car"]
    assert repr(result) == "2 objects in street.jpg: person 0.93, car 0.71"
    assert repr(make_detections(noise, 0.95)) == "no objects in an image of 120×90 pixels"
    assert not make_detections(noise, 0.95)
    everything = make_detections(noise)
    assert len(everything) == len(everything.boxes) == 3
    assert repr(everything).startswith(
        "3 objects (2 with a score of at least 0.3) in an image of 120×90 pixels: person"
    )


def test_score_leaves_out_objects(detector: Network, noise: Pixels) -> None:
    everything, some = detector.predict(noise), detector.predict(noise, score=0.65)
    assert 0 < len(some) < len(everything)
    assert torch.equal(some.scores, everything.scores[everything.scores >= 0.65])
    assert torch.equal(some.boxes, everything.boxes[: len(some)])


def test_len_of_a_classification_tells_certainty(classifier: Network, noise: Pixels) -> None:
    result = classifier.predict(noise)
    assert len(result) == 1
    assert (result.name, result.score) == (classifier.classes[result.label], float(result.scores.max()))
    assert repr(result).startswith(f"{result.name} in an image of 120×90 pixels: {result.name} {result.score:.2f}, ")
    uncertain = classifier.predict(noise, score=0.99)
    assert len(uncertain) == 0
    assert repr(uncertain).startswith("no class with a score of at least 0.99 in ")


def test_segmentation_counts_classes_without_background(segmenter: Network, noise: Pixels) -> None:
    result = segmenter.predict(noise)
    assert result.labels.shape == (90, 120) and set(result.labels.unique().tolist()) == {0, 1, 2}
    assert len(result) == 2
    assert sum(part.pixels for part in result.segments) == int((result.labels > 0).sum())
    assert repr(result).startswith("2 classes in an image of 120×90 pixels: ")
    with pytest.raises(UserError, match="score is for detectors and classifiers"):
        segmenter.predict(noise, score=0.5)


@pytest.mark.parametrize("task", ["detector", "classifier", "segmenter"])
def test_results_draw_save_and_describe(
    task: str, noise: Pixels, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(task)
    result = network.predict(noise)
    plot = result.plot()
    assert isinstance(plot, PIL.Image.Image)
    assert not np.array_equal(np.asarray(plot)[:90, :120], noise) or plot.size != (120, 90)
    assert np.array_equal(np.asarray(PIL.Image.open(result.save(tmp_path / "new" / "plot.png"))), np.asarray(plot))
    content = json.loads(result.save(str(tmp_path / "result.json")).read_text())
    assert content == result.to_dict()
    assert (content["path"], content["height"], content["width"]) == (None, 90, 120)
    html = result._repr_html_()
    assert html.startswith("<div>") and "data:image/jpeg;base64," in html and "<table>" in html
    assert "<script" not in html and "<b>" not in html
    for path in ("result", "result.txt"):
        with pytest.raises(UserError, match="must end in"):
            result.save(tmp_path / path)


def test_result_of_a_file_reads_it_again(classifier: Network, noise: Pixels, tmp_path: Path) -> None:
    path = tmp_path / "ant.png"
    PIL.Image.fromarray(noise).save(path)
    result = classifier.predict(path)
    assert result.path == path and np.array_equal(result.image, noise)
    assert " in ant.png: " in repr(result) and result.to_dict()["path"] == str(path)
    path.unlink()
    assert "<img" not in result._repr_html_()
    with pytest.raises(UserError, match="does not exist"):
        result.plot()


def test_dictionaries_hold_the_prediction(detector: Network, segmenter: Network, noise: Pixels) -> None:
    found = detector.predict(noise, score=0.5)
    objects = found.to_dict()["objects"]
    assert [entry["box"] for entry in objects] == found.boxes.tolist()
    assert [entry["score"] for entry in objects] == found.scores.tolist()
    assert [entry["class"] for entry in objects] == found.names
    (first, *_), (x1, y1, x2, y2) = found.to_coco(), found.boxes[0].tolist()
    assert first["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1])
    labels = segmenter.predict(noise).labels.numpy()
    for entry in segmenter.predict(noise).to_dict()["classes"]:
        decoded = coco_masks.decode(entry["mask"])
        assert np.array_equal(decoded.astype(bool), labels == entry["label"])
        assert decoded.sum() == entry["pixels"] and entry["share"] == entry["pixels"] / labels.size


@NEEDS_SUPERVISION
def test_supervision_gets_the_same_objects(
    detector: Network, segmenter: Network, classifier: Network, noise: Pixels
) -> None:
    found = detector.predict(noise, score=0.5)
    converted = found.to_supervision()
    assert len(converted) == len(found) > 0
    assert np.array_equal(converted.xyxy, found.boxes.numpy())
    assert converted.data["class_name"].tolist() == found.names
    assert len(detector.predict(noise, score=1).to_supervision()) == 0
    labels = segmenter.predict(noise).labels.numpy()
    masks = segmenter.predict(noise).to_supervision()
    for mask, label in zip(masks.mask, masks.class_id, strict=True):
        assert np.array_equal(mask, labels == label)
    scores = classifier.predict(noise).scores
    assert np.array_equal(classifier.predict(noise).to_supervision().confidence, scores.numpy())


@pytest.mark.skipif(importlib.util.find_spec("supervision") is not None, reason="supervision is installed")
def test_missing_supervision_names_its_extra(noise: Pixels) -> None:
    with pytest.raises(UserError, match=r"pip install 'litmobile\[supervision\]'"):
        make_detections(noise).to_supervision()
