"""Files that hotcoco writes are read as written; hotcoco and torchvision read what ``litmobile convert`` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CocoDetection as TorchvisionCoco
from torchvision.datasets import VOCDetection as TorchvisionVoc

from litmobile.tasks.detection import FolderDetection
from litmobile.tools.cli import main
from support.data.layouts import write_image, write_text

hotcoco = pytest.importorskip("hotcoco")
CLASSES = ("zebra", "ant", "sea horse")  # not in alphabetical order
#: class names and boxes x1, y1, x2, y2 of each image, by the stem of its file
Objects = dict[str, list[tuple[str, tuple[float, ...]]]]


def make_coco(seed: int) -> dict[str, Any]:
    """Return random objects in COCO's form: whole pixels, several at the border, one image without objects."""
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for k in range(6):
        height, width = (int(side) for side in random.integers(20, 90, size=2))
        images.append({"id": 7 + k, "file_name": f"image {seed} {k}.jpg", "height": height, "width": width})
        for _ in range(3 * (k > 0)):
            x1, y1 = (int(random.integers(0, side - 8)) for side in (width, height))
            x2, y2 = (int(random.integers(low + 4, side + 1)) for low, side in ((x1, width), (y1, height)))
            box, label = [x1, y1, x2 - x1, y2 - y1], int(random.integers(len(CLASSES)))
            record = {"id": len(annotations) + 1, "image_id": 7 + k, "category_id": 1 + label, "bbox": box}
            annotations.append({**record, "area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": 1 + k, "name": name} for k, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def list_objects(coco: dict[str, Any]) -> Objects:
    """Return the objects of a data set in COCO's form."""
    names = {record["id"]: record["name"] for record in coco["categories"]}
    stems = {record["id"]: Path(record["file_name"]).stem for record in coco["images"]}
    objects: Objects = {stem: [] for stem in stems.values()}
    for record in coco["annotations"]:
        x, y, width, height = record["bbox"]
        objects[stems[record["image_id"]]].append((names[record["category_id"]], (x, y, x + width, y + height)))
    return objects


def assert_equal(found: Objects, expected: Objects, limit: float) -> None:
    assert found.keys() == expected.keys()
    for stem, objects in expected.items():
        assert [name for name, _ in found[stem]] == [name for name, _ in objects], stem
        corners = [np.reshape([box for _, box in boxes], (-1, 4)) for boxes in (found[stem], objects)]
        np.testing.assert_allclose(*corners, atol=limit, rtol=0, err_msg=stem)


def write_yolo(coco: Any, root: Path, split: str) -> None:
    coco.to_yolo(str(root / "labels" / split))
    (root / "labels" / split / "data.yaml").replace(root / "data.yaml")


def write_voc(coco: Any, root: Path, split: str) -> None:
    coco.to_voc(str(root / split))


def write_cvat(coco: Any, root: Path, split: str) -> None:
    coco.to_cvat(str(root / f"{split}.xml"))


def write_open_images(coco: Any, root: Path, split: str) -> None:
    coco.to_oid(str(root / f"{split}-annotations-bbox.csv"))


#: by format: writes the annotations of a split; folder of its images; pixels by which the format rounds a box
FORMATS: dict[str, tuple[Callable[[Any, Path, str], None], str, float]] = {
    "yolo": (write_yolo, "images/{split}", 1e-4),
    "voc": (write_voc, "{split}/JPEGImages", 0),
    "cvat": (write_cvat, "images/{split}", 0),
    "open_images": (write_open_images, "{split}", 1e-4),
}


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_hotcoco_are_read_as_written(name: str, tmp_path: Path) -> None:
    write, folder, limit = FORMATS[name]
    contents = {split: make_coco(seed) for seed, split in enumerate(("train", "val"))}
    for split, content in contents.items():
        for record in content["images"]:
            size = record["height"], record["width"]
            write_image(tmp_path / folder.format(split=split) / record["file_name"], size)
        write(hotcoco.COCO(content), tmp_path, split)
    data = FolderDetection(str(tmp_path), num_workers=0, classes=list(CLASSES))
    assert name in data.format.name
    for split, content in contents.items():
        assert_equal(read_objects(data, split), expect(content, name), limit)


def expect(content: dict[str, Any], name: str) -> Objects:
    """Return the objects of ``content``; Open Images does not list images without objects."""
    return {stem: found for stem, found in list_objects(content).items() if found or name != "open_images"}


def read_objects(data: FolderDetection, split: str) -> Objects:
    stored = data.read_stored(split)
    objects: Objects = {}
    for index in range(len(stored)):
        boxes, labels = stored.objects(index)
        rows = zip(labels, boxes.tolist(), strict=True)
        objects[stored.path(index).stem] = [(stored.classes[label], tuple(box)) for label, box in rows]
    return objects


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A data set in COCO's form, which is also in the folder ``data``."""
    made = make_coco(0)
    for record in made["images"]:
        write_image(tmp_path / "data" / "train" / record["file_name"], (record["height"], record["width"]))
    write_text(tmp_path / "data" / "annotations" / "instances_train.json", json.dumps(made))
    return made


def test_hotcoco_reads_converted_yolo(content: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "converted"
    main(["convert", str(tmp_path / "data"), "--to", "yolo", "--out", str(root)])
    labels = root / "labels" / "train"
    write_text(labels / "data.yaml", (root / "data.yaml").read_text())  # hotcoco looks for it beside the labels
    found = hotcoco.COCO.from_yolo(str(labels), images_dir=str(root / "images" / "train")).dataset
    assert_equal(list_objects(found), list_objects(content), 1e-4)


def test_hotcoco_reads_converted_voc(content: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "converted"
    main(["convert", str(tmp_path / "data"), "--to", "voc", "--out", str(root)])
    assert_equal(list_objects(hotcoco.COCO.from_voc(str(root)).dataset), list_objects(content), 0)


def test_torchvision_reads_converted_voc(content: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"  # torchvision expects these folders
    main(["convert", str(tmp_path / "data"), "--to", "voc", "--out", str(root)])
    found: Objects = {}
    for image, target in TorchvisionVoc(str(tmp_path), "2012", "train"):
        annotation = target["annotation"]
        size = int(annotation["size"]["width"]), int(annotation["size"]["height"])
        assert size == image.size
        boxes = [(item["name"], item["bndbox"]) for item in annotation.get("object", [])]
        found[Path(annotation["filename"]).stem] = [
            # the format counts pixels from 1
            (name, (float(box["xmin"]) - 1, float(box["ymin"]) - 1, float(box["xmax"]), float(box["ymax"])))
            for name, box in boxes
        ]
    assert_equal(found, list_objects(content), 0)


def test_torchvision_reads_converted_coco(content: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "converted"
    main(["convert", str(tmp_path / "data"), "--to", "coco", "--out", str(root)])
    written = json.loads((root / "annotations" / "instances_train.json").read_text())
    data = TorchvisionCoco(str(root / "train"), str(root / "annotations" / "instances_train.json"))
    records = [(data.coco.loadImgs(key)[0], data[index][1]) for index, key in enumerate(data.ids)]
    found = {
        "images": [record for record, _ in records],
        "annotations": [thing for _, target in records for thing in target],
        "categories": written["categories"],
    }
    assert_equal(list_objects(found), list_objects(content), 0)
