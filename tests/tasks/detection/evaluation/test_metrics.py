"""COCO's figures: equal to published ones, and defined for every data set that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litmobile.tasks.detection.evaluation.metrics import FIGURES, CocoEvaluator
from litmobile.tasks.detection.formats.coco import read_coco
from litmobile.tasks.detection.formats.parsing.json_files import read_json

Content = dict[str, Any]
WriteCoco = Callable[..., tuple[Path, Path]]


def add(evaluator: CocoEvaluator, image_id: int, rows: list[dict[str, Any]], score: float | None = None) -> None:
    """Adds ``rows``, each with a COCO bbox, as the detections of an image."""
    boxes = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([row["score"] if score is None else score for row in rows])
    evaluator.add(image_id, boxes, scores, np.array([row["category_id"] for row in rows], dtype=np.int64))


def with_perfect_detections(file: Path) -> CocoEvaluator:
    """An evaluator with every object of the file as a detection, except crowds and boxes that are NaN."""
    content = json.loads(file.read_text())
    evaluator = CocoEvaluator(read_json(file))
    for image in content["images"]:
        rows = [row for row in content["annotations"] if row["image_id"] == image["id"] and not row.get("iscrowd")]
        found = [row for row in rows if np.isfinite(row["bbox"]).all()]
        add(evaluator, image["id"], found, score=0.9)
    return evaluator


def assert_perfect(evaluator: CocoEvaluator) -> None:
    result = evaluator.compute()
    assert result.figures["AP"] == pytest.approx(1)
    assert result.figures["AR_100"] == pytest.approx(1)
    assert all(value is None or value == pytest.approx(1) for value in result.per_class["AP"].values())


def test_published_figures_are_reproduced(real_data: Path) -> None:
    folder = real_data / "coco_eval"
    table = (folder / "val2014_fake_eval_res.txt").read_text().partition("type=bbox")[2].partition("type=")[0]
    published = [float(value) for value in re.findall(r"\] = ([\d.]+)", table)]
    assert len(published) == len(FIGURES) == 12
    truth = folder / "instances_val2014_100.json"
    found = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    evaluator = CocoEvaluator(read_json(truth))
    for image in json.loads(truth.read_text())["images"]:
        add(evaluator, image["id"], [row for row in found if row["image_id"] == image["id"]])
    result = evaluator.compute()
    assert {name: round(value, 3) for name, value in result.figures.items()} == dict(
        zip(FIGURES, published, strict=True)
    )
    there = [value for value in result.per_class["AP"].values() if value is not None]
    assert len(result.per_class["AP"]) == 80
    assert np.mean(there) == pytest.approx(result.figures["AP"])


def test_perfect_detections_score_1(content: Content, write_coco: WriteCoco) -> None:
    evaluator = with_perfect_detections(write_coco(content)[0])
    assert_perfect(evaluator)
    assert set(evaluator.compute().per_class["AP"]) == {"nine", "zero", "four"}


def test_real_objects_as_detections_score_1(real_data: Path) -> None:
    assert_perfect(with_perfect_detections(real_data / "coco_tiny" / "annotations" / "instances_val2017.json"))


def test_generated_objects_as_detections_score_1(shapes: Path) -> None:
    assert_perfect(with_perfect_detections(shapes / "annotations" / "instances_val.json"))


# ways to write the same data; none of them changes a figure
SPELLINGS: dict[str, Callable[[Content], Any]] = {
    "no area": lambda c: [row.pop("area") for row in c["annotations"]],
    "no iscrowd": lambda c: [row.pop("iscrowd") for row in c["annotations"] if not row["iscrowd"]],
    "iscrowd null": lambda c: [row.update(iscrowd=None) for row in c["annotations"] if not row["iscrowd"]],
    "iscrowd false": lambda c: [row.update(iscrowd=bool(row["iscrowd"])) for row in c["annotations"]],
    "no annotation ids": lambda c: [row.pop("id") for row in c["annotations"]],
    "annotation ids from 0": lambda c: [row.update(id=k) for k, row in enumerate(c["annotations"])],
    "equal annotation ids": lambda c: [row.update(id=5) for row in c["annotations"]],
    "annotation ids that are strings": lambda c: [row.update(id=f"object {row['id']}") for row in c["annotations"]],
    "one annotation without id": lambda c: c["annotations"][1].pop("id") and c["annotations"][0].update(id=2),
    "category without a name": lambda c: c["categories"][0].pop("name"),
    "no info": lambda c: c.pop("info", None),
    "info": lambda c: c.update(info={"year": 2026}, licenses=[]),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_every_file_that_can_be_read_can_be_evaluated(
    content: Content, write_coco: WriteCoco, spell: Callable[[Content], Any]
) -> None:
    spell(content)
    file, folder = write_coco(content)
    read_coco(file, folder)
    assert_perfect(with_perfect_detections(file))


@pytest.mark.parametrize("ids", [[0, 1, 2], [1, 2, 3], [7, 0, 10**12]], ids=str)
@pytest.mark.parametrize("what", ["images", "categories"])
def test_any_integer_ids_are_evaluated(content: Content, write_coco: WriteCoco, what: str, ids: list[int]) -> None:
    renamed = {record["id"]: key for record, key in zip(content[what], ids, strict=True)}
    for record in content[what]:
        record["id"] = renamed[record["id"]]
    key = {"images": "image_id", "categories": "category_id"}[what]
    for row in content["annotations"]:
        row[key] = renamed[row[key]]
    assert_perfect(with_perfect_detections(write_coco(content)[0]))


def test_crowds_and_empty_images_count_as_in_coco(content: Content, write_coco: WriteCoco) -> None:
    evaluator = with_perfect_detections(write_coco(content)[0])
    inside_crowd = {"bbox": [0, 0, 20, 20], "score": 0.99, "category_id": 0}
    add(evaluator, 7, [{**content["annotations"][1], "score": 0.9}, inside_crowd])
    assert_perfect(evaluator)
    add(evaluator, 3, [dict(inside_crowd, category_id=9)])  # a false alarm on the image without objects
    result = evaluator.compute()
    assert result.per_class["AP"]["nine"] == pytest.approx(0.5)
    assert result.per_class["AP"]["zero"] == result.per_class["AP"]["four"] == pytest.approx(1)


def test_figures_without_detections_are_0(content: Content, write_coco: WriteCoco) -> None:
    evaluator = CocoEvaluator(read_json(write_coco(content)[0]))
    for image in content["images"]:
        add(evaluator, image["id"], [])
    result = evaluator.compute()
    assert set(result.per_class["AP"].values()) == {0}
    assert {value for value in result.figures.values() if value is not None} == {0}
    assert result.figures["AP"] == 0


def test_undefined_figures_are_none(content: Content, write_coco: WriteCoco) -> None:
    content["categories"].append({"id": 5, "name": "never seen"})
    result = with_perfect_detections(write_coco(content)[0]).compute()
    assert result.figures["AP_small"] == pytest.approx(1)
    assert result.figures["AP_large"] is None and result.figures["AR_large"] is None
    assert result.per_class["AP"]["never seen"] is None
    assert json.loads(json.dumps(result.as_json()))["figures"]["AP_large"] is None
    table = str(result).splitlines()
    assert "AP_large    –" in table
    assert "AP          1.000" in table
    assert table[12:] == ["", "AP per class", *(f"{name:<10}  1.000" for name in ("zero", "four")), *table[-2:]]
    assert {line.split("  ")[0] for line in table[-2:]} == {"never seen", "nine"}


@pytest.mark.parametrize("images", [0, 1])
def test_all_figures_are_none_without_objects(content: Content, write_coco: WriteCoco, images: int) -> None:
    content["annotations"] = []
    evaluator = CocoEvaluator(read_json(write_coco(content)[0]))
    for image in content["images"][:images]:
        add(evaluator, image["id"], [{"bbox": [0, 0, 9, 9], "score": 0.5, "category_id": 9}])
    result = evaluator.compute()
    assert set(result.figures.values()) == set(result.per_class["AP"].values()) == {None}


def test_only_added_images_count(content: Content, write_coco: WriteCoco) -> None:
    evaluator = CocoEvaluator(read_json(write_coco(content)[0]))
    add(evaluator, 7, [{**content["annotations"][1], "score": 0.9}])
    result = evaluator.compute()
    assert result.figures["AP"] == pytest.approx(1)
    assert result.per_class["AP"]["nine"] == pytest.approx(1)
    assert result.per_class["AP"]["four"] is None


def test_an_image_added_twice_counts_once(content: Content, write_coco: WriteCoco) -> None:
    evaluator = with_perfect_detections(write_coco(content)[0])
    for image in content["images"]:
        found = [r for r in content["annotations"] if r["image_id"] == image["id"] and not r["iscrowd"]]
        add(evaluator, image["id"], found, score=0.9)
    assert_perfect(evaluator)
    evaluator.reset()
    assert evaluator.compute().figures["AP"] is None


def test_degenerate_boxes_do_not_stop_the_evaluation(content: Content, write_coco: WriteCoco) -> None:
    for key, bbox in enumerate(([float("nan"), 0, 5, 5], [0, 0, 0, 0], [-50, -50, 5, 5], [10, 10, 500, 500]), 50):
        content["annotations"].append({"id": key, "image_id": 7, "category_id": 4, "bbox": bbox})
    result = with_perfect_detections(write_coco(content)[0]).compute()
    assert result.per_class["AP"]["nine"] == result.per_class["AP"]["zero"] == pytest.approx(1)
    assert 0 < result.per_class["AP"]["four"] <= 1 + 1e-9


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, list], ids=["arrays", "tensors", "lists"])
def test_detections_of_any_type_are_added(kind: Callable[..., Any], content: Content, write_coco: WriteCoco) -> None:
    found = [r for r in content["annotations"] if r["image_id"] == 7 and not r["iscrowd"]]
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (r["bbox"] for r in found)]
    evaluator = CocoEvaluator(read_json(write_coco(content)[0]))
    evaluator.add(7, kind(boxes), kind([0.5] * len(found)), kind([r["category_id"] for r in found]))
    assert evaluator.compute().figures["AP"] == pytest.approx(1)


def test_boxes_of_negative_size_do_not_wrap_around(content: Content, write_coco: WriteCoco) -> None:
    evaluator = CocoEvaluator(read_json(write_coco(content)[0]))
    evaluator.add(7, np.array([[30, 30, 10, 10]], dtype=np.uint8), [0.5], [4])
    assert evaluator.detections[evaluator.ground_truth.image_index(7)][0, 2:4].tolist() == [-20, -20]


def test_evaluating_does_not_change_the_file(content: Content, write_coco: WriteCoco) -> None:
    for row in content["annotations"]:
        del row["area"]
    file, _ = write_coco(content)
    before = file.read_bytes()
    with_perfect_detections(file).compute()
    assert file.read_bytes() == before
