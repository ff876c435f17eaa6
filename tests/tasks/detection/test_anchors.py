"""Anchors that the training objects decide, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.backbones import MobileNetV2
from litmobile.errors import TaskError
from litmobile.heads import Classifier, SSDLite
from litmobile.heads.contract import HeadFactory
from litmobile.tasks.detection import CocoDetection, DetectionSplit
from litmobile.tasks.detection.anchors import choose_anchors, replace_head
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from support.cli import get_refusal

PREPROCESSING = Preprocessing((64, 64))


@pytest.fixture(scope="module")
def split(shapes: Path) -> DetectionSplit:
    return CocoDetection(str(shapes)).read_stored("train")


def build(head: HeadFactory = SSDLite) -> Network:
    return Network(MobileNetV2(0.35), head, ["a"] * 6, PREPROCESSING, role="detection")


def test_choice_is_deterministic_and_best(split: DetectionSplit, caplog: pytest.LogCaptureFixture) -> None:
    network = build()
    chosen = choose_anchors(network, split, PREPROCESSING)
    assert chosen == choose_anchors(build(), split, PREPROCESSING)
    assert network.training
    replace_head(network, SSDLite, chosen)
    assert network.head.arguments["anchor_scales"] == chosen["anchor_scales"]
    with caplog.at_level("INFO"):
        assert choose_anchors(network, split, PREPROCESSING) == {}
    assert "Anchors: no better ones than the head's own were found; " in caplog.text


def test_head_without_anchors_is_refused(split: DetectionSplit, assert_one_sentence) -> None:
    with pytest.raises(TaskError) as refused:
        choose_anchors(build(Classifier), split, PREPROCESSING)
    assert_one_sentence(refused.value, "Classifier has no anchors to choose: set --model.anchors=null.")


def test_evaluation_without_training_data_is_refused(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config=detection/finetune", f"--data.root={shapes}", "--trainer.accelerator=cpu"]
    assert "anchors=auto needs training data" in get_refusal("validate", *words, capsys=capsys)
