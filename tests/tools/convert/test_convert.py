"""A converted data set is read as the original one; what a format cannot hold is printed; nothing else is changed."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from litmobile.tasks.detection import DetectionSplit, FolderDetection
from litmobile.tools.cli import main
from litmobile.tools.convert.command import UNFINISHED
from litmobile.tools.convert.writers import WRITERS, Writer
from support.cli import get_refusal

CLASSES = {7: "red & <blue>", 9: "no", 2: 'say "hi": 1', 30: "Käfer", 31: "unused"}
SIZE = (40, 60)
#: pixels by which a box may move
ROUNDING = {"coco": 0.0, "voc": 0.5, "yolo": 1e-4}


def write_noise(path: Path, seed: int, size: tuple[int, int] = SIZE, orientation: int = 1) -> None:
    """Write an image of noise, which tells it from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(256, size=(*size, 3), dtype=np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(noise).save(path, exif=exif)


def write_coco(root: Path, split: str, images: list[str], objects: list[dict[str, Any]], **image: Any) -> None:
    """Write a split with noise in ``images``, whose ids are 11, 12, …."""
    for number, name in enumerate(images):
        write_noise(root / split / name, number + 100 * len(split), **image)
    records = [{"id": 11 + k, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for k, name in enumerate(images)]
    content = {
        "images": records,
        "annotations": [{"id": k + 1, "iscrowd": 0, **thing} for k, thing in enumerate(objects)],
        "categories": [{"id": key, "name": name} for key, name in CLASSES.items()],
    }
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A COCO folder with equal names in two folders, odd names, fractions, a crowd, an outline and an empty image."""
    folder = tmp_path / "my data"
    objects = [
        {"image_id": 11, "category_id": 9, "bbox": [0.25, 1.5, 20.3, 10.7]},
        {"image_id": 11, "category_id": 7, "bbox": [30, 5, 30, 35], "area": 400.5},
        {"image_id": 12, "category_id": 2, "bbox": [59.6, 39.7, 0.4, 0.3]},
        {"image_id": 13, "category_id": 30, "bbox": [3, 4, 5, 6]},
        {"image_id": 13, "category_id": 30, "bbox": [0, 0, 60, 40], "iscrowd": 1},
    ]
    write_coco(folder, "train2017", ["a/one.png", "b/ONE.png", "c d/Ünï ©.png", "empty.png"], objects)
    write_coco(folder, "val2017", ["one.png"], [{"image_id": 11, "category_id": 7, "bbox": [1, 2, 3, 4]}])
    return folder


def read_files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of all files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def describe(split: DetectionSplit) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return the classes and boxes of the objects of each image, by its pixels."""
    described = {}
    for index in range(len(split)):
        boxes, labels = split.objects(index)
        pixels = split.image(index)
        key = hashlib.sha256(pixels.tobytes() + bytes(pixels.shape)).hexdigest()
        described[key] = [split.classes[label] for label in labels], boxes
    return described


def convert(root: Path, to: str, out: Path, *words: str) -> None:
    main(["convert", str(root), "--to", to, "--out", str(out), *words])


def assert_same_data(
    root: Path, out: Path, to: str, splits: tuple[str, ...] = ("train", "val"), **options: Any
) -> None:
    """Check that both folders give the same classes, images, labels and boxes."""
    data, written = FolderDetection(str(root), **options), FolderDetection(str(out), format=to)
    for name in splits:
        before, after = data.read_stored(name), written.read_stored(name)
        assert after.classes == before.classes
        expected, found = describe(before), describe(after)
        assert found.keys() == expected.keys()
        for key, (classes, boxes) in expected.items():
            assert found[key][0] == classes
            limit = ROUNDING[to] if not len(boxes) or (boxes[:, 2:] - boxes[:, :2] >= 1).all() else 1.0
            np.testing.assert_allclose(found[key][1], boxes, atol=limit, rtol=0)


@pytest.mark.parametrize("to", WRITERS)
def test_written_folder_is_read_as_the_original(to: str, root: Path, tmp_path: Path) -> None:
    before = read_files(root)
    convert(root, to, tmp_path / "out folder")
    assert_same_data(root, tmp_path / "out folder", to)
    assert read_files(root) == before


@pytest.mark.parametrize("to", WRITERS)
def test_classes_can_be_selected_and_merged(to: str, root: Path, tmp_path: Path) -> None:
    convert(root, to, tmp_path / "out", "--classes={z: [Käfer, 'no'], a: ['red & <blue>']}")
    assert_same_data(root, tmp_path / "out", to, classes={"z": ["Käfer", "no"], "a": ["red & <blue>"]})


@pytest.mark.parametrize("to", WRITERS)
def test_images_keep_the_orientation_of_their_boxes(to: str, tmp_path: Path) -> None:
    """The file is turned by EXIF, but the boxes were made on the image as it is stored."""
    box = {"image_id": 11, "category_id": 7, "bbox": [50, 2, 8, 4]}
    write_coco(tmp_path / "data", "train", ["turned.jpg"], [box], orientation=6)
    convert(tmp_path / "data", to, tmp_path / "out")
    assert_same_data(tmp_path / "data", tmp_path / "out", to, ("train",))


def test_coco_keeps_crowds_areas_and_ids(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(root, "coco", tmp_path / "out", "--classes=['no', 'red & <blue>', Käfer, unused]")
    before = (
        FolderDetection(str(root), classes=["no", "red & <blue>", "Käfer", "unused"]).read_stored("train").ground_truth
    )
    after = FolderDetection(str(tmp_path / "out")).read_stored("train").ground_truth
    for name in ("image_ids", "images", "categories", "boxes", "areas", "is_crowd"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    text = capsys.readouterr().out
    assert "Classes with new ids: 4. COCO orders classes by id, so the ids count from 1." in text
    assert "Objects whose outline is not written: 1. Their areas are kept." in text


@pytest.mark.parametrize(
    ("to", "sentences"),
    [
        ("coco", ["Images with new names, which must differ without folders: 1. ONE-2.png was b/ONE.png."]),
        (
            "voc",
            [
                "Boxes rounded to whole pixels: 2. A side moves by up to half a pixel, or by one if the box is tiny.",
                "Crowds left out: 1. Pascal VOC has none, so evaluations count detections on them as wrong.",
                "Objects whose outline and area are not written: 1. Pascal VOC has boxes only",
                "Ids of images and classes not written: 10. Pascal VOC has none.",
            ],
        ),
        (
            "yolo",
            [
                "Crowds left out: 1.",
                "Objects whose outline and area are not written: 1.",
                "Ids of images and classes not written: 10. YOLO has none.",
                "Image sizes not written: 5. Programs read them from the images.",
            ],
        ),
    ],
)
def test_losses_are_printed(
    to: str, sentences: list[str], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(root, to, tmp_path / "out")
    text = capsys.readouterr().out
    assert f"{tmp_path / 'out'} is in the format of {WRITERS[to].title}: train (4 images, 5 objects), val (1 im" in text
    assert "Images copied: 5. No change of theirs can reach the original ones." in text
    for sentence in sentences:
        assert sentence in text


@pytest.mark.parametrize("to", WRITERS)
def test_difficult_objects_are_kept_or_reported(
    to: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc = tmp_path / "voc"
    convert(root, "voc", voc)
    file = voc / "Annotations" / "one.xml"
    file.write_text(file.read_text().replace("<difficult>0", "<difficult>1", 1))
    capsys.readouterr()
    convert(voc, to, tmp_path / "out")
    after = FolderDetection(str(tmp_path / "out"), format=to).read_stored("train")
    is_reported = "Difficult objects written as ordinary ones: 1." in capsys.readouterr().out
    assert (int(after.difficult.sum()), is_reported) == ((1, False) if to == "voc" else (0, True))
    assert not after.ground_truth.is_crowd.any() or to == "voc"
    assert_same_data(voc, tmp_path / "out", to)


def test_part_of_the_training_images_becomes_val(root: Path, tmp_path: Path) -> None:
    (root / "annotations" / "instances_val2017.json").unlink()
    convert(root, "coco", tmp_path / "whole")
    assert len(FolderDetection(str(tmp_path / "whole")).format.splits) == 1
    convert(root, "coco", tmp_path / "divided", "--val_fraction=0.5")
    data = FolderDetection(str(tmp_path / "divided"))
    counts = [len(data.read_stored(split)) for split in ("train", "val")]
    assert min(counts) > 0 and sum(counts) == 4


def test_other_splits_are_named_or_chosen(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_coco(root, "extra", ["two.png"], [{"image_id": 11, "category_id": 7, "bbox": [1, 2, 3, 4]}])
    convert(root, "coco", tmp_path / "out")
    assert "Not written: extra; --train, --val and --test name other splits." in capsys.readouterr().out
    convert(root, "coco", tmp_path / "extra", "--data.train=extra", "--val=val2017")
    assert len(FolderDetection(str(tmp_path / "extra")).read_stored("train")) == 1


def test_hard_links_share_the_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(root, "yolo", tmp_path / "out", "--hard_links=true")
    assert (tmp_path / "out/images/val/one.png").samefile(root / "val2017/one.png")
    assert "Images linked: 5. Changing one changes both folders." in capsys.readouterr().out


def test_damaged_images_can_be_left_out(root: Path, tmp_path: Path) -> None:
    (root / "train2017" / "empty.png").write_bytes(b"damaged")
    convert(root, "coco", tmp_path / "out", "--on_invalid=skip")
    assert len(FolderDetection(str(tmp_path / "out")).read_stored("train")) == 3


@pytest.mark.parametrize(
    ("out", "mentioned"),
    [
        ("my data/out", "is inside"),
        ("full", "is not empty; name a folder that is new or empty"),
        ("full/file", "is a file"),
        ("full/file/out", "cannot be read or written (Not a directory), so nothing was written"),
    ],
)
def test_other_folders_than_new_ones_are_refused(
    out: str, mentioned: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], assert_one_sentence
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    before = read_files(tmp_path)
    words = ["convert", str(root), "--to=coco", f"--out={tmp_path / out}"]
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert_one_sentence(refused.value, mentioned)
    assert read_files(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        (["ROOT", "--out=x"], "--to is required"),
        (["ROOT", "--to=coco"], "--out is required"),
        (["ROOT", "--to=csv", "--out=x"], "--to takes coco or voc or yolo, not csv"),
        (["ROOT", "--to=coco", "--out=x", "--batch_size=2"], "--batch_size is not an option"),
        (["missing", "--to=coco", "--out=x"], "There is no data folder missing"),
        (["ROOT", "--to=coco", "--out=x", "--train=trian"], "has no split 'trian'"),
        (["ROOT", "--to=coco", "--out=x", "--classes={' a ': ['no']}"], "' a '"),
        (["ROOT", "--to=coco", "--out=x", "--classes=[cat]"], "has no class cat"),
    ],
)
def test_wrong_options_are_one_sentence(
    words: list[str], mentioned: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"ROOT": str(root), "--out=x": f"--out={tmp_path / 'x'}"}
    refusal = get_refusal("convert", *(places.get(word, word) for word in words), capsys=capsys)
    assert mentioned in refusal
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("to", WRITERS)
def test_a_killed_command_leaves_no_half_data_set(
    to: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[list[Path]] = []

    def write(self: Writer) -> None:
        write_all(self)
        left.append([*(tmp_path / "out").iterdir()])  # what a kill at this moment leaves

    write_all = WRITERS[to].write
    monkeypatch.setattr(WRITERS[to], "write", write)
    convert(root, to, tmp_path / "out")
    assert left == [[tmp_path / "out" / UNFINISHED]]
    assert not (tmp_path / "out" / UNFINISHED).exists()


@contextmanager
def limit_files(size: int) -> Iterator[None]:
    """Let the system refuse to write more than ``size`` bytes to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("links", ["false", "true"])  # with links, the first refusal is that of the annotations
def test_full_disk_leaves_nothing_behind(links: str, root: Path, tmp_path: Path, assert_one_sentence) -> None:
    write_coco(root, "val2017", ["one.png"], [{"image_id": 11, "category_id": 7, "bbox": [1, 2, 3, 4]}] * 200)
    with limit_files(3000), pytest.raises(SystemExit) as refused:  # an image has 7,000 bytes
        convert(root, "coco", tmp_path / "out", f"--hard_links={links}")
    assert_one_sentence(refused.value, "cannot be read or written (File too large), so nothing was written")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("to", "is_refused"), [("coco", False), ("voc", True), ("yolo", False)])
def test_a_class_called_background_is_kept_or_refused(
    to: str, is_refused: bool, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readers of VOC's files take this name in a list of classes for no class."""
    words = [str(root), "--to", to, "--out", str(tmp_path / "out"), "--classes={Background: ['no'], b: [Käfer]}"]
    if is_refused:
        assert "'Background' cannot be written; --classes can" in get_refusal("convert", *words, capsys=capsys)
        return
    main(["convert", *words])
    assert_same_data(root, tmp_path / "out", to, classes={"Background": ["no"], "b": ["Käfer"]})
