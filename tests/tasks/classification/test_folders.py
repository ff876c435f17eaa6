"""One folder per class: what is read, ignored and refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import ClassificationSplit, FolderClassification
from litmobile.tasks.data.files import STRAY_FOLDERS
from support.data.images import write_empty_files, write_grey_image

OneSentence = Callable[..., None]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A data set of two classes with three training images and one validation image each."""
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        for number in range(3):
            write_grey_image(root / "train" / name / f"{number}.png", number)
        write_grey_image(root / "val" / name / "0.png")
    return root


def names(images: ClassificationSplit) -> list[str]:
    return images.names.tolist()


def test_folders_are_classes(folders: Path) -> None:
    images = FolderClassification(str(folders)).read("train")
    assert images.classes == ("cat", "dog")
    assert names(images) == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png"]
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [int(images.image(k).max()) for k in range(6)] == [0, 1, 2] * 2
    assert images.notes == ()


def test_classes_can_have_another_order(folders: Path) -> None:
    data = FolderClassification(str(folders), classes=["dog", "cat"])
    data.setup("fit")
    assert data.classes == ("dog", "cat")
    assert [int(split.labels[0]) for split in data.splits.values()] == [0, 0]
    assert names(data.splits["train"])[0] == "dog/0.png"


@pytest.mark.parametrize(
    "name", ["A.JPG", "b.Jpeg", "with blank.png", "grün-ß.png", "two\nlines.png", "a.b.png", "deep/er/c.png", "日.png"]
)
def test_images_are_found_under_any_name(folders: Path, name: str) -> None:
    write_grey_image(folders / "train" / "cat" / name, 200)
    images = FolderClassification(str(folders)).read("train")
    assert images.notes == ()
    index = names(images).index(f"cat/{name}")
    assert images.labels[index] == 0
    assert images.image(index).shape == (8, 8, 3)
    assert abs(int(images.image(index).mean()) - 200) < 3


def test_names_that_are_not_utf_8_are_read(folders: Path) -> None:
    odd = os.fsencode(folders / "train" / "cat") + b"/\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes((folders / "train" / "cat" / "0.png").read_bytes())
    except OSError:
        pytest.skip("this file system accepts only UTF-8")
    images = FolderClassification(str(folders)).read("train")
    assert len(images) == 7
    assert all(images.image(k).shape == (8, 8, 3) for k in range(7))


@pytest.mark.parametrize("name", [".hidden", ".ipynb_checkpoints", *STRAY_FOLDERS])
def test_folders_that_programs_create_are_ignored(folders: Path, name: str) -> None:
    write_grey_image(folders / "train" / name / "x.png")
    write_grey_image(folders / "train" / "cat" / name / "x.png")
    images = FolderClassification(str(folders)).read("train")
    assert images.classes == ("cat", "dog")
    assert len(images) == 6
    assert images.notes == ()


def test_other_folders_with_underscores_are_classes(folders: Path) -> None:
    write_grey_image(folders / "train" / "__background__" / "x.png")
    assert "__background__" in FolderClassification(str(folders)).read("train").classes


def test_other_files_are_counted_and_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    train = folders / "train"
    write_empty_files(
        train / ".DS_Store", train / "cat" / "._0.png", train / "cat" / "Thumbs.db", train / "cat" / "a\nb.txt"
    )
    (note,) = FolderClassification(str(folders)).read("train").notes
    assert_one_sentence(ValueError(note), train, "4 files", ".DS_Store", "cat/._0.png", "cat/Thumbs.db", "'cat/a\\nb.t")
    for number in range(7):
        write_empty_files(train / "dog" / f"{number}.json")
    images = FolderClassification(str(folders)).read("train")
    assert_one_sentence(ValueError(images.notes[0]), "11 files", "7 × .json", "1 × .db")
    assert len(images) == 6


def test_a_single_other_file_is_in_the_singular(folders: Path) -> None:
    write_empty_files(folders / "train" / "list.txt")
    (note,) = FolderClassification(str(folders)).read("train").notes
    assert note == f"{folders / 'train'} contains 1 file that is not an image, left out: list.txt."


