"""Folders of images and masks: pairs, splits, and masks that do not fit their images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from litmobile.errors import DataError
from litmobile.tasks.segmentation import CamVid, FolderSegmentation, SegmentationSplit
from litmobile.tasks.segmentation.data_sets.known_classes import CAMVID_COLOURS
from support.data.segmentation import HEIGHT, WIDTH, make_stripes, write_image, write_mask, write_pairs, write_split

OneSentence = Callable[..., None]
NAMES = ["sky", "road", "car"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three training and two validation images with three classes and ignored pixels."""
    return write_split(write_split(tmp_path / "set", "train", 3, (0, 1, 2, 255)), "val", 2)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Twenty images without splits."""
    return write_split(tmp_path / "flat", ".", 20)


def names(split: SegmentationSplit) -> list[str]:
    return split.names.tolist()


def setup_error(data: FolderSegmentation, stage: str = "fit") -> DataError:
    with pytest.raises(DataError) as caught:
        data.setup(stage)
    return caught.value


# pairs


def test_images_and_masks_are_read_in_pairs(folders: Path) -> None:
    split = FolderSegmentation(str(folders), classes=NAMES).read("train")
    assert (len(split), split.classes, split.notes) == (3, tuple(NAMES), ())
    assert names(split) == split.mask_names.tolist() == ["0.png", "1.png", "2.png"]
    for index in range(3):
        sample = split.sample(index)
        with PIL.Image.open(split.path(index)) as image:
            assert np.array_equal(sample.image, np.asarray(image))
        assert np.array_equal(sample.labels, make_stripes((0, 1, 2, 255)))


def test_other_files_and_stray_folders_are_ignored(folders: Path) -> None:
    for kind in ("images", "masks"):
        (folders / kind / "train" / ".DS_Store").touch()
        (folders / kind / "train" / "notes.json").touch()
    write_image(folders / "images" / "train" / "__MACOSX" / "9.png")
    assert len(FolderSegmentation(str(folders), classes=NAMES).read("train")) == 3


def test_kinds_that_cannot_be_read_are_counted(folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "images" / "train" / "IMG_1.HEIC").touch()
    (note,) = FolderSegmentation(str(folders), classes=NAMES).read("train").notes
    assert_one_sentence(
        ValueError(note), "1 image of a kind that cannot be read (IMG_1.HEIC): convert it to JPEG or PNG"
    )


def test_images_of_other_kinds_only_are_refused(folders: Path, assert_one_sentence: OneSentence) -> None:
    for file in (folders / "images" / "train").iterdir():
        file.rename(file.with_suffix(".heic"))
    error = setup_error(FolderSegmentation(str(folders), classes=NAMES))
    assert_one_sentence(error, folders, "3 images of kinds that cannot be read (0.heic, 1.heic, 2.heic): convert them")


def test_odd_masks_never_block(folders: Path, assert_one_sentence: OneSentence) -> None:
    mask = folders / "masks" / "train" / "0.png"
    mask.unlink()
    os.mkfifo(mask)
    with pytest.raises(DataError) as caught:
        FolderSegmentation(str(folders), classes=NAMES).read("train").sample(0)
    assert_one_sentence(caught.value, mask, "it is a FIFO")


def test_extensions_may_differ_and_folders_may_be_nested(folders: Path) -> None:
    write_image(folders / "images" / "train" / "a" / "b.c" / "x.y.jpg")
    write_mask(folders / "masks" / "train" / "a" / "b.c" / "x.y.PNG", make_stripes([1]))
    split = FolderSegmentation(str(folders), classes=NAMES).read("train")
    assert names(split)[-1] == "a/b.c/x.y.jpg"
    assert split.sample(3).labels.max() == 1


def test_names_may_have_suffixes(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", 3, suffixes=("_rgb", "_label"))
    write_mask(tmp_path / "masks" / "0_instances.png", make_stripes([9]))
    split = FolderSegmentation(str(tmp_path), image_suffix="_rgb", mask_suffix="_label", classes=NAMES).read_stored(
        "train"
    )
    assert split.mask_names.tolist() == [f"{k}_label.png" for k in range(3)]


@pytest.mark.parametrize("suffixes", [("", "_mask"), ("_img", ""), ("_img", "_mask")], ids=str)
def test_images_and_masks_may_be_in_one_folder(tmp_path: Path, suffixes: tuple[str, str]) -> None:
    write_pairs(tmp_path / "both" / "train", tmp_path / "both" / "train", 3, suffixes=suffixes)
    data = FolderSegmentation(
        str(tmp_path), "both/{split}", "both/{split}", *suffixes, classes=NAMES, train="train", val="train"
    )
    split = data.read("train")
    assert names(split) == [f"{k}{suffixes[0]}.png" for k in range(3)]
    assert split.mask_names.tolist() == [f"{k}{suffixes[1]}.png" for k in range(3)]


def remove_partners(folders: Path) -> None:
    (folders / "masks" / "train" / "1.png").unlink()
    write_mask(folders / "masks" / "train" / "extra.png", make_stripes([0]))
    write_mask(folders / "masks" / "train" / "other.png", make_stripes([0]))


def test_files_without_partner_are_named_on_both_sides(folders: Path, assert_one_sentence: OneSentence) -> None:
    remove_partners(folders)
    images, masks = folders / "images" / "train", folders / "masks" / "train"
    assert_one_sentence(
        setup_error(FolderSegmentation(str(folders), classes=NAMES)),
        f"must come in pairs: 1 image in {images} without a mask in {masks}: 1.png",
        f"2 masks in {masks} without an image in {images}: extra.png, other.png",
    )


def test_files_without_partner_can_be_skipped(folders: Path, assert_one_sentence: OneSentence) -> None:
    remove_partners(folders)
    split = FolderSegmentation(str(folders), classes=NAMES, on_invalid="skip").read("train")
    assert names(split) == ["0.png", "2.png"]
    assert_one_sentence(ValueError(split.notes[0]), "Left out", "1.png")
    assert_one_sentence(ValueError(split.notes[1]), "Left out", "extra.png", "other.png")


def test_images_and_masks_in_one_folder_need_a_suffix(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_pairs(tmp_path / "all", tmp_path / "all", 3, suffixes=("", "_mask"))
    error = setup_error(FolderSegmentation(str(tmp_path), "all", "all", classes=NAMES))
    assert_one_sentence(error, tmp_path / "all", "--data.mask_suffix")


def test_two_images_with_the_same_name_are_refused(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_image(folders / "images" / "train" / "1.jpg")
    assert_one_sentence(setup_error(FolderSegmentation(str(folders), classes=NAMES)), "1.jpg", "1.png", "remove one")


@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
def test_data_without_pairs_is_refused(tmp_path: Path, on_invalid: Any, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "b.png", make_stripes([0]))
    data = FolderSegmentation(str(tmp_path), classes=NAMES, on_invalid=on_invalid)
    assert_one_sentence(setup_error(data), tmp_path / "images", "a.png", tmp_path / "masks", "b.png")


def test_missing_folders_are_named_with_existing_ones(
    folders: Path, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    def make(**arguments: Any) -> FolderSegmentation:
        return FolderSegmentation(**{"root": str(folders), "classes": NAMES} | arguments)

    assert_one_sentence(setup_error(make(root=str(tmp_path / "no"))), tmp_path / "no", "--data.root")
    assert_one_sentence(setup_error(make(images="imgs/{split}")), folders / "imgs", "contains images, masks")
    assert_one_sentence(setup_error(make(masks="labels/{split}")), folders / "labels/train", "contains images, masks")
    assert_one_sentence(setup_error(make(train="dev")), folders / "images/dev", "contains train, val")
    assert_one_sentence(
        setup_error(make(images="{split}_im")), folders / "train_im or", "training_im", "--data.train=NAME"
    )
    assert_one_sentence(setup_error(make(), "test"), "images/test or", "images/testing", "--data.test=NAME")
    assert_one_sentence(setup_error(make(images="images/val", masks="masks/val"), "test"), "no test split", "{split}")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert_one_sentence(setup_error(make(root=str(tmp_path))), tmp_path / "images", "contains no images")
    assert_one_sentence(setup_error(make(root=str(tmp_path), image_suffix="_x")), "contains no images ending in '_x'")


# splits


@pytest.mark.parametrize(
    ("train", "val", "test"), [("train", "val", "test"), ("training", "validation", "testing"), ("train", "valid", "")]
)
def test_usual_split_names_are_found(tmp_path: Path, train: str, val: str, test: str) -> None:
    for count, split in enumerate((train, val, test), start=1):
        write_split(tmp_path, split or "tests", count)
    data = FolderSegmentation(str(tmp_path), test=test or "tests", classes=NAMES)
    assert [len(data.read(split)) for split in ("train", "val", "test")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{split}/images", "{split}/masks"),
        ("{split}", "{split}annot"),
        ("x/{split}_im/y", "{split}-gt"),
        ("{split}",) * 2,
    ],
    ids=str,
)
def test_templates_locate_splits(tmp_path: Path, images: str, masks: str) -> None:
    suffix = "_mask" if images == masks else ""
    for count, split in enumerate(("train", "dev"), start=2):
        split_folders = (tmp_path / template.replace("{split}", split) for template in (images, masks))
        write_pairs(*split_folders, count, suffixes=("", suffix))
    data = FolderSegmentation(str(tmp_path), images, masks, mask_suffix=suffix, val="dev", classes=NAMES)
    assert [len(data.read(split)) for split in ("train", "val")] == [2, 3]


def test_folders_may_be_outside_the_root(folders: Path, tmp_path: Path) -> None:
    data = FolderSegmentation(str(tmp_path), f"{folders}/images/{{split}}", f"{folders}/masks/{{split}}", classes=NAMES)
    assert len(data.read("train")) == 3


def test_a_fraction_is_set_aside_for_validation(flat: Path, assert_one_sentence: OneSentence) -> None:
    data = FolderSegmentation(str(flat), classes=NAMES, val_fraction=0.3)
    train, val = data.read("train"), data.read("val")
    assert (len(train), len(val)) == (14, 6)
    assert sorted(names(train) + names(val)) == sorted(f"{k}.png" for k in range(20))
    assert_one_sentence(ValueError(val.notes[0]), flat / "images", "6 of 20", "seed 0")
    assert names(val) != sorted(names(val) + names(train))[:6], "the choice is random"
    for split in (train, val):
        assert split.names.tolist() == split.mask_names.tolist(), "masks stay with their images"


def test_the_validation_fraction_depends_only_on_its_seed(flat: Path) -> None:
    def val(**arguments: Any) -> list[str]:
        return names(FolderSegmentation(str(flat), classes=NAMES, **arguments).read("val"))

    assert val() == val(seed=5) == val(split_seed=0)
    assert len({tuple(val(split_seed=seed)) for seed in range(5)}) > 1
    assert [len(val(val_fraction=fraction)) for fraction in (0.001, 0.1, 0.999)] == [1, 2, 19]


def test_the_validation_fraction_comes_from_training(tmp_path: Path) -> None:
    write_split(write_split(tmp_path, "train", 4), "test", 2)
    data = FolderSegmentation(str(tmp_path), classes=NAMES, val_fraction=0.5)
    assert [len(data.read(split)) for split in ("train", "val", "test")] == [2, 2, 2]


def test_one_image_is_too_few_to_divide(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_split(tmp_path, "", 1)
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path), classes=NAMES)), tmp_path / "images", "1 image")


@pytest.mark.parametrize("other", ["val", "test", "Test", "testing", "dev"])
def test_images_of_other_splits_are_not_trained_on(flat: Path, other: str) -> None:
    write_split(flat, other, 3)
    write_split(flat, "city", 1)
    named = {"val": "dev"} if other == "dev" else {}
    train = FolderSegmentation(str(flat), classes=NAMES, **named).read_stored("train")
    assert len(train) == 21
    assert not [name for name in names(train) if name.startswith(other)]


@pytest.mark.parametrize("options", [{}, {"train": "Train", "val": "VAL"}])
def test_splits_are_found_in_any_case(tmp_path: Path, options: dict[str, str]) -> None:
    write_split(write_split(tmp_path, "Train", 3), "VAL", 2)
    data = FolderSegmentation(str(tmp_path), classes=NAMES, **options)
    assert [len(data.read(split)) for split in ("train", "val")] == [3, 2]


# masks that do not fit


def test_masks_of_another_size_are_refused(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_mask(folders / "masks" / "train" / "1.png", make_stripes([0], 5, 7))
    split = FolderSegmentation(str(folders), classes=NAMES).read("train")
    with pytest.raises(DataError) as caught:
        split.sample(1)
    assert_one_sentence(caught.value, split.path(1), f"{WIDTH}×{HEIGHT}", split.mask_path(1), "7×5")
    with pytest.raises(DataError):
        split.image(1)


def test_invalid_pairs_can_be_skipped(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = folders / "masks" / "train"
    write_mask(train / "0.png", make_stripes([0], 5, 7))
    (train / "1.png").write_bytes((train / "1.png").read_bytes()[:50])
    for number, values in enumerate(([7], [1]), start=3):
        write_image(folders / "images" / "train" / f"{number}.png")
        write_mask(train / f"{number}.png", make_stripes(values))
    (folders / "images" / "train" / "4.png").write_bytes(b"not an image")
    data = FolderSegmentation(str(folders), classes=NAMES, on_invalid="skip")
    data.setup("fit")
    assert names(data.splits["train"]) == ["2.png"]
    for name in ("masks/train/0.png", "masks/train/1.png", "masks/train/3.png", "images/train/4.png"):
        assert name in caplog.text


def test_counting_classes_skips_damaged_masks(folders: Path) -> None:
    (folders / "masks" / "train" / "0.png").write_bytes(b"")
    data = FolderSegmentation(str(folders), on_invalid="skip")
    data.setup("fit")
    assert (data.classes, len(data.splits["train"])) == (("class_0", "class_1", "class_2"), 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_fit_images_before_or_after_exif_rotation(tmp_path: Path, orientation: int) -> None:
    # stored as 10×16 pixels, red at the top
    stored = np.zeros((10, 16, 3), np.uint8)
    stored[:5, :, 0] = 255
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    file = tmp_path / "images" / "a.png"
    file.parent.mkdir()
    PIL.Image.fromarray(stored).save(file, exif=exif)
    rotated = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(file)))
    for image in (stored, rotated) if orientation > 4 else (rotated,):
        write_mask(tmp_path / "masks" / "a.png", image[:, :, 0] > 0)
        sample = FolderSegmentation(str(tmp_path), classes=NAMES).read_stored("train").sample(0)
        assert np.array_equal(sample.image[:, :, 0] > 0, sample.labels > 0)


def test_pixels_are_counted_by_class(folders: Path) -> None:
    write_mask(folders / "masks" / "train" / "1.png", make_stripes([1]))
    split = FolderSegmentation(str(folders), classes=[*NAMES, "never"]).read("train")
    quarter = WIDTH * HEIGHT // 4
    assert split.count_pixels().sum(0).tolist() == [2 * quarter, 6 * quarter, 2 * quarter, 0]
    assert split.take(np.array([False, True, False])).count_pixels().sum(0).tolist() == [0, 4 * quarter, 0, 0]


# CamVid


def test_camvid_is_read_in_its_published_layout(tmp_path: Path) -> None:
    for count, split in enumerate(("train", "val", "test"), start=1):
        write_pairs(tmp_path / split, tmp_path / f"{split}annot", count, range(12))
    data = CamVid(str(tmp_path))
    data.setup("fit")
    data.setup("test")
    assert data.classes == tuple(CAMVID_COLOURS)
    assert [len(split) for split in data.splits.values()] == [1, 2, 3]
    assert np.array_equal(data.splits["val"].labels(0), make_stripes([*range(11), 255]))


def test_camvid_refuses_other_values(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for split in ("train", "val"):
        write_pairs(tmp_path / split, tmp_path / f"{split}annot", 1, (0, 12))
    assert_one_sentence(
        setup_error(CamVid(str(tmp_path))), tmp_path / "trainannot/0.png", "value 12", "11 classes' values 0 … 10"
    )


def test_the_real_camvid_is_complete(real_data: Path) -> None:
    data = CamVid(str(real_data / "camvid"))
    data.setup("fit")
    assert [len(split) for split in data.splits.values()] == [367, 101]
    for split in data.splits.values():
        pixels = split.count_pixels()  # reads all masks and refuses other values
        assert (pixels.sum(0) > 0).all()
        assert 0.8 < pixels.sum() / (len(split) * 360 * 480) < 1, "some pixels are ignored"
        assert split.sample(len(split) - 1).image.shape == (360, 480, 3)


def test_names_are_paired_in_any_normal_form(flat: Path) -> None:
    write_image(flat / "images" / "e\u0301.png")
    write_mask(flat / "masks" / "\u00e9.png", make_stripes([0, 1]))
    pairs = FolderSegmentation(str(flat)).pair_files("train")
    assert "e\u0301.png" in pairs.names and "\u00e9.png" in pairs.mask_names


def test_splits_may_contain_the_folders(folders: Path) -> None:
    expected = {split: names(FolderSegmentation(str(folders)).read(split)) for split in ("train", "val")}
    for split in expected:
        for kind in ("images", "masks"):
            (folders / split.upper()).mkdir(exist_ok=True)
            (folders / kind / split).rename(folders / split.upper() / kind)
    for kind in ("images", "masks"):
        (folders / kind).rename(folders / f"rest of {kind}")
    assert {split: names(FolderSegmentation(str(folders)).read(split)) for split in expected} == expected


@pytest.mark.parametrize("suffix", ["_mask", "-labels", ".gt"])
def test_the_suffix_of_masks_is_suggested(flat: Path, suffix: str, assert_one_sentence: OneSentence) -> None:
    for mask in (flat / "masks").iterdir():
        mask.rename(mask.with_name(f"{mask.stem}{suffix}{mask.suffix}"))
    assert_one_sentence(setup_error(FolderSegmentation(str(flat))), "pairs", f"--data.mask_suffix={suffix}")
