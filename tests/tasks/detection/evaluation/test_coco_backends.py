"""hotcoco and pycocotools give the same figures; what cannot be evaluated is named."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from litmobile.backbones import MobileNetV2
from litmobile.errors import EvaluationError, PredictionError, UserError
from litmobile.tasks.detection import CocoDetection, DetectionTask
from litmobile.tasks.detection.evaluation.coco_backends import BackendChoice
from litmobile.tasks.detection.evaluation.metrics import CocoEvaluator
from litmobile.tasks.preprocessing import Preprocessing
from support.data.coco import CASES, Content, Records, add_detections, compute_reference, make_coco
from support.distributed_evaluation import WORLDS, evaluate_detections, evaluate_in_processes

OneSentence = Callable[..., None]

BACKENDS: tuple[BackendChoice, ...] = ("hotcoco", "pycocotools")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> BackendChoice:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def assert_equals_reference(
    content: Content, detections: Records, image_ids: list[int], backend: BackendChoice
) -> dict[str, Any]:
    expected = compute_reference(content, detections, image_ids)
    evaluator = CocoEvaluator(content, backend)
    add_detections(evaluator, image_ids, detections)
    found = evaluator.compute().as_json()
    for table, values in expected.items():
        assert list(found[table]) == list(values)
        ours, theirs = (np.array([*row.values()], dtype=np.float64) for row in (found[table], values))  # None is NaN
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_figures_equal_pycocotools(case: dict[str, Any], seed: int, backend: BackendChoice) -> None:
    content, detections = make_coco(seed, **case)
    assert_equals_reference(content, detections, [image["id"] for image in content["images"]], backend)


def test_figures_of_some_images_equal_pycocotools(backend: BackendChoice) -> None:
    content, detections = make_coco(0, crowds=0.1)
    assert_equals_reference(content, detections, [5, 2, 3], backend)


def test_real_figures_equal_pycocotools(real_data: Path, backend: BackendChoice) -> None:
    folder = real_data / "coco_eval"
    content = json.loads((folder / "instances_val2014_100.json").read_text())
    detections = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    image_ids = [image["id"] for image in content["images"]]
    found = assert_equals_reference(content, detections, image_ids, backend)
    assert found["figures"]["AP"] == pytest.approx(0.505, abs=5e-4)
    assert len(found["AP_per_class"]) == 80
    assert_equals_reference(content, detections, image_ids[::3], backend)


def test_images_without_detections_miss_their_objects(backend: BackendChoice) -> None:
    content, _ = make_coco(0, classes=1)
    evaluator = CocoEvaluator(content, backend)
    add_detections(evaluator, [1, 2], [])
    result = evaluator.compute()
    assert result.figures["AP"] == result.per_class["AP"]["class 0"] == 0


def test_no_image_has_no_figures(backend: BackendChoice) -> None:
    result = CocoEvaluator(make_coco(0)[0], backend).compute()
    assert {*result.figures.values(), *result.per_class["AP"].values()} == {None}
    assert len(result.figures) == 12 and len(result.per_class["AP"]) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("what", ["scores", "boxes"])
def test_values_that_are_not_finite_are_named(what: str, value: float, assert_one_sentence: OneSentence) -> None:
    evaluator = CocoEvaluator(make_coco(0)[0])
    arrays = {"boxes": np.ones((2, 4)), "scores": np.ones(2), "category_ids": np.ones(2, dtype=np.int64)}
    arrays[what].flat[1] = value
    with pytest.raises(EvaluationError) as caught:
        evaluator.add(3, **arrays)
    assert_one_sentence(caught.value, what, "image 3 (2.png)", "NaN")
    assert not evaluator.detections


def test_weights_that_are_nan_are_named(shapes: Path, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    class Spoil(Callback):
        def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            for parameter in pl_module.network.head.parameters():
                parameter.data.fill_(math.nan)

    task = DetectionTask(MobileNetV2(0.35), preprocessing=Preprocessing((64, 64)))
    data = CocoDetection(str(shapes), val="val", num_workers=0)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    with pytest.raises(PredictionError) as caught:
        Trainer(default_root_dir=tmp_path, callbacks=[Spoil()], **quiet).validate(task, data, verbose=False)
    assert_one_sentence(caught.value, "scores", "NaN")


UNFIT: dict[str, tuple[int, tuple[int, ...], int, int, str]] = {
    "unknown image": (7, (1, 4), 1, 1, "Image 7"),
    "unknown category": (1, (1, 4), 1, 9, "Category 9"),
    "boxes without scores": (1, (2, 4), 1, 1, "(2, 4)"),
    "boxes of five values": (1, (1, 5), 1, 1, "(1, 5)"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_detections_that_do_not_fit_are_named(case: str, assert_one_sentence: OneSentence) -> None:
    image_id, shape, count, category_id, mentioned = UNFIT[case]
    evaluator = CocoEvaluator(make_coco(0)[0])
    with pytest.raises(EvaluationError) as caught:
        evaluator.add(image_id, np.zeros(shape), np.zeros(count), np.full(count, category_id))
    assert_one_sentence(caught.value, mentioned)


def test_the_chosen_evaluator_is_used(shapes: Path) -> None:
    data = CocoDetection(str(shapes), val="val", evaluator="pycocotools")
    data.setup("validate")
    assert data.build_evaluator("val").backend == "pycocotools"


def test_without_hotcoco_pycocotools_evaluates(
    monkeypatch: pytest.MonkeyPatch, shapes: Path, assert_one_sentence: OneSentence
) -> None:
    monkeypatch.setitem(sys.modules, "hotcoco", None)  # as if it were not installed
    content, detections = make_coco(0)
    assert CocoEvaluator(content).backend == "pycocotools"
    assert_equals_reference(content, detections, [1, 2], "auto")
    for ask in (lambda: CocoEvaluator(content, "hotcoco"), lambda: CocoDetection(str(shapes), evaluator="hotcoco")):
        with pytest.raises(UserError) as caught:
            ask()
        assert_one_sentence(caught.value, "pip install hotcoco", "pycocotools")


def test_an_unknown_evaluator_is_refused(assert_one_sentence: OneSentence) -> None:
    with pytest.raises(UserError) as caught:
        CocoEvaluator(make_coco(0)[0], "hotcoca")  # type: ignore[arg-type]
    assert_one_sentence(caught.value, "auto, hotcoco or pycocotools", "hotcoca")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which each of several processes wrote its figures."""
    folder = tmp_path_factory.mktemp("together")
    evaluate_in_processes(folder, evaluate_detections)
    return folder


@pytest.mark.parametrize("world", WORLDS)
def test_several_processes_give_the_figures_of_one(world: int, together: Path) -> None:
    alone = evaluate_detections(0, 1)
    assert 0 < alone["figures"]["AP"] < 1
    for rank in range(world):
        assert json.loads((together / f"{world}-{rank}.json").read_text()) == alone