def test_links_to_images_and_folders_are_followed(folders: Path, tmp_path: Path) -> None:
    elsewhere = write_grey_image(tmp_path / "elsewhere" / "far.png", 9).parent
    (folders / "train" / "emu").symlink_to(elsewhere)
    (folders / "train" / "cat" / "link.png").symlink_to(elsewhere / "far.png")
    (folders / "train" / "dog" / "more").symlink_to(elsewhere)
    images = FolderClassification(str(folders)).read("train")
    assert images.classes == ("cat", "dog", "emu")
    assert {"emu/far.png", "cat/link.png", "dog/more/far.png"} <= set(names(images))


def test_circular_links_are_not_followed(folders: Path) -> None:
    (folders / "train" / "cat" / "again").symlink_to(folders / "train" / "cat")
    inner = folders / "train" / "dog" / "inner"
    inner.mkdir()
    (inner / "up").symlink_to(folders / "train" / "dog")
    assert len(FolderClassification(str(folders)).read("train")) == 6


def refused(data: FolderClassification, stage: str = "fit") -> DataError:
    with pytest.raises(DataError) as caught:
        data.setup(stage)
    return caught.value


def test_links_to_the_root_are_not_followed(folders: Path) -> None:
    """Images of other classes would get the class of the link's folder."""
    before = names(FolderClassification(str(folders)).read("train"))
    (folders / "train" / "self").symlink_to(folders / "train")
    (folders / "train" / "cat" / "root").symlink_to(folders / "train")
    images = FolderClassification(str(folders)).read("train")
    assert images.classes == ("cat", "dog") and names(images) == before


def test_a_missing_folder_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(FolderClassification(str(tmp_path / "no"))), tmp_path / "no", "--data.root")
    assert_one_sentence(refused(FolderClassification(str(tmp_path))), tmp_path, "no classes")
    file = tmp_path / "set.zip"
    file.touch()
    assert_one_sentence(refused(FolderClassification(str(file))), file)


def test_images_without_class_folders_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_grey_image(tmp_path / "a.png")
    assert_one_sentence(refused(FolderClassification(str(tmp_path))), tmp_path, "no classes")


