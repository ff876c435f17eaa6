"""The generated data set is deterministic, loads with pycocotools, and never mixes with other data."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from litmobile.errors import UserError
from litmobile.tools import sample_data
from litmobile.tools.sample_data import CLASSES, MIN_SIDE, MIN_VISIBLE, ShapesSummary, write_shapes


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> ShapesSummary:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", train=90, val=6)


def read_files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read_annotations(root: Path, split: str = "train") -> dict:
    return json.loads((root / "annotations" / f"instances_{split}.json").read_text())


def test_same_arguments_give_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write_shapes(tmp_path / name, train=8, val=4, seed=3)
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")


def test_other_seeds_and_splits_give_other_images(tmp_path: Path):
    for seed in (0, 1):
        write_shapes(tmp_path / str(seed), train=4, val=4, seed=seed)
    first, second = read_files(tmp_path / "0"), read_files(tmp_path / "1")
    images = [content for root in (first, second) for name, content in root.items() if name.endswith(".jpg")]
    assert len(images) == len(set(images)) == 16


def test_first_images_do_not_depend_on_the_counts(tmp_path: Path):
    write_shapes(tmp_path / "few", train=3, val=5)
    write_shapes(tmp_path / "many", train=7, val=2)
    few, many = read_files(tmp_path / "few"), read_files(tmp_path / "many")
    for name in ("train/000001.jpg", "train/000002.jpg", "train/000003.jpg", "val/000001.jpg", "val/000002.jpg"):
        assert few[name] == many[name]
    boxes = read_annotations(tmp_path / "few")["annotations"]
    assert boxes == read_annotations(tmp_path / "many")["annotations"][: len(boxes)]


def test_summary_counts_match_the_files(shapes: ShapesSummary):
    assert shapes.images == {"train": 90, "val": 6}
    for split, count in shapes.images.items():
        assert len(list((shapes.root / split).glob("*.jpg"))) == count
        assert len(read_annotations(shapes.root, split)["images"]) == count
        assert len(read_annotations(shapes.root, split)["annotations"]) == shapes.boxes[split]


def test_image_records_match_the_files(shapes: ShapesSummary):
    sizes = set()
    for image in read_annotations(shapes.root)["images"]:
        pixels = cv2.imread(str(shapes.root / "train" / image["file_name"]), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.shape[:2] == (image["height"], image["width"])
        sizes.add(pixels.shape[:2])
    assert len(sizes) > 60


def test_boxes_lie_inside_their_images(shapes: ShapesSummary):
    dataset = read_annotations(shapes.root)
    images = {image["id"]: image for image in dataset["images"]}
    for annotation in dataset["annotations"]:
        left, top, width, height = annotation["bbox"]
        image = images[annotation["image_id"]]
        assert min(left, top) >= 0
        assert left + width <= image["width"]
        assert top + height <= image["height"]
        assert min(width, height) >= MIN_SIDE
        assert 0 < annotation["area"] <= width * height


def test_pycocotools_reads_the_same_boxes(shapes: ShapesSummary):
    dataset = read_annotations(shapes.root)
    coco = COCO(str(shapes.root / "annotations" / "instances_train.json"))
    assert {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())} == CLASSES
    assert sorted(coco.getImgIds()) == [image["id"] for image in dataset["images"]]
    read = {annotation["id"]: annotation["bbox"] for annotation in coco.loadAnns(coco.getAnnIds())}
    assert read == {annotation["id"]: annotation["bbox"] for annotation in dataset["annotations"]}
    assert len(read) == shapes.boxes["train"]
    assert min(read) > 0  # pycocotools reads id 0 as "no match"


def test_all_classes_empty_and_grey_images_occur(shapes: ShapesSummary):
    dataset = read_annotations(shapes.root)
    used = [annotation["category_id"] for annotation in dataset["annotations"]]
    assert all(used.count(category_id) > 20 for category_id in CLASSES)
    assert set(used) == set(CLASSES)
    empty = len(dataset["images"]) - len({annotation["image_id"] for annotation in dataset["annotations"]})
    assert 2 <= empty <= 20
    channels = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ndim  # 2 dimensions: the file has a single channel
        for path in (shapes.root / "train").glob("*.jpg")
    ]
    assert 2 <= channels.count(2) <= 20


def test_objects_stay_visible_and_have_tight_boxes():
    for number in range(30):
        scene = sample_data._place_objects(np.random.default_rng(number))
        for index, coverage in enumerate(scene.coverages):
            visible = scene.owner == index + 1
            assert not np.any(visible & (coverage < 128))
            assert visible.sum() >= MIN_VISIBLE * (coverage >= 128).sum()  # of the part inside the image


def test_area_includes_the_part_outside_the_image():
    outline = np.array([[-40, 5], [20, 5], [20, 25], [-40, 25]], np.float32)
    inside = np.count_nonzero(sample_data._fill([outline], 50, 50) >= 128)
    assert 400 <= inside <= 21 * 22
    assert 1200 <= sample_data._count_pixels([outline]) <= 61 * 22


def test_objects_stand_out_from_their_surroundings():
    rng = np.random.default_rng(0)
    for luma in (0, 90, 128, 255):
        first, second = sample_data._choose_colours(np.full(50, luma, np.float32), rng)
        for colour in (first, second, (first + second) / 2):
            assert abs(float(colour @ sample_data.LUMA) - luma) >= sample_data.MIN_CONTRAST


def test_repeating_does_not_change_the_data(tmp_path: Path):
    root = tmp_path / "shapes"
    made = write_shapes(root, train=3, val=2)
    (root / "train" / "000001.jpg").write_bytes(b"touched")
    assert write_shapes(str(root), train=3, val=2) == made
    assert (root / "train" / "000001.jpg").read_bytes() == b"touched"


def test_an_empty_folder_is_filled(tmp_path: Path):
    assert write_shapes(tmp_path, train=1, val=1).images == {"train": 1, "val": 1}


@pytest.mark.parametrize("arguments", [{"train": 4}, {"val": 3}, {"seed": 1}])
def test_data_from_other_arguments_are_refused(tmp_path: Path, arguments: dict[str, int]):
    write_shapes(tmp_path, train=2, val=2)
    before = read_files(tmp_path)
    with pytest.raises(UserError, match=r"holds shapes made with .*delete it or name another folder"):
        write_shapes(tmp_path, **{"train": 2, "val": 2, **arguments})
    assert read_files(tmp_path) == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '"boxes"', '{"boxes": {}}', "\xff"])
def test_foreign_folders_are_refused(tmp_path: Path, content: str):
    (tmp_path / "shapes.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="delete it or name another folder"):
        write_shapes(tmp_path, train=2, val=2)
    assert list(read_files(tmp_path)) == ["shapes.json"]


def test_a_file_is_refused(tmp_path: Path):
    (tmp_path / "shapes").write_text("mine")
    with pytest.raises(UserError, match="is not a finished shapes data set"):
        write_shapes(tmp_path / "shapes", train=2, val=2)


def test_interrupted_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)  # the last step
    with pytest.raises(KeyboardInterrupt):
        write_shapes(tmp_path, train=2, val=2)
    with pytest.raises(UserError, match="is not a finished shapes data set"):
        write_shapes(tmp_path, train=2, val=2)


@pytest.mark.parametrize("arguments", [{"train": 0}, {"val": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, int]):
    with pytest.raises(UserError, match="shapes need train >= 1, val >= 1 and seed >= 0"):
        write_shapes(tmp_path / "shapes", **arguments)
    assert not (tmp_path / "shapes").exists()
