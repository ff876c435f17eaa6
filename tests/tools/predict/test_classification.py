"""`litmobile predict` with a classifier: a CSV row for every image and frame, and captions below them."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.heads import Classifier
from litmobile.heads.predictions import Classification
from litmobile.tasks.images import read_image
from litmobile.tasks.images.inputs import InputImage
from litmobile.tasks.network import Network
from litmobile.tasks.prediction import ImageClassification
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from litmobile.tools.predict.options import PredictOptions
from litmobile.tools.predict.results import ClassificationWriter, PredictionJob
from litmobile.tools.predict.sources import MediaFrame, MediaSource, Timestamp
from support.cli import get_refusal
from support.predicting import list_images, list_media, read_image_size, save_network, write_video

Rows = list[dict[str, str]]
CLASSES = ("ant", 'bee, "honey"', "c", "d", "e", "f", "a class with a name that is far too long for a caption")


def save_classifier(classes: tuple[str, ...], path: Path) -> Path:
    """Write the checkpoint of a small classifier whose scores differ between images."""
    torch.manual_seed(0)
    network = Network(MobileNetV2(0.35), Classifier, classes, Preprocessing((64, 64)), role="classification")
    with torch.no_grad():
        logits = network.eval()(torch.rand(1, 3, 64, 64))
        network.head.layers[-1].weight.div_(logits.std())  # type: ignore[index,union-attr]
    return save_network(network, path)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(CLASSES, tmp_path_factory.mktemp("runs") / "classifier.ckpt")


@pytest.fixture
def classify(classifier: Path, tmp_path: Path) -> Callable[..., Rows]:
    """Predict into ``tmp_path / "out"`` and return the rows of the result file."""

    def classify(*words: object, run: Path = classifier) -> Rows:
        main(["predict", "--run", str(run), "--out", str(tmp_path / "out"), *map(str, words)])
        return read_rows(tmp_path / "out" / "predictions.csv")

    return classify


def read_rows(file: Path) -> Rows:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        return list(csv.DictReader(opened))


def frame_of(name: str, timestamp: Timestamp | None = None) -> MediaFrame:
    return MediaFrame(MediaSource(Path(name), name), np.zeros((1, 1, 3), np.uint8), timestamp)


def assert_row(row: dict[str, str], scores: torch.Tensor, classes: tuple[str, ...] = CLASSES) -> None:
    """Check that a row contains the highest of ``scores`` in descending order."""
    count = min(5, len(classes))
    order = sorted(range(len(classes)), key=lambda k: -float(scores[k]))[:count]
    assert [row[f"class_{rank + 1}"] for rank in range(count)] == [classes[k] for k in order]
    for rank, k in enumerate(order, start=1):
        assert float(row[f"score_{rank}"]) == pytest.approx(float(scores[k]), rel=5e-6)
        assert len(row[f"score_{rank}"].partition("e")[0].replace(".", "").lstrip("0")) <= 6


def test_rows_equal_the_predictions_of_python(
    classifier: Path, shapes: Path, classify: Callable[..., Rows], tmp_path: Path
) -> None:
    rows, network = classify(shapes / "val"), litmobile.load(classifier)
    assert [row["file_name"] for row in rows] == [path.as_posix() for path in list_images(shapes)]
    for row, path in zip(rows, list_images(shapes), strict=True):
        assert (row["frame"], row["seconds"]) == ("", "")
        assert_row(row, network.predict(path).scores)
    assert len({row["score_1"] for row in rows}) == len(rows), "images differ"
    header = (tmp_path / "out" / "predictions.csv").read_text().partition("\n")[0]
    assert header == "file_name,frame,seconds," + ",".join(f"class_{k},score_{k}" for k in range(1, 6))


def test_fewer_than_five_classes_have_fewer_columns(
    shapes: Path, tmp_path: Path, classify: Callable[..., Rows]
) -> None:
    run = save_classifier(("a", "b"), tmp_path / "two.ckpt")
    (row,) = classify(list_images(shapes)[0], run=run)
    assert list(row) == ["file_name", "frame", "seconds", "class_1", "score_1", "class_2", "score_2"]
    assert_row(row, litmobile.load(run).predict(list_images(shapes)[0]).scores, ("a", "b"))


@pytest.mark.parametrize("size", [(96, 64), (40, 46)])
def test_a_video_has_a_row_for_every_frame(
    size: tuple[int, int], classifier: Path, tmp_path: Path, classify: Callable[..., Rows]
) -> None:
    path = write_video(tmp_path / "film.avi", size=size)
    rows = classify(path, "--score=0.9")
    network, video = litmobile.load(classifier), cv2.VideoCapture(str(path))
    assert [(row["file_name"], row["frame"]) for row in rows] == [(path.as_posix(), str(k)) for k in range(6)]
    for frame, row in enumerate(rows):
        assert float(row["seconds"]) == frame / 12.5
        assert_row(row, network.predict(np.ascontiguousarray(video.read()[1][:, :, ::-1])).scores)
    result = cv2.VideoCapture(str(tmp_path / "out" / "film.avi.mp4"))
    assert [result.read()[0] for _ in range(7)] == [True] * 6 + [False]
    assert result.get(cv2.CAP_PROP_FRAME_WIDTH) >= size[0]
    assert result.get(cv2.CAP_PROP_FRAME_HEIGHT) > size[1]


def test_special_characters_in_file_names_are_kept(shapes: Path, tmp_path: Path, classify: Callable[..., Rows]) -> None:
    names = ["a, b.jpg", 'say "x".jpg', "two\nlines.jpg", "Käfer.jpg"]
    for name in names:
        shutil.copy(list_images(shapes)[0], tmp_path / name)
    rows = classify(*(tmp_path / name for name in names))
    assert [row["file_name"] for row in rows] == [(tmp_path / name).as_posix() for name in names]


def make_result() -> ImageClassification:
    """Make the result of a network that prefers b to a."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    return ImageClassification(Classification(torch.tensor([0.25, 0.75])), ("a", "b"), InputImage(pixels), (8, 8))


