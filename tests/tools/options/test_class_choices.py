"""An unknown class: what the option knows for the task, and the most similar name."""

from __future__ import annotations

import pytest

from litmobile.backbones.effnet import PeerMobileNet
from litmobile.tasks.schedule import Cosine
from support.cli import get_refusal

DETECT = ("fit", "--config", "detection/ssdlite_shapes", "--data.root=x")
CLASSIFY = ("fit", "--config", "classification/finetune", "--data.root=x")


@pytest.mark.parametrize(
    ("flag", "known", "similar"),
    [
        ("--data=YoloDetectio", "CocoDetection, FolderDetection, VocDetection", "CocoDetection"),
        ("--model=DetectionTsk", "ClassificationTask, DetectionTask, SegmentationTask", "DetectionTask"),
        ("--model.backbone=MobileNetV4", "EffNet, MobileNetV1, MobileNetV2, MobileNetV3, MobileViT, ", "MobileNetV3"),
        ("--model.head=SSDLit", "MobileViTSSDLite, SSDLite", "SSDLite"),
        ("--model.optimizer=AdamV", "AdamW, ", "Adam"),
        ("--model.schedule=Cosin", "Cosine, Exponential, ", "Cosine"),
        ("--data.augmentation=SSDAugment", "Resize, SSDAugmentation", "SSDAugmentation"),
        ("--trainer.callbacks+=EarlyStoping", "EarlyStopping, EvaluationWriter, ", "EarlyStopping"),
        ("--trainer.logger=CSVLoger", "CSVLogger, ", "CSVLogger"),
    ],
)
def test_an_unknown_class_lists_the_known(
    flag: str, known: str, similar: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = get_refusal(*DETECT, flag, capsys=capsys)
    option, _, name = flag.replace("+=", "=").partition("=")
    assert f"{option}: there is no class {name}; choose among " in message
    assert known in message and message.strip().endswith(f"did you mean {similar}?")
    assert PeerMobileNet.__name__ not in message  # packages do not export it


class Outer:
    """Contains a class that has no path of its own module."""

    class Inner(Cosine):
        """A schedule inside another class."""


def test_classes_inside_others_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Cosine, Exponential, " in get_refusal(*DETECT, "--model.schedule=Cosin", capsys=capsys)


def test_the_known_classes_are_for_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    message = get_refusal(*CLASSIFY, "--data=Folder", capsys=capsys)
    assert "FolderClassification" in message and "ListClassification" in message
    assert "CocoDetection" not in message and "FolderSegmentation" not in message
    message = get_refusal("fit", "--data=Folder", capsys=capsys)
    assert "CocoDetection" in message and "FolderSegmentation" in message
