"""`litmobile compare` reads result files of any program, and names what is wrong in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tools.cli import main
from support.data.coco import Content, Records, make_coco

FAST = ["--resamples=200"]


@pytest.fixture
def results(tmp_path: Path) -> Callable[[str, Any], Path]:
    """A function that writes detections for the annotations in ``truth.json`` to a file."""
    content, _ = make_coco(0, images=40, objects=150)
    (tmp_path / "truth.json").write_text(json.dumps(content))

    def write(name: str, detections: Any) -> Path:
        (tmp_path / name).write_text(json.dumps(detections))
        return tmp_path / name

    return write


def find_objects(truth: Path, share: float) -> Records:
    """Return detections of a share of the objects, and as many wrong ones as are missed."""
    content: Content = json.loads(truth.read_text())
    random = np.random.default_rng(0)
    objects = [row for row in content["annotations"] if row["bbox"][2] > 0]
    keys = ("image_id", "category_id")
    return [
        {
            **{key: row[key] for key in keys},
            "bbox": row["bbox"] if random.random() < share else [500, 500, 9, 9],
            "score": random.random(),
        }
        for row in objects
    ]


def test_detections_of_any_program_are_compared(
    results: Callable[[str, Any], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, shares = tmp_path / "truth.json", {"a": 0.9, "b": 0.4}
    files = [results(f"{name}.json", find_objects(truth, share)) for name, share in shares.items()]
    words = [*files, results("none.json", []), "--annotations", truth]
    main(["compare", *map(str, words), *FAST])
    text = capsys.readouterr().out
    assert text.startswith("a is better than b by 0.")
    assert "b is better than none" in text


RECORD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
NOT_FINITE = (float("nan"), float("inf"), -float("inf"), 10**400)

WRONG: dict[str, tuple[Any, str]] = {
    "unknown image": ([RECORD, {**RECORD, "image_id": 999}], "record 1 has the image_id 999, which is not in"),
    "unknown category": ([{**RECORD, "category_id": 999}], "record 0 has the category_id 999, which is not in"),
    "unknown huge id": ([{**RECORD, "image_id": 2**60}], f"record 0 has the image_id {2**60}, which is not in"),
    "id of too many bits": ([{**RECORD, "image_id": 2**70}], f"image_id {2**70}; it must be an integer"),
    "id as text": ([{**RECORD, "image_id": "1"}], "record 0 has the image_id '1'; it must be an integer"),
    "id with a fraction": ([{**RECORD, "image_id": 1.5}], "record 0 has the image_id 1.5; it must be an integer"),
    "id as flag": ([{**RECORD, "category_id": True}], "of image 1 has the category_id True; it must be an integer"),
    **{
        f"score {str(value)[:4]}": ([RECORD, {**RECORD, "score": value}], "record 1 of image 1 has the score ")
        for value in (*NOT_FINITE, "0.5", None, [0.5])
    },
    **{
        f"side {str(value)[:4]}": ([{**RECORD, "bbox": [1, 2, value, 4]}], "record 0 of image 1 has the bbox [1, 2, ")
        for value in (*NOT_FINITE, 1e300, "3", None)
    },
    "three sides": ([{**RECORD, "bbox": [1, 2, 3]}], "bbox [1, 2, 3]; it must be [x, y, width, height]"),
    "box as text": ([{**RECORD, "bbox": "1 2 3 4"}], "bbox '1 2 3 4'; it must be [x, y, width, height]"),
    "no box": ([{"image_id": 1, "category_id": 1, "score": 1}], "record 0 of image 1 has no bbox; it must be"),
    "empty record": ([{}], "record 0 has no image_id; it must be an integer"),
    "no record": ([RECORD, 1], "record 1 is 1; it must be a dictionary of image_id, category_id, bbox, score"),
    "annotations": ({"annotations": []}, "is not in COCO's result format; it needs a list of detections"),
}


@pytest.mark.parametrize("command", ["compare", "evaluate"])
@pytest.mark.parametrize(("content", "mentioned"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_a_file_is_one_sentence(
    content: Any,
    mentioned: str,
    command: str,
    results: Callable[[str, Any], Path],
    tmp_path: Path,
) -> None:
    good, wrong, truth = results("good.json", [RECORD]), results("wrong.json", content), tmp_path / "truth.json"
    words = [wrong, truth] if command == "evaluate" else [good, wrong, "--annotations", truth]
    with pytest.raises(SystemExit) as refused:
        main([command, *map(str, words)])
    message = str(refused.value.code)
    assert message.startswith(f"litmobile: {wrong}") and mentioned in message and message.endswith(".")


HARMLESS: dict[str, list[dict[str, Any]]] = {
    "no detections": [],
    "negative side": [{**RECORD, "bbox": [9, 9, -3, 4]}],
    "no area": [{**RECORD, "bbox": [9, 9, 0, 0]}],
    "twice the same": [RECORD, RECORD],
    "ids as 1.0": [{**RECORD, "image_id": 1.0, "category_id": 1.0}],
    "huge coordinates": [{**RECORD, "bbox": [2e9, 2e9, 2e9, 2e9]}],
    "score over 1": [{**RECORD, "score": 95}],
}


@pytest.mark.parametrize("content", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_odd_detections_count_as_wrong_ones(
    content: list[dict[str, Any]],
    results: Callable[[str, Any], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [str(results("odd.json", content)), str(results("good.json", find_objects(tmp_path / "truth.json", 0.9)))]
    main(["compare", *files, "--annotations", str(tmp_path / "truth.json"), *FAST])
    assert capsys.readouterr().out.startswith("good is better than odd by 0.")
