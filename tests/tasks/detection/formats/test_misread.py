"""What would be read differently from what its author meant is read right, refused in one sentence, or counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pycocotools import mask as coco_mask

from litmobile.errors import DataError
from litmobile.tasks.data.split import note_shared_images
from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import LAYOUTS, make_coco, write_image, write_images, write_text

OneSentence = Callable[..., None]
SIZE = (40, 60)
VOC = (
    "<annotation><object><name>cat</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    "</object></annotation>"
)
CVAT = (
    '<annotations><image name="a.png"><box label="cat" xtl="{0}" ytl="{1}" xbr="{2}" ybr="{3}"/></image></annotations>'
)
LABELME = '{{"shapes": [{{"label": "cat", "shape_type": "rectangle", "points": [[{0}, {1}], [{2}, {3}]]}}]}}'


def write_box(root: Path, **annotation: Any) -> None:
    """Write a COCO file with one annotation."""
    write_image(root / "a.png", SIZE)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, **annotation}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    write_text(root / "boxes.json", json.dumps(content))


def read(root: Path) -> DetectionSplit:
    return FolderDetection(str(root)).read_stored("train")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("boxes.json", None),
        ("a.xml", VOC.replace("11", ".2").replace("6", ".2").replace("30", ".5").replace("20", ".5")),
        ("all.xml", CVAT.format(0.2, 0.2, 0.5, 0.5)),
        ("a.json", LABELME.format(0.2, 0.2, 0.5, 0.5)),
    ],
)
def test_fractions_are_not_read_as_pixels(
    file: str, text: str | None, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_box(tmp_path, bbox=[0.1, 0.2, 0.3, 0.4])
    if text is not None:
        (tmp_path / "boxes.json").unlink()
        write_text(tmp_path / file, text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path, "pixels", "fractions")


@pytest.mark.parametrize(("box", "is_refused"), [([35, 20, 50, 35], True), ([35, 20, 10, 35], False)])
def test_corners_are_not_read_as_sizes(
    box: list[int], is_refused: bool, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_box(tmp_path, bbox=box)
    if not is_refused:
        assert len(read(tmp_path).boxes) == 1
        return
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "boxes.json", "[x, y, width, height]")


@pytest.mark.parametrize("text", [make_coco()[:-1] + ', "annotations": []}', make_coco().replace("{", '{"id": 9, ', 2)])
def test_a_key_may_occur_once(text: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_images(tmp_path, "images")
    write_text(tmp_path / "boxes.json", text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "boxes.json", "twice")


def test_annotations_with_one_id_are_counted(tmp_path: Path) -> None:
    write_box(tmp_path, bbox=[1, 2, 3, 4])
    content = json.loads((tmp_path / "boxes.json").read_text())
    content["annotations"] *= 2
    write_text(tmp_path / "boxes.json", json.dumps(content))
    split = read(tmp_path)
    assert len(split.boxes) == 2 and "1 annotation kept although another one has their id" in split.notes[0]


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_mask_gives_a_box(is_compressed: bool, seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    pixels = np.zeros(SIZE, dtype=np.uint8)
    top, left = random.integers(30, size=2)
    pixels[top : top + 1 + seed * 20, left : left + 25] = random.integers(2, size=(1, 1)) if seed == 3 else 1
    pixels[top, left] = 1
    encoded = coco_mask.encode(np.asfortranarray(pixels))
    expected = coco_mask.toBbox(encoded).tolist()
    counts: Any = encoded["counts"].decode()
    if not is_compressed:
        flat = np.concatenate(([0], pixels.T.ravel()))
        counts = np.diff(np.concatenate(([0], np.flatnonzero(np.diff(flat)), [pixels.size]))).tolist()
    write_box(tmp_path, segmentation={"counts": counts, "size": list(SIZE)})
    split = read(tmp_path)
    assert split.ground_truth.boxes.tolist() == [expected]
    assert "1 box derived from masks" in split.notes[0]


@pytest.mark.parametrize("counts", ["abc", "\u00e9", [1, 2], [2400], [-1, 2401], [1.5], None, ["x"]], ids=str)
def test_damaged_masks_are_refused(counts: object, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_box(tmp_path, segmentation={"counts": counts, "size": list(SIZE)})
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "boxes.json", "segmentation")


@pytest.mark.parametrize(
    "text",
    [
        VOC.replace("object>", "Object>").replace("bndbox", "BndBox").replace("xmin", "XMin"),
        VOC.replace("annotation", "Annotation"),
        VOC.replace("<annotation>", '<annotation xmlns="http://example.org">'),
        VOC.replace("<object>", "<objects><object>").replace("</object>", "</object></objects>"),
        VOC.replace("<bndbox>", "<part><name>ear</name><bndbox><xmin>1</xmin></bndbox></part><bndbox>"),
    ],
    ids=["tags", "root", "namespace", "wrapped", "parts"],
)
def test_spellings_of_voc_are_read(text: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", SIZE)
    write_text(tmp_path / "a.xml", text)
    assert read(tmp_path).boxes.tolist() == [[10, 5, 30, 20]]


@pytest.mark.parametrize("tag", ["bndbox", "name", "xmin"])
def test_a_tag_may_occur_once(tag: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "a.png", SIZE)
    content = VOC.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    write_text(tmp_path / "a.xml", VOC.replace(f"</{tag}>", f"</{tag}><{tag}>{content}</{tag}>"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "a.xml", "2 times", tag)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.txt", "0 .5 .5 .2 .2\n"),
        ("a.xml", VOC),
        ("all.xml", CVAT.format(1, 2, 30, 20)),
        ("a.json", LABELME.format(1, 2, 30, 20)),
        ("x-bbox.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na.png,cat,.1,.2,.1,.2\n"),
    ],
)
@pytest.mark.parametrize(("orientation", "is_counted"), [(1, False), (6, True)])
def test_rotated_images_without_sizes_are_counted(
    file: str, text: str, orientation: int, is_counted: bool, tmp_path: Path
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(np.zeros((*SIZE, 3), dtype=np.uint8)).save(tmp_path / "a.png", exif=exif)
    write_text(tmp_path / file, text)
    split = read(tmp_path)
    assert split.size(0) == (SIZE[::-1] if is_counted else SIZE)
    assert ("1 image with an orientation that annotations cannot tell" in split.notes[0]) == is_counted


def test_one_file_is_divided_by_the_folders_of_its_images(tmp_path: Path) -> None:
    write_text(tmp_path / "all.json", make_coco())
    write_images(tmp_path)
    data = FolderDetection(str(tmp_path))
    names = {split: sorted(Path(name).stem for name in data.read(split).names.tolist()) for split in ("train", "val")}
    assert names == {"train": ["a b", "a b.v2", "c"], "val": ["d", "e"]}


def test_one_file_is_refused_if_an_image_is_in_both(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(tmp_path / "all.json", make_coco())
    write_images(tmp_path)
    write_image(tmp_path / "images/val/c.png", SIZE)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, "images/train/c.png", "images/val/c.png")


def test_links_to_the_training_images_are_reported(tmp_path: Path) -> None:
    LAYOUTS["YOLO beside images"](tmp_path)
    for path in (tmp_path / "val").iterdir():
        path.unlink()
    (tmp_path / "val").rmdir()
    (tmp_path / "val").symlink_to(tmp_path / "train")
    data = FolderDetection(str(tmp_path), num_workers=0)
    data.setup("fit")
    assert "3 images in val and in train" in note_shared_images(data.splits)[0]


def test_difficult_shapes_of_labelme_are_kept(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", SIZE)
    write_text(tmp_path / "a.json", LABELME.format(1, 2, 30, 20).replace('"label"', '"difficult": true, "label"'))
    assert read(tmp_path).difficult.tolist() == [True]


def test_classes_without_objects_are_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path, "images")
    content = json.loads(make_coco())
    content["categories"].append({"id": 9, "name": "walrus"})
    write_text(tmp_path / "boxes.json", json.dumps(content))
    FolderDetection(str(tmp_path), num_workers=0).setup("fit")
    assert "classes without objects to train on: walrus" in caplog.text


@pytest.mark.parametrize(
    ("line", "is_refused"), [("0 .7 .7 .9 .9", True), ("0 .9 .9 .4 .4", False), ("0 .5 .5 1 1", False)]
)
def test_corners_are_not_read_as_centres(
    line: str, is_refused: bool, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_image(tmp_path / "a.png", SIZE)
    write_text(tmp_path / "a.txt", line)
    if not is_refused:
        assert len(read(tmp_path).boxes) == 1
        return
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path, "x1, y1, x2, y2", "centre, width and height")


@pytest.mark.parametrize("text", ["names: [a]\nnames: [b]\n", "names:\n  0: a\n  0: b\n"])
def test_a_key_of_yaml_may_occur_once(text: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "a.png", SIZE)
    write_text(tmp_path / "a.txt", "0 .5 .5 .2 .2")
    write_text(tmp_path / "data.yaml", text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "data.yaml", "again in line")


def test_one_csv_file_is_divided_by_the_folders_of_its_images(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "val/c"):
        write_image(tmp_path / f"{name}.png", SIZE)
    rows = "".join(f"{name},cat,.1,.2,.1,.2\n" for name in "abc")
    write_text(tmp_path / "boxes.csv", f"ImageID,LabelName,XMin,XMax,YMin,YMax\n{rows}")
    data = FolderDetection(str(tmp_path))
    assert [len(data.read(split)) for split in ("train", "val")] == [2, 1]


def test_xml_files_of_cvat_may_name_splits(tmp_path: Path) -> None:
    for split, names in (("train", "ab"), ("val", "c")):
        text = "".join(CVAT.format(1, 2, 30, 20)[13:-14].replace("a.png", f"{name}.png") for name in names)
        write_text(tmp_path / f"{split}.xml", f"<annotations>{text}</annotations>")
        for name in names:
            write_image(tmp_path / f"images/{name}.png", SIZE)
    data = FolderDetection(str(tmp_path))
    assert [len(data.read(split)) for split in ("train", "val")] == [2, 1]


@pytest.mark.parametrize(
    ("val", "notes"),
    [("images/test", []), ("images/nothing", ["which has no images here", "1 image in test outside of all splits"])],
)
def test_images_outside_of_the_listed_splits_are_counted(val: str, notes: list[str], tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "test/c"):
        write_image(tmp_path / f"images/{name}.png", SIZE)
        write_text(tmp_path / f"labels/{name}.txt", "0 .5 .5 .2 .2")
    write_text(tmp_path / "data.yaml", f"train: images/train\nval: {val}\nnames: [cat]\n")
    found = FolderDetection(str(tmp_path)).format.notes
    assert len(found) == len(notes) and all(part in note for part, note in zip(notes, found, strict=True))
