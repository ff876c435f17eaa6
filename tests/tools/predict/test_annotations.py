"""`litmobile predict --annotations` writes the ids of a COCO file, so that COCO's tools can evaluate the results."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import litmobile
from litmobile.tools.cli import main
from support.predicting import Rows, convert_to_rows, enlarge_size, list_images, read_image_size


@pytest.fixture(scope="module")
def annotated(run: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a data set whose objects are the run's best detections, shifted a little, with irregular ids."""
    root = tmp_path_factory.mktemp("data") / "annotated"
    shutil.copytree(shapes / "val", root / "val")
    network = litmobile.load(run)
    random = np.random.default_rng(0)
    content: dict[str, Rows] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 10 + 3 * k, "name": name} for k, name in enumerate(network.classes)],
    }
    for number, path in enumerate(reversed(list_images(shapes))):
        height, width = read_image_size(path)
        image = {"id": 100 + 7 * number, "file_name": path.name, "height": height, "width": width}
        content["images"].append(image)
        for row in convert_to_rows(network.predict(path))[:40:8]:
            x, y, w, h = (np.array(row["bbox"]) + random.uniform(0, 3, 4)).tolist()
            w, h = min(w, width - x), min(h, height - y)  # what exceeds its image would be clipped in training
            truth = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": 7 + 3 * row["category_id"]}
            content["annotations"].append({"id": len(content["annotations"]) + 1, "image_id": image["id"], **truth})
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return root


def test_pycocotools_gives_the_figures_of_validate(
    run: Path, annotated: Path, tmp_path: Path, predict: Callable[..., Rows]
) -> None:
    file = annotated / "annotations" / "instances_val.json"
    rows = predict(annotated / "val", "--annotations", file)
    assert {row["file_name"] for row in rows} == {path.name for path in list_images(annotated)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    main(["validate", "--run", str(copy), f"--data.root={annotated}"])
    figures = json.loads((copy / "val.json").read_text())["figures"]
    assert figures["AP"] > 0.1
    expected = [-1 if value is None else value for value in figures.values()]
    assert evaluation.stats.tolist() == pytest.approx(expected, abs=1e-6)


def test_images_are_read_with_their_annotated_size(
    annotated: Path, tmp_path: Path, predict: Callable[..., Rows]
) -> None:
    content = json.loads((annotated / "annotations" / "instances_val.json").read_text())
    record = content["images"][0]
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(annotated / "val" / record["file_name"]) as image:
        image.save(tmp_path / record["file_name"], exif=exif)
    predict(tmp_path / record["file_name"], "--annotations", annotated / "annotations" / "instances_val.json")
    assert read_image_size(tmp_path / "out" / record["file_name"]) == enlarge_size((record["height"], record["width"]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content["images"].pop(), "000001.jpg is not one of the images of "),
        (lambda content: content["categories"].pop(2), "has no category 'square', which the network predicts."),
        (lambda content: content.pop("images"), "it needs a list of records under 'images'"),
    ],
)
def test_annotations_of_other_data_are_refused(
    change: Callable[[Any], Any], sentence: str, annotated: Path, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    content = json.loads((annotated / "annotations" / "instances_val.json").read_text())
    change(content)
    (tmp_path / "mine.json").write_text(json.dumps(content))
    answer = refuse("--out", tmp_path / "out", annotated / "val", "--annotations", tmp_path / "mine.json")
    assert sentence in answer
    assert not (tmp_path / "out").exists()


def test_two_files_for_one_image_are_refused(annotated: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    shutil.copy(annotated / "val" / "000001.jpg", tmp_path)
    file = annotated / "annotations" / "instances_val.json"
    answer = refuse(annotated / "val", tmp_path, "--annotations", file, "--out", tmp_path / "out")
    assert f"{tmp_path / '000001.jpg'} are both the image 000001.jpg of " in answer
