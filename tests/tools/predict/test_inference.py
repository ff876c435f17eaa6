"""`litmobile predict` with windows, scales and flips, as in an evaluation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import litmobile
from litmobile.heads import Segmentation
from litmobile.tasks.segmentation import Inference
from litmobile.tasks.segmentation.masks import read_values
from support.cli import get_refusal
from support.predicting import Segment, list_images, make_noise, predict_labels


@pytest.mark.parametrize(
    ("words", "inference"),
    [
        (["--flip=true"], Inference(flip=True)),
        (["--scales=[0.75,1,1.25]"], Inference(scales=(0.75, 1, 1.25))),
        (["--scales", "[2]"], Inference(scales=(2,))),
        (["--window=[32,40]"], Inference(window=(32, 40))),
        (["--window=[32,40]", "--overlap=0"], Inference((32, 40), 0.0)),
        (
            ["--window=[32,40]", "--overlap=0.5", "--flip=true"],
            Inference((32, 40), 0.5, flip=True),
        ),
    ],
    ids=str,
)
def test_options_equal_those_of_an_evaluation(
    words: list[str], inference: Inference, segmenter: Path, tmp_path: Path, segment: Segment
) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), make_noise(90, 100))
    prediction = litmobile.load(segmenter).predict(tmp_path / "x.png", inference).prediction
    assert isinstance(prediction, Segmentation)
    assert prediction.scores.sum(0).allclose(torch.ones(90, 100)), "probabilities"
    labels = read_values(segment(tmp_path / "x.png", *words) / "labels" / "x.png")
    assert np.array_equal(labels, prediction.labels)
    assert not np.array_equal(labels, predict_labels(segmenter, tmp_path / "x.png")), "it makes a difference"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scales=big"], "--scales takes tuple[float, ...], not big."),
        (["--window=64"], "--window takes two whole numbers in brackets, such as [320,480], not 64."),
        (["--label_ids", "voc"], "--label_ids takes cityscapes, not voc."),
        (["--flipp"], "--flipp is not an option; did you mean --flip?"),
        (["--flp=true"], "--flp is not an option; did you mean --flip?"),
        (["--score"], "--score needs a value."),
        (["-score", "0.5"], "-score is not an option; did you mean --score?"),
        (["--out", ""], "An argument is empty: pass a value, or leave the option out."),
        (["--window=[8,64]"], "window must be (height, width) of at least 32 pixels each, not (8, 64)."),
        (["--scales=[0]"], "scales must be one or more factors above 0 and up to 8, not (0.0,)."),
        (
            ["--window=[64,64]", "--overlap=1"],
            "overlap must be at least 0 and less than 1, not 1.0.",
        ),
        (["--overlap=0.5"], "overlap is for sliding windows: set window=[HEIGHT,WIDTH], too."),
        (["--score", "0.5"], "--score can only be used with a detector or a classifier, but"),
    ],
)
def test_wrong_options_are_one_sentence(
    words: list[str], said: str, shapes: Path, segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = get_refusal("predict", "--run", str(segmenter), str(list_images(shapes)[0]), *words, capsys=capsys)
    assert said in answer and answer.strip().count("\n") == 0


@pytest.mark.parametrize("word", ["--flip=true", "--scales=[1,2]"])
def test_inference_needs_a_segmentation_network(
    word: str, shapes: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = get_refusal("predict", "--run", str(run), str(list_images(shapes)[0]), word, capsys=capsys)
    assert (
        f"--window, --scales and --flip can only be used with a segmentation network, but {run} is a detector."
        in answer
    )
