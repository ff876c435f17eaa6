"""Classes of a detection data set: the same in all splits, selected, ordered and merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import DataError, UserError
from litmobile.tasks.detection import CocoDetection

Content = dict[str, Any]
WriteCoco = Callable[..., tuple[Path, Path]]
OneSentence = Callable[..., None]


def data_of(root: Path, **options: Any) -> CocoDetection:
    return CocoDetection(str(root), **{"train": "train", "val": "val", "num_workers": 0} | options)


def change_categories(content: Content, change: str) -> None:
    """Change the categories of a file: other ids, another order, one more, or one less with its objects."""
    if change == "ids":
        for record in (*content["categories"], *content["annotations"]):
            key = "id" if "name" in record else "category_id"
            record[key] += 50
    elif change == "order":
        content["categories"].reverse()
    elif change == "one more":
        content["categories"].append({"id": 70, "name": "unused"})
    else:
        del content["categories"][0]
        content["annotations"] = [row for row in content["annotations"] if row["category_id"] != 9]


@pytest.mark.parametrize(
    ("change", "noted"), [("ids", ""), ("order", ""), ("one more", "unused"), ("one less", "nine")]
)
def test_classes_of_two_splits_are_matched_by_name(
    content: Content, write_coco: WriteCoco, tmp_path: Path, change: str, noted: str
) -> None:
    write_coco(content, "train")
    change_categories(content, change)
    write_coco(content, "val")
    data = data_of(tmp_path / "coco", test="val")
    for stage in ("fit", "validate", "test"):
        data.setup(stage)
    assert data.classes == ("zero", "four", "nine")
    train, val = data.splits["train"], data.splits["val"]
    expected = train.take_objects(train.labels < 2) if change == "one less" else train
    assert val.labels.tolist() == expected.labels.tolist()
    assert val.classes == val.ground_truth.classes == train.classes
    assert noted in "".join(val.notes) and bool(noted) == bool(val.notes)


def test_validation_needs_no_training_images(content: Content, write_coco: WriteCoco, tmp_path: Path) -> None:
    _, folder = write_coco(content, "train")
    write_coco(content, "val")
    folder.rename(tmp_path / "elsewhere")
    data = data_of(tmp_path / "coco")
    data.setup("validate")
    assert data.classes == ("zero", "four", "nine")
    with pytest.raises(DataError, match="train"):
        data_of(tmp_path / "coco").setup("fit")


def test_a_class_that_only_val_has_is_refused(
    content: Content, write_coco: WriteCoco, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_coco(content, "train")
    content["categories"][0].update(name="other")
    write_coco(content, "val")
    with pytest.raises(DataError) as caught:
        data_of(tmp_path / "coco").setup("fit")
    assert_one_sentence(caught.value, "instances_train.json", "instances_val.json", "other")


@pytest.mark.parametrize(
    ("classes", "names", "labels"),
    [
        (["nine", "four"], ("nine", "four"), [0, 1]),
        (["zero"], ("zero",), [0]),
        ({"both": ["four", "zero"], "nine": ["nine"]}, ("both", "nine"), [1, 0, 0]),
    ],
    ids=str,
)
def test_classes_are_selected_ordered_and_merged(
    content: Content, write_coco: WriteCoco, tmp_path: Path, classes: Any, names: tuple[str, ...], labels: list[int]
) -> None:
    for split in ("train", "val"):
        write_coco(content, split)
    data = data_of(tmp_path / "coco", classes=classes)
    data.setup("fit")
    assert data.classes == names
    assert data.splits["train"].labels.tolist() == labels
    truth = data.splits["val"].ground_truth
    assert sorted(truth.categories[~truth.is_crowd].tolist()) == sorted(labels)


@pytest.mark.parametrize("classes", [["niner"], {"a": ["niner"]}], ids=str)
def test_an_unknown_class_is_named(content: Content, write_coco: WriteCoco, tmp_path: Path, classes: Any) -> None:
    write_coco(content, "train")
    with pytest.raises(DataError, match=r"has no class niner; .* did you mean nine\?"):
        data_of(tmp_path / "coco", classes=classes, val="train").setup("fit")


@pytest.mark.parametrize("classes", [[], ["a", "a"], {"a": []}, {"a": ["b"], "c": ["b"]}], ids=str)
def test_contradictory_classes_are_refused(tmp_path: Path, classes: Any) -> None:
    with pytest.raises(UserError, match="classes"):
        data_of(tmp_path, classes=classes)
