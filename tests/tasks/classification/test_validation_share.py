"""Validation images that are set aside where a data set has no validation folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import ClassificationSplit, FolderClassification
from litmobile.tasks.classification.data_sets.folders import read_folders
from support.data.images import write_empty_files

OneSentence = Callable[..., None]


def names(images: ClassificationSplit) -> list[str]:
    return images.names.tolist()


def write_two_classes(root: Path, count: int = 20) -> None:
    """Writes a class of ``count`` empty image files, and one of twice as many."""
    for name, number in (("cat", count), ("dog", 2 * count)):
        write_empty_files(*(root / name / f"{k}.jpg" for k in range(number)))


def test_without_val_a_fraction_of_each_class_is_set_aside(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    data = FolderClassification(str(tmp_path), val_fraction=0.2)
    train, val = data.read("train"), data.read("val")
    assert val.counts().tolist() == [4, 8]
    assert not set(names(train)) & set(names(val))
    whole = read_folders(tmp_path, ("cat", "dog"), require_all=True)
    assert sorted(names(train) + names(val)) == sorted(names(whole))
    for part in (train, val):
        assert all(name.startswith(part.classes[label]) for name, label in zip(part.names, part.labels, strict=True))
    assert "12 of 60 images, drawn with seed 0" in val.notes[0]


@pytest.mark.parametrize("order", [("train", "val"), ("val", "train"), ("val",), ("val", "val")])
def test_the_split_depends_only_on_its_seed(tmp_path: Path, order: tuple[str, ...]) -> None:
    write_two_classes(tmp_path)
    fresh = {split: names(FolderClassification(str(tmp_path)).read(split)) for split in ("train", "val")}
    data = FolderClassification(str(tmp_path), seed=5)
    for split in order:
        assert names(data.read(split)) == fresh[split]
    assert names(FolderClassification(str(tmp_path), split_seed=1).read("val")) != fresh["val"]


def test_the_split_does_not_depend_on_the_file_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_two_classes(tmp_path)
    before = names(FolderClassification(str(tmp_path)).read("val"))
    scandir = os.scandir

    class Shuffled:
        def __init__(self, folder: str) -> None:
            with scandir(folder) as entries:
                self.entries = sorted(entries, key=lambda entry: hash((entry.name, "other")))

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert names(FolderClassification(str(tmp_path)).read("val")) == before


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_both_parts_have_an_image_of_each_class(tmp_path: Path, fraction: float) -> None:
    write_two_classes(tmp_path, count=2)
    data = FolderClassification(str(tmp_path), val_fraction=fraction)
    assert min(*data.read("train").counts(), *data.read("val").counts()) >= 1


def test_a_class_with_one_image_cannot_be_divided(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_two_classes(tmp_path)
    write_empty_files(tmp_path / "emu" / "a.jpg")
    with pytest.raises(DataError) as caught:
        FolderClassification(str(tmp_path)).setup("fit")
    assert_one_sentence(caught.value, tmp_path, "1 image of emu")
