"""A user's mistake is one sentence; a bug keeps its type and its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from litmobile.backbones import MobileNetV2
from litmobile.errors import UserError, check_range, format_count
from litmobile.tools import sample_data, training
from litmobile.tools.cli import main
from support.cli import get_refusal


class BuggyBackbone(MobileNetV2):
    """Fails in its constructor because of a bug."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        raise ValueError("a bug")


class StrictBackbone(MobileNetV2):
    """Refuses its option with an error for the user."""

    def __init__(self, width: float = 1.0) -> None:
        raise UserError(f"width must be 2, not {width}.")


WORDS = ["fit", "--model=DetectionTask", "--data=CocoDetection", "--data.root=x"]


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(sample_data, "write_shapes", fail)
    with pytest.raises(ValueError, match="a bug"):
        main(["sample-data"])


def test_a_bug_in_a_constructor_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match=r"^a bug$") as caught:
        main([*WORDS, f"--model.backbone={__name__}.BuggyBackbone"])
    assert not isinstance(caught.value, UserError)
    assert caught.traceback[-1].path.name == "test_errors.py"


def test_a_refusal_in_a_constructor_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, f"--model.backbone={__name__}.StrictBackbone"]
    assert get_refusal(*words, capsys=capsys).strip() == "litmobile: width must be 2, not 1.0."


def test_traceback_of_a_refusal_is_printed_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITMOBILE_TRACEBACK", "1")
    with pytest.raises(UserError, match="There is no configuration"):
        main(["fit", "--config", "nothing"])


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("--seed_everything=-1", "--seed_everything: -1 is not in bounds"),
        ("--model.backbone=MobileNetV2", "There is not enough memory"),
        ("--model.preprocessing.size=[99999,99999]", "preprocessing.size must have at most"),
        ("--model.backbone.norm_eps=-1", "norm_eps must be greater than 0"),
    ],
)
def test_extreme_values_are_one_sentence(
    word: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")

    if "memory" in reason:
        monkeypatch.setattr(training, "run", fail)
        monkeypatch.setattr(training, "fit", fail)
    message = get_refusal(*WORDS, "--model.backbone=MobileNetV2", word, capsys=capsys).strip().splitlines()[-1]
    assert message.startswith(("litmobile: ", "1 litmobile: ")) and reason in message and message.endswith(".")


@pytest.mark.parametrize(
    ("limits", "value", "words"),
    [
        ({"ge": 0, "lt": 1}, 1, "x must be at least 0 and less than 1, not 1."),
        ({"gt": 0}, 0, "x must be greater than 0, not 0."),
        ({"ge": 0, "le": 1}, float("nan"), "x must be at least 0 and at most 1, not nan."),
        ({"ge": 1}, None, "x must be at least 1, not None."),
    ],
)
def test_a_value_out_of_range_is_named(limits: dict[str, float], value: float | None, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_range("x", value, **limits)
    assert str(caught.value) == words


def test_values_in_range_pass() -> None:
    check_range("x", 0, ge=0, lt=1)
    check_range("x", 5)


@pytest.mark.parametrize(
    ("number", "things", "text"),
    [
        (0, "images", "0 images"),
        (1, "images in annotations", "1 image in annotations"),
        (1, "missing boxes", "1 missing box"),
        (1, "classes", "1 class"),
        (1, "categories", "1 category"),
        (1, "sizes read from the images", "1 size read from the images"),
        (1200, "files", "1,200 files"),
    ],
)
def test_one_thing_is_counted_in_the_singular(number: int, things: str, text: str) -> None:
    assert format_count(number, things) == text


@pytest.mark.parametrize(("command", "split"), [("validate", "val"), ("test", "test")])
def test_an_evaluation_of_no_images_is_refused(
    command: str, split: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs without validation have this limit in their configuration."""
    data = ["--data.test=val"] if split == "test" else []
    option = f"--trainer.limit_{split}_batches"
    refusal = get_refusal(command, "--run", str(run), *data, f"{option}=0", capsys=capsys)
    assert f"pass {option}=1.0" in refusal