def test_a_file_name_that_is_not_text_keeps_its_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    with ClassificationWriter(PredictionJob(("a", "b"), tmp_path, PredictOptions(Path("run")))) as writer:
        writer.write(make_result(), frame_of(name))
    (row,) = read_rows(tmp_path / "predictions.csv")
    assert row["file_name"] == name


def test_rows_replace_earlier_results_once_complete(tmp_path: Path) -> None:
    results = tmp_path / "predictions.csv"
    results.write_text("earlier")
    with ClassificationWriter(PredictionJob(("a", "b"), tmp_path, PredictOptions(Path("run")))) as writer:
        for frame in range(3):
            timestamp = Timestamp(frame, frame / 4, 4.0)
            writer.write(make_result(), frame_of("x.mp4", timestamp))
        assert results.read_text() == "earlier"
    expected = [f"x.mp4,{frame},{frame / 4},b,0.75,a,0.25" for frame in range(3)]
    assert results.read_text().splitlines()[1:] == expected
    assert list(tmp_path.iterdir()) == [results]


def test_unreadable_images_are_named_and_skipped(
    shapes: Path, tmp_path: Path, classify: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    rows = classify(tmp_path / "a.jpg", list_images(shapes)[0], list_images(shapes)[1])
    assert [row["file_name"] for row in rows] == [path.as_posix() for path in list_images(shapes)[:2]]
    said = capsys.readouterr()
    assert f"{tmp_path / 'a.jpg'} cannot be read as an image" in said.err
    assert f"1 file ({tmp_path / 'a.jpg'})." in said.out


def test_captions_are_below_the_image_and_obey_the_score(
    shapes: Path, tmp_path: Path, classify: Callable[..., Rows]
) -> None:
    path = tmp_path / "x.png"  # a lossless format
    cv2.imwrite(str(path), cv2.imread(str(list_images(shapes)[0])))
    height, width = read_image_size(path)
    (everything,) = classify(path, "--score=0")
    captions = []
    for score in ("0", "1"):
        assert classify(path, f"--score={score}") == [everything], "the score affects drawings only"
        result = read_image(tmp_path / "out" / "x.png")
        assert np.array_equal(result[:height, :width], read_image(path))
        captions.append(result[height:])
    assert captions[0].shape == captions[1].shape
    first, others = np.split(captions[1], [len(captions[1]) // 3])
    assert np.array_equal(first[:-4], captions[0][: len(first) - 4]), "the best class is always named"
    assert (captions[0][len(first) :] > 200).any() and not (others > 200).any()


def test_without_images_only_csv_is_written(shapes: Path, tmp_path: Path, classify: Callable[..., Rows]) -> None:
    classify(shapes / "val", write_video(tmp_path / "film.avi"), "--draw=false")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]
    assert list_media(tmp_path / "out") == []


def test_annotations_need_a_detector(
    classifier: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shapes / "annotations" / "instances_val.json"
    words = [shapes / "val", "--annotations", file, "--out", tmp_path / "out"]
    said = get_refusal("predict", "--run", str(classifier), *map(str, words), capsys=capsys)
    assert f"--annotations can only be used with a detector, but {classifier} is a classifier." in said
    assert not (tmp_path / "out").exists()