@pytest.mark.parametrize("folder", [".", "train"])
def test_a_flat_folder_is_explained(folder: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for number in range(8):
        write_grey_image(tmp_path / folder / f"cat_{number}.jpg")
    with pytest.raises(DataError) as caught:
        FolderClassification(str(tmp_path)).read("train")
    assert_one_sentence(caught.value, tmp_path / folder, "8 images", "own folder", "--data=ListClassification")


@pytest.mark.parametrize(("outer", "flag"), [("pets", "--data.root="), ("train/pets", "--data.train=train/")])
def test_classes_one_level_deeper_are_found(
    outer: str, flag: str, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    for name in ("cat", "dog"):
        write_grey_image(tmp_path / outer / name / "0.png")
    with pytest.raises(DataError) as caught:
        FolderClassification(str(tmp_path)).read("train")
    assert_one_sentence(caught.value, "only the folder pets, which contains cat, dog", flag, "pets.")


def test_images_only_in_nested_folders_are_noted(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for name in ("animals/cat", "animals/dog", "vehicles/car"):
        write_grey_image(tmp_path / name / "0.png")
    images = FolderClassification(str(tmp_path)).read_stored("train")
    (note,) = images.notes
    assert_one_sentence(ValueError(note), "animals/cat", "the outer folders animals, vehicles")


def test_images_beside_class_folders_are_noted(folders: Path) -> None:
    write_grey_image(folders / "train" / "extra.png")
    (note,) = FolderClassification(str(folders)).read("train").notes
    assert note == f"{folders / 'train'} contains 1 image outside its class folders, left out: extra.png."


@pytest.mark.parametrize("name", ["Train", "TRAINING", "training"])
def test_splits_are_found_in_any_case(name: str, folders: Path) -> None:
    (folders / "train").rename(folders / name)
    assert len(FolderClassification(str(folders)).read("train")) == 6


def test_kinds_that_cannot_be_read_are_counted(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_empty_files(folders / "train" / "cat" / "IMG_1.HEIC", folders / "train" / "b.cr2")
    (note,) = FolderClassification(str(folders)).read("train").notes
    assert_one_sentence(
        ValueError(note), "2 images of kinds that cannot be read (cat/IMG_1.HEIC, b.cr2)", "JPEG or PNG"
    )


def test_a_class_of_unreadable_kinds_is_refused(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_empty_files(folders / "train" / "eel" / "IMG_1.HEIC")
    with pytest.raises(DataError) as caught:
        FolderClassification(str(folders)).read("train")
    assert_one_sentence(caught.value, "1 image of a kind that cannot be read (eel/IMG_1.HEIC): convert it")


def test_odd_files_do_not_block_the_listing(folders: Path, assert_one_sentence: OneSentence) -> None:
    cat = folders / "train" / "cat"
    os.mkfifo(cat / "fifo.png")
    (cat / "loop.png").symlink_to("loop.png")
    (folders / "train" / "loop").symlink_to("loop")
    images = FolderClassification(str(folders)).read("train")
    assert names(images)[3:5] == ["cat/fifo.png", "cat/loop.png"]
    for index in (3, 4):
        with pytest.raises(DataError) as caught:
            images.image(index)
        assert_one_sentence(caught.value, cat, "cannot be read")


def test_a_single_class_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_grey_image(tmp_path / "train" / "cat" / "a.png")
    assert_one_sentence(refused(FolderClassification(str(tmp_path))), tmp_path / "train", "only one class, cat")


@pytest.mark.parametrize("content", ["nothing", "notes.txt", ".hidden.png"])
def test_a_training_class_without_images_is_refused(
    folders: Path, content: str, assert_one_sentence: OneSentence
) -> None:
    (folders / "train" / "emu").mkdir()
    if content != "nothing":
        write_empty_files(folders / "train" / "emu" / content)
    assert_one_sentence(refused(FolderClassification(str(folders))), folders / "train" / "emu", "no images")


def test_validation_may_lack_a_class(folders: Path) -> None:
    write_grey_image(folders / "train" / "emu" / "a.png")
    data = FolderClassification(str(folders))
    data.setup("fit")
    assert data.splits["val"].counts().tolist() == [1, 1, 0]


def test_validation_needs_an_image_of_any_class(folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "val" / "cat" / "0.png").unlink()
    (folders / "val" / "cat").rmdir()
    assert len(FolderClassification(str(folders)).read("val")) == 1
    (folders / "val" / "dog" / "0.png").unlink()
    assert_one_sentence(refused(FolderClassification(str(folders))), folders / "val", "no images")


def test_a_class_missing_in_training_is_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_grey_image(folders / "val" / "emu" / "a.png")
    assert_one_sentence(refused(FolderClassification(str(folders))), folders / "val", "emu", "cat, dog")


def test_a_folder_missing_in_the_given_classes_is_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    data = FolderClassification(str(folders), classes=["cat", "emu"])
    assert_one_sentence(refused(data), folders / "train", "dog", "cat, emu")


@pytest.mark.parametrize(
    ("options", "mentioned"),
    [
        ({"val_fraction": 0.0}, "val_fraction"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"split_seed": -1}, "split_seed"),
        ({"classes": ["cat"]}, "only one class, cat"),
        ({"classes": ["cat", "dog", "cat"]}, "cat twice"),
    ],
)
def test_invalid_options_are_refused(options: dict, mentioned: str, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match=mentioned) as caught:
        FolderClassification("set", **options)
    assert_one_sentence(caught.value, mentioned)


def test_unverified_damage_is_named_when_it_is_read(folders: Path, assert_one_sentence: OneSentence) -> None:
    fake = folders / "train" / "cat" / "fake.jpg"
    fake.write_bytes(b"<html>404</html>")
    data = FolderClassification(str(folders), num_workers=0, batch_size=7, verify_images=False)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"fake\.jpg") as caught:
        list(data.train_dataloader())
    assert_one_sentence(caught.value, fake)


def test_damaged_images_can_be_skipped(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folders / "train" / "cat" / "fake.jpg").write_bytes(b"<html>404</html>")
    write_empty_files(folders / "train" / "dog" / "empty.png")
    (folders / "train" / "dog" / "gone.png").symlink_to(folders / "nowhere.png")
    data = FolderClassification(str(folders), num_workers=0, on_invalid="skip", batch_size=6)
    data.setup("fit")
    assert [caplog.text.count(f"/{name} ") for name in ("fake.jpg", "empty.png", "gone.png")] == [1, 1, 1]
    assert data.splits["train"].counts().tolist() == [3, 3]
    (batch,) = data.train_dataloader()
    assert sorted(batch.targets.tolist()) == [0, 0, 0, 1, 1, 1]


def test_taking_rows_takes_their_pixels() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(3, axis=3)
    labels = np.array([0, 1, 0, 1, 0, 1])
    whole = ClassificationSplit(
        source=Path("a"),
        folder=Path("a"),
        names=np.array([*"abcdef"]),
        labels=labels,
        classes=("x", "y"),
        pixels=pixels,
    )
    part = whole.take(labels == 1)
    assert [int(part.image(k).max()) for k in range(3)] == [1, 3, 5]
    whole.image(2)[:] = 99  # callers may modify images
    assert whole.image(2).max() == 2


@pytest.mark.parametrize(
    ("train", "val", "test"), [("train", "valid", "testing"), ("training", "validation", "test"), ("a", "b", "c/d")]
)
def test_splits_are_found_by_name_or_option(tmp_path: Path, train: str, val: str, test: str) -> None:
    for folder, count in ((train, 3), (val, 2), (test, 1)):
        for name in ("cat", "dog"):
            write_empty_files(*(tmp_path / folder / name / f"{k}.jpg" for k in range(count)))
    data = FolderClassification(str(tmp_path), **({"train": "a", "val": "b", "test": "c/d"} if train == "a" else {}))
    assert [len(data.read(split)) for split in ("train", "val", "test")] == [6, 4, 2]


def test_a_missing_test_folder_is_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(FolderClassification(str(folders)), "test"), folders, "--data.test=FOLDER")


def test_splits_are_not_classes(folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "train").rename(folders / "learn")
    assert_one_sentence(refused(FolderClassification(str(folders))), folders, "val", "--data.train=FOLDER")
    assert len(FolderClassification(str(folders), train="learn").read("train")) == 6
    assert FolderClassification(str(folders), train=".").read("train").classes == ("learn", "val")


def test_a_tilde_is_expanded(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folders.parent))
    assert len(FolderClassification("~/set").read("train")) == 6


def test_real_folders_are_read_completely(real_data: Path, assert_one_sentence: OneSentence) -> None:
    data = FolderClassification(str(real_data / "ants_bees"))
    data.setup("fit")
    for split, counts in (("train", [124, 121]), ("val", [70, 83])):
        images = data.splits[split]
        assert images.counts().tolist() == counts
        assert_one_sentence(ValueError(images.notes[0]), "1 file that is not an image", ".DS_Store")
    train = data.splits["train"]
    for name in ("ants/formica.jpeg", "ants/imageNotFound.gif"):
        assert min(train.image(names(train).index(name)).shape[:2]) > 100


@pytest.mark.parametrize("pattern", ["{}_set", "images-{}", "{}2024"])
def test_splits_may_have_longer_names(folders: Path, pattern: str) -> None:
    for split, longer in (("train", "training"), ("val", "Validation")):
        (folders / split).rename(folders / pattern.format(longer))
    data = FolderClassification(str(folders))
    assert [len(data.read(split)) for split in ("train", "val")] == [6, 2]


def test_classes_named_like_splits_are_classes(folders: Path) -> None:
    (folders / "train" / "cat").rename(folders / "cats_train")
    (folders / "train" / "dog").rename(folders / "dogs_train")
    for path in sorted((folders / "val").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folders / "val").rmdir()
    (folders / "train").rmdir()
    assert FolderClassification(str(folders)).read_stored("train").classes == ("cats_train", "dogs_train")


def test_unused_folders_are_noted(folders: Path) -> None:
    (folders / "val").rename(folders / "dev")
    assert "dev" in FolderClassification(str(folders)).read_stored("train").notes[0]


def test_class_names_are_compared_in_nfc(folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "train/cat").rename(folders / "train/caf\u00e9")
    (folders / "val/cat").rename(folders / "val/cafe\u0301")
    data = FolderClassification(str(folders))
    assert names(data.read("val"))[0] == "cafe\u0301/0.png" and data.read("val").classes == ("caf\u00e9", "dog")
    write_grey_image(folders / "train/cafe\u0301/0.png")
    with pytest.raises(DataError) as caught:
        FolderClassification(str(folders)).read("train")
    assert_one_sentence(caught.value, folders / "train", "twice")
