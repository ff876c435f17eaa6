"""Pascal VOC segmentation: lists, palette masks and ignored borders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.segmentation import VocSegmentation
from support.data.segmentation import make_stripes, write_image, write_mask, write_voc_segmentation

OneSentence = Callable[..., None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_voc_segmentation(tmp_path / "VOC2012", ["2007_000032", "2007_000039", "2011_003271"], "train")
    write_voc_segmentation(root, ["2007_000033"], "val", range(21))
    write_image(root / "JPEGImages" / "2008_000001.jpg")  # an image of another task
    return root


def setup_error(data: VocSegmentation, stage: str = "fit") -> DataError:
    with pytest.raises(DataError) as caught:
        data.setup(stage)
    return caught.value


def test_lists_name_the_images_of_a_split_in_order(root: Path) -> None:
    (root / "ImageSets/Segmentation/train.txt").write_text("2011_003271\n\n2007_000032  \r\n")
    data = VocSegmentation(str(root))
    data.setup("fit")
    assert data.splits["train"].names.tolist() == ["2011_003271.jpg", "2007_000032.jpg"]
    assert data.splits["train"].mask_names.tolist() == ["2011_003271.png", "2007_000032.png"]
    assert data.splits["val"].names.tolist() == ["2007_000033.jpg"]


def test_the_twenty_classes_follow_the_background(root: Path) -> None:
    split = VocSegmentation(str(root)).read("val")
    assert len(split.classes) == 21
    assert [split.classes[k] for k in (0, 1, 5, 15, 20)] == ["background", "aeroplane", "bottle", "person", "tvmonitor"]
    assert np.array_equal(split.labels(0), make_stripes(range(21)))


@pytest.mark.parametrize(("classes", "problem"), [(["a", "b", "a"], "a twice"), ([], "0 classes")])
def test_class_names_must_be_given_once(
    root: Path, classes: list[str], problem: str, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(DataError) as caught:
        VocSegmentation(str(root), classes=classes)
    assert_one_sentence(caught.value, problem)


def test_palettes_are_not_used_and_borders_are_ignored(root: Path) -> None:
    split = VocSegmentation(str(root)).read("train")
    assert np.array_equal(split.sample(0).labels, make_stripes((0, 15, 255)))
    assert split.count_pixels().sum(0).nonzero()[0].tolist() == [0, 15]


def test_masks_without_palette_are_read(root: Path) -> None:
    write_mask(root / "SegmentationClass" / "2007_000032.png", make_stripes((3, 20)))
    assert np.array_equal(VocSegmentation(str(root)).read("train").labels(0), make_stripes((3, 20)))


def test_images_may_have_other_formats(root: Path) -> None:
    (root / "JPEGImages" / "2007_000032.jpg").unlink()
    write_image(root / "JPEGImages" / "2007_000032.png")
    split = VocSegmentation(str(root)).read("train")
    assert split.path(0).name == "2007_000032.png"
    assert split.sample(0).image.shape == (8, 12, 3)


def test_other_classes_can_be_given(root: Path, assert_one_sentence: OneSentence) -> None:
    classes = [f"kind {k}" for k in range(16)]
    assert VocSegmentation(str(root), classes=classes).read("train").classes == tuple(classes)
    split = VocSegmentation(str(root), classes=classes[:15]).read("train")
    with pytest.raises(DataError) as caught:
        split.labels(0)
    assert_one_sentence(caught.value, split.mask_path(0), "value 15", "15 classes' values 0 … 14")


def test_missing_files_are_named_on_both_sides(root: Path, assert_one_sentence: OneSentence) -> None:
    (root / "JPEGImages" / "2007_000032.jpg").unlink()
    for stem in ("2007_000039", "2011_003271"):
        (root / "SegmentationClass" / f"{stem}.png").unlink()
    assert_one_sentence(
        setup_error(VocSegmentation(str(root))),
        root / "ImageSets/Segmentation/train.txt",
        f"1 of 3 files are not in {root / 'JPEGImages'}: 2007_000032.jpg",
        f"2 of 3 files are not in {root / 'SegmentationClass'}: 2007_000039.png, 2011_003271.png",
    )


def test_missing_files_can_be_skipped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "JPEGImages" / "2007_000032.jpg").unlink()
    (root / "SegmentationClass" / "2007_000039.png").unlink()
    data = VocSegmentation(str(root), on_invalid="skip")
    data.setup("fit")
    assert data.splits["train"].names.tolist() == ["2011_003271.jpg"]
    assert "2007_000032.jpg does not exist" in caplog.text
    assert "2007_000039.png does not exist" in caplog.text


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
def test_missing_folders_are_named(root: Path, folder: str, assert_one_sentence: OneSentence) -> None:
    (root / folder).rename(root / "elsewhere")
    assert_one_sentence(setup_error(VocSegmentation(str(root))), root / folder)


def test_missing_lists_are_named_with_existing_ones(root: Path, assert_one_sentence: OneSentence) -> None:
    lists = root / "ImageSets" / "Segmentation"
    assert_one_sentence(setup_error(VocSegmentation(str(root), train="trainaug")), lists / "trainaug.txt", "train, val")
    assert_one_sentence(setup_error(VocSegmentation(str(root)), "test"), "--data.test=NAME")
    (lists / "latin.txt").write_bytes("grün\n".encode("latin-1"))
    assert_one_sentence(setup_error(VocSegmentation(str(root), train="latin")), lists / "latin.txt", "UTF-8")
    (lists / "train.txt").write_text("\n")
    assert_one_sentence(setup_error(VocSegmentation(str(root))), lists / "train.txt", "contains no images")
    lists.rename(root / "elsewhere")
    assert_one_sentence(setup_error(VocSegmentation(str(root))), lists / "train.txt", "no lists")
    assert_one_sentence(setup_error(VocSegmentation(str(root / "no"))), root / "no", "--data.root")
