"""Cityscapes in its published layout: label ids, classes, and other files next to masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.segmentation import Cityscapes
from litmobile.tasks.segmentation.data_sets.known_classes import LABEL_IDS
from support.data.segmentation import make_stripes, write_cityscapes, write_mask

OneSentence = Callable[..., None]

#: names and train ids of all label ids, in order; 255 is not evaluated
PUBLISHED = [
    *[("unlabeled", 255), ("ego vehicle", 255), ("rectification border", 255), ("out of roi", 255), ("static", 255)],
    *[("dynamic", 255), ("ground", 255), ("road", 0), ("sidewalk", 1), ("parking", 255), ("rail track", 255)],
    *[("building", 2), ("wall", 3), ("fence", 4), ("guard rail", 255), ("bridge", 255), ("tunnel", 255), ("pole", 5)],
    *[("polegroup", 255), ("traffic light", 6), ("traffic sign", 7), ("vegetation", 8), ("terrain", 9), ("sky", 10)],
    *[("person", 11), ("rider", 12), ("car", 13), ("truck", 14), ("bus", 15), ("caravan", 255), ("trailer", 255)],
    *[("train", 16), ("motorcycle", 17), ("bicycle", 18)],
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cityscapes(tmp_path / "cityscapes")


def setup_error(data: Cityscapes, stage: str = "fit") -> DataError:
    with pytest.raises(DataError) as caught:
        data.setup(stage)
    return caught.value


def test_label_ids_become_train_ids(root: Path) -> None:
    labels = Cityscapes(str(root)).read("train").labels(0)
    assert labels[0].tolist() == [train_id for _, train_id in PUBLISHED]
    assert (labels == labels[0]).all()


def test_class_names_and_order_are_as_published(root: Path) -> None:
    evaluated = sorted((train_id, name) for name, train_id in PUBLISHED if train_id != 255)
    assert Cityscapes(str(root)).read("train").classes == tuple(name for _, name in evaluated)
    assert list(LABEL_IDS.items()) == [(name, PUBLISHED.index((name, k))) for k, name in evaluated]


def test_cities_are_folders_and_other_files_are_ignored(root: Path) -> None:
    data = Cityscapes(str(root))
    data.setup("fit")
    for split in data.splits.values():
        assert split.names.tolist() == [f"{city}/{city}_000000_000019_leftImg8bit.png" for city in ("aachen", "ulm")]
        assert split.mask_names.tolist() == [
            f"{city}/{city}_000000_000019_gtFine_labelIds.png" for city in ("aachen", "ulm")
        ]
        assert split.notes == ()
        assert split.sample(1).image.shape == (4, 34, 3)


@pytest.mark.parametrize("value", [34, 254, 255])
def test_values_that_are_not_label_ids_are_refused(root: Path, value: int, assert_one_sentence: OneSentence) -> None:
    split = Cityscapes(str(root)).read("train")
    values = make_stripes(range(34), 4, 34)
    values[2, 3] = value
    write_mask(split.mask_path(1), values)
    with pytest.raises(DataError) as caught:
        split.sample(1)
    assert_one_sentence(
        caught.value, split.mask_path(1), f"value {value} (row 2, column 3)", "19 classes' values 7, 8, 11,"
    )


def test_pixels_of_evaluated_classes_are_counted(root: Path) -> None:
    assert Cityscapes(str(root)).read("val").count_pixels().sum(0).tolist() == [8] * 19


def test_files_without_partner_are_named(root: Path, assert_one_sentence: OneSentence) -> None:
    next((root / "gtFine" / "val" / "ulm").glob("*labelIds.png")).unlink()
    next((root / "leftImg8bit" / "val" / "aachen").glob("*.png")).unlink()
    images, masks = root / "leftImg8bit" / "val", root / "gtFine" / "val"
    assert_one_sentence(
        setup_error(Cityscapes(str(root))),
        f"1 image in {images} without a mask ending in '_gtFine_labelIds' in {masks}: ulm/ulm_000000_000019_",
        f"1 mask in {masks} without an image ending in '_leftImg8bit' in {images}: aachen/aachen_000000_000019_",
    )


def test_files_without_partner_can_be_skipped(root: Path, assert_one_sentence: OneSentence) -> None:
    next((root / "gtFine" / "train" / "ulm").glob("*labelIds.png")).unlink()
    split = Cityscapes(str(root), on_invalid="skip").read("train")
    assert split.names.tolist() == ["aachen/aachen_000000_000019_leftImg8bit.png"]
    assert_one_sentence(ValueError(split.notes[0]), "Left out", "ulm_000000_000019_leftImg8bit.png")


@pytest.mark.parametrize("missing", ["leftImg8bit", "gtFine", "leftImg8bit/train", "gtFine/train"])
def test_missing_folders_are_named(root: Path, missing: str, assert_one_sentence: OneSentence) -> None:
    (root / missing).rename(root / "elsewhere")
    existing = "elsewhere" if "/" not in missing else "val"
    assert_one_sentence(setup_error(Cityscapes(str(root))), root / missing, "contains", existing)


def test_a_missing_root_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(setup_error(Cityscapes(str(tmp_path / "no"))), tmp_path / "no", "--data.root")


def test_the_test_split_must_be_named(root: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(setup_error(Cityscapes(str(root)), "test"), "--data.test=NAME")
    data = Cityscapes(str(root), test="val")
    data.setup("test")
    assert np.array_equal(data.splits["test"].names, data.read("val").names)
