"""The benchmark compares equal networks, and its intervals have the stated coverage."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest
import torch

from litmobile.heads.predictions import Detections
from litmobile.tools.benchmark.classification import CLASSIFICATION
from litmobile.tools.benchmark.command import main
from litmobile.tools.benchmark.comparisons import SIDES
from litmobile.tools.benchmark.deployment import DEPLOYMENT
from litmobile.tools.benchmark.detection import DETECTION, make_output
from litmobile.tools.benchmark.evaluation import EVALUATION
from litmobile.tools.benchmark.measurement import SideProcesses, Summary, serve, time_step
from litmobile.tools.benchmark.prepared.gpu import Plan, run
from litmobile.tools.benchmark.reading import READING, draw_boxes, draw_photo
from litmobile.tools.benchmark.segmentation import SEGMENTATION
from litmobile.tools.benchmark.sides import BACKBONES, Setting
from litmobile.tools.profile.counts import without_values
from support.families import count_parameters

PEERS = {name: pair for name, pair in BACKBONES.items() if None not in pair}


@pytest.mark.parametrize("pair", PEERS.values(), ids=PEERS)
def test_both_sides_are_the_same_network(pair) -> None:
    with without_values():
        ours, theirs = (make() for make in pair)
        assert count_parameters(ours) == count_parameters(theirs)


def test_summary_gives_medians_rates_and_paired_ratio() -> None:
    line = str(Summary.of([[10.0, 20.0, 30.0], [20.0, 20.0, 20.0]], batch=2))
    for figure in ("20.0 ms", "100.0 images/s", "ratio 1.000 (0.500 to 1.500)"):
        assert figure in line
    assert "ratio" not in str(Summary.of([[10.0]], batch=2))


@pytest.mark.slow
def test_sides_take_turns_in_separate_processes() -> None:
    with SideProcesses("shufflenet_v2-forward", Setting(1, "cpu", "32", False), threads=1) as sides:
        times = sides.measure(steps=2, warmup=0)
    assert [len(taken) for taken in times] == [2, 2]
    assert all(taken > 0 for side in times for taken in side)


def test_a_side_that_runs_out_of_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(setting: Setting) -> Callable[[], object]:
        def step() -> object:
            raise torch.OutOfMemoryError("too large")

        return step

    monkeypatch.setitem(SIDES, "large", (prepare, None))
    ours, theirs = multiprocessing.Pipe()
    for request in (time_step, time_step, None):
        ours.send(request)
    serve(theirs, "large", 0, Setting(1, "cpu", "32", False), torch.get_num_threads())
    assert [str(ours.recv()) for _ in range(2)] == ["too large"] * 2


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        (["postprocess-spars"], "did you mean postprocess-sparse?"),
        (["--steps=0"], "0 is not a whole number from 1"),
        (["--batch=-3"], "-3 is not a whole number from 1"),
        (["--device=abacus"], "no device abacus"),
    ],
    ids=str,
)
def test_wrong_options_are_named(
    words: list[str], mentioned: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", *words])
    with pytest.raises(SystemExit):
        main()
    assert mentioned in capsys.readouterr().err


@pytest.mark.slow
def test_prepared_script_compares_and_trains(capsys: pytest.CaptureFixture[str]) -> None:
    """On a CPU, with time for one comparison; a GPU only adds its calls."""
    run("cpu", threads=1, plan=Plan(steps=1, comparison_seconds=1, training_seconds=5, images=64, batches=(2,)))
    text = capsys.readouterr().out
    assert "| postprocess-dense | 32 | 32 |" in text
    assert text.count("no time left") == 5
    assert "steps in 5 s, AP 0." in text


def test_every_family_is_compared_forward_and_in_training() -> None:
    compared = {f"{name}-{what}" for name in BACKBONES for what in ("forward", "step")}
    for group in (CLASSIFICATION, DEPLOYMENT, DETECTION, EVALUATION, READING, SEGMENTATION):
        compared |= set(group)
    assert set(SIDES) == compared


def test_the_exported_side_finds_nothing_as_its_peer_does() -> None:
    """Both start from uint8 or float images and end with detections, of which there are none."""
    ours, theirs = (make(Setting(1, "cpu", "32", False)) for make in DEPLOYMENT["ssdlite-onnx"] if make)
    *_, count = cast(list[np.ndarray], ours())
    assert count.tolist() == [0]
    assert len(cast(list[dict[str, torch.Tensor]], theirs())[0]["scores"]) == 0


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_both_sides_postprocess_to_the_same_detections(kind: str) -> None:
    ours, theirs = (make(Setting(2, "cpu", "32", False))() for make in DETECTION[f"postprocess-{kind}"])
    for found, expected in zip(cast(list[Detections], ours), cast(list[dict[str, torch.Tensor]], theirs), strict=True):
        assert torch.equal(found.boxes, expected["boxes"]) and torch.equal(found.scores, expected["scores"])


def test_sparse_scores_are_those_of_a_trained_network() -> None:
    for kind, low, high in (("dense", 0.9, 1.0), ("sparse", 0.001, 0.01)):
        scores = make_output(kind, Setting(4, "cpu", "32", False)).logits.softmax(-1)[..., 1:]
        assert low < (scores > 0.001).float().mean() < high


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_both_sides_of_classification_take_a_step(name: str) -> None:
    for make in CLASSIFICATION[name]:
        make(Setting(batch=2, device="cpu", precision="32", compiled=False))()


def test_reading_benchmark_draws_photographs_of_real_file_size() -> None:
    for decay, low, high in ((0.85, 0.5, 0.65), (0.76, 0.2, 0.5)):
        photo = draw_photo(480, 640, decay, np.random.default_rng(0))
        size = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].size
        assert low < size / (480 * 640) < high  # bytes per pixel
    boxes = draw_boxes(480, 640, np.random.default_rng(0))
    assert (boxes >= 0).all() and (boxes <= [640, 480] * 2).all() and (boxes[:, :2] < boxes[:, 2:]).all()


def test_both_sides_count_the_same_pixels() -> None:
    pytest.importorskip("torchmetrics")
    ours, theirs = (make(Setting(1, "cpu", "32", False))() for make in SEGMENTATION["confusion"])
    assert isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor)
    assert torch.equal(ours, theirs) and 0 < ours.sum() < 1024 * 2048


def test_both_sides_evaluate_the_same_figures() -> None:
    ours, theirs = (make(Setting(30, "cpu", "32", False))() for make in EVALUATION["evaluation"])
    assert isinstance(ours, dict) and isinstance(theirs, dict) and 0.1 < ours["figures"]["AP"] < 0.9
    for part, values in ours.items():  # means may differ in the last bit, by NumPy's version
        assert values == {k: v and pytest.approx(v, rel=1e-12) for k, v in theirs[part].items()}
