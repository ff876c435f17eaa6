"""`litmobile evaluate` gives pycocotools' figures for detections of any program, whatever the ids are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tools.cli import main
from support.cli import get_refusal
from support.data.coco import Content, Records, compute_reference
from support.data.segmentation import write_image
from support.pages import Page

SIZE = {"width": 200, "height": 160}


def make_data(first_id: int = 1) -> tuple[Content, Records]:
    """Return annotations of twelve images, one without objects, and detections near most objects."""
    random = np.random.default_rng(0)
    objects, found = [], []
    for image in range(11):
        for _ in range(4):
            box = [*random.integers(0, 100, 2).tolist(), *random.integers(10, 60, 2).tolist()]
            keys = {"image_id": first_id + image, "category_id": first_id + int(random.integers(2))}
            record = {"id": first_id + len(objects), **keys, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            objects.append(record)
            shifted = np.add(box, random.normal(0, 3, 4)).tolist()
            found.append({**keys, "bbox": shifted, "score": float(random.random())})
    images = [{"id": first_id + k, "file_name": f"{k}.jpg", **SIZE} for k in range(12)]
    categories = [{"id": first_id + k, "name": name} for k, name in enumerate("ab")]
    return {"images": images, "annotations": objects, "categories": categories}, found[::-1]


def write(folder: Path, content: Content, detections: Any) -> list[str]:
    """Write both files, and return their paths as the command takes them."""
    (folder / "found.json").write_text(json.dumps(detections))
    (folder / "truth.json").write_text(json.dumps(content))
    return [str(folder / "found.json"), str(folder / "truth.json")]


@pytest.mark.parametrize("first_id", [0, 1, 2**40])
def test_figures_equal_pycocotools(first_id: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, detections = make_data(first_id)
    main(["evaluate", *write(tmp_path, content, detections), "--out", str(tmp_path / "out")])
    renumbered, same = make_data(1)  # pycocotools takes the annotation id 0 for "not matched"
    expected = compute_reference(renumbered, same, [image["id"] for image in renumbered["images"]])
    found = json.loads((tmp_path / "out" / "val.json").read_text())
    for name, value in expected["figures"].items():
        assert found["figures"][name] == pytest.approx(value, abs=1e-12), name
    assert f"AP         {found['figures']['AP']:.3f}" in capsys.readouterr().out


def test_the_page_names_the_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", *write(tmp_path, *make_data()), "--out", str(tmp_path / "out")])
    assert f"The page is {tmp_path / 'out' / 'report.html'}" in capsys.readouterr().out
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.problems == []
    assert "on the 12 images of truth.json." in page.text


def test_the_identity_depends_on_the_detections(tmp_path: Path) -> None:
    content, detections = make_data()
    hashes: list[str] = []
    for records in (detections, detections[1:]):
        main(["evaluate", *write(tmp_path, content, records), "--out", str(tmp_path / "out")])
        hashes.append(json.loads((tmp_path / "out" / "val.json").read_text())["detections"])
    assert hashes[0] != hashes[1]


def test_the_published_figures_are_found(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = real_data / "coco_eval"
    results, truth = "instances_val2014_fakebbox100_results.json", "instances_val2014_100.json"
    main(["evaluate", str(folder / results), str(folder / truth)])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[:12])
    assert (lines["AP"], lines["AP50"], lines["AP75"], lines["AR_100"]) == ("0.505", "0.697", "0.573", "0.595")


def test_without_detections_everything_is_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", *write(tmp_path, make_data()[0], [])])
    assert "AP         0.000" in capsys.readouterr().out


def test_a_missing_result_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, truth = write(tmp_path, make_data()[0], [])
    message = get_refusal("evaluate", str(tmp_path / "absent.json"), truth, capsys=capsys)
    assert "absent.json is not a file; pass detections in COCO's result format." in message


def test_flags_are_parsed_as_in_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, detections = make_data()
    main(["evaluate", *write(tmp_path, content, detections)])
    expected = capsys.readouterr().out
    for record in content["annotations"]:
        record["iscrowd"] = "0"
    main(["evaluate", *write(tmp_path, content, detections)])
    assert capsys.readouterr().out == expected


def test_examples_are_drawn_from_the_images(tmp_path: Path) -> None:
    content, detections = make_data()
    for k in range(11):  # the last image does not exist
        write_image(tmp_path / "images" / f"{k}.jpg", k, SIZE["height"], SIZE["width"])
    out = tmp_path / "out"
    words = write(tmp_path, content, detections)
    main(["evaluate", *words, "--out", str(out), "--images", str(tmp_path / "images")])
    entries = json.loads((out / "val-examples.json").read_text())
    assert {entry["kind"] for entry in entries} >= {"best", "worst"}
    assert all((out / entry["file"]).is_file() for entry in entries)
    assert (out / "val-label-errors.csv").is_file()


def test_missing_images_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = write(tmp_path, *make_data())
    with caplog.at_level("INFO"):
        main(["evaluate", *words, "--out", str(tmp_path / "out"), "--images", str(tmp_path)])
    assert json.loads((tmp_path / "out" / "val-examples.json").read_text()) == []
    assert "examples cannot be drawn." in caplog.text and f"{tmp_path}/" in caplog.text


@pytest.mark.parametrize(
    ("options", "mentioned"), [(["--images", "."], "--out"), (["--images=absent", "--out=x"], "absent")]
)
def test_images_need_a_folder_for_the_drawings(
    options: list[str], mentioned: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = get_refusal("evaluate", *write(tmp_path, *make_data()), *options, capsys=capsys)
    assert "--images" in refusal and mentioned in refusal


def test_examples_of_an_earlier_evaluation_are_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "val-examples.json").write_text('[{"kind": "worst", "name": "", "caption": "", "file": "a"}]')
    main(["evaluate", *write(tmp_path, *make_data()), "--out", str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / "val-examples.json").read_text()) == []


def test_the_evaluation_of_a_run_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    refusal = get_refusal("evaluate", *write(tmp_path, *make_data()), "--out", str(tmp_path / "run"), capsys=capsys)
    assert "is the folder of a run" in refusal
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_missing_arguments_are_named_as_help_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ANNOTATIONS is required." in get_refusal("evaluate", "found.json", capsys=capsys)
