"""ImageNet in folders and as Kaggle packs it: the same classes in the same order; missing parts are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import ImageNetClassification
from support.data.images import write_empty_files, write_grey_image

OneSentence = Callable[..., None]

TENCH, CRANE, OTHER_CRANE = "n01440764", "n02012849", "n03126707"
IDS = (TENCH, CRANE, OTHER_CRANE)
WORDS = f"{CRANE} crane\n{TENCH} tench, Tinca tinca\n{OTHER_CRANE} crane\nn03710637 maillot\n"
NAMES = ("tench, Tinca tinca", f"crane ({CRANE})", f"crane ({OTHER_CRANE})")
SOLUTION = (
    "ImageId,PredictionString\n"
    f"ILSVRC2012_val_00000002,{OTHER_CRANE} 85 1 499 272 \n"
    f"ILSVRC2012_val_00000001,{CRANE} 1 2 3 4 {CRANE} 5 6 7 8 \n"
    f"ILSVRC2012_val_00000003,{TENCH} 131 0 499 254 \n"
)


def write_train(base: Path) -> None:
    for value, key in enumerate(reversed(IDS)):
        for number in (10, 2):
            write_grey_image(base / "train" / key / f"{key}_{number}.JPEG", 50 * value)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder for each class in both splits."""
    root = tmp_path / "some" / "where" / "imagenet"
    write_train(root)
    for key in IDS:
        write_grey_image(root / "val" / key / "ILSVRC2012_val_00000001.JPEG")
    return root


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """The folder that Kaggle's archive unpacks to."""
    root = tmp_path / "kaggle"
    base = root / "ILSVRC" / "Data" / "CLS-LOC"
    write_train(base)
    for number in (1, 2, 3):
        write_grey_image(base / "val" / f"ILSVRC2012_val_0000000{number}.JPEG", 70 * number)
    (root / "LOC_val_solution.csv").write_text(SOLUTION)
    (root / "LOC_synset_mapping.txt").write_text(WORDS)
    return root


def refused(root: Path, split: str = "val", **options: str) -> DataError:
    with pytest.raises(DataError) as caught:
        ImageNetClassification(str(root), **options).read(split)
    return caught.value


def test_classes_are_sorted_ids(folders: Path) -> None:
    data = ImageNetClassification(str(folders))
    data.setup("fit")
    assert data.classes == IDS
    train, val = data.splits["train"], data.splits["val"]
    assert train.names[:2].tolist() == [f"{TENCH}/{TENCH}_10.JPEG", f"{TENCH}/{TENCH}_2.JPEG"]
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert val.labels.tolist() == [0, 1, 2]
    assert abs(int(train.image(0).mean()) - 100) < 3


@pytest.mark.parametrize("above", [0, 1, 2, 3])
def test_classes_are_named_by_words_if_there_is_a_list(folders: Path, above: int) -> None:
    folder = [folders, *folders.parents][above]
    (folder / "LOC_synset_mapping.txt").write_text(WORDS)
    for split in ("train", "val"):
        assert ImageNetClassification(str(folders)).read(split).classes == NAMES


def test_a_class_without_words_is_named_by_its_id(folders: Path) -> None:
    (folders / "LOC_synset_mapping.txt").write_text(f"{TENCH} tench\n\n{CRANE} crane\n")
    assert ImageNetClassification(str(folders)).read("val").classes == ("tench", "crane", OTHER_CRANE)


@pytest.mark.parametrize("inside", [".", "ILSVRC", "ILSVRC/Data/CLS-LOC"])
def test_kaggles_archive_is_read(kaggle: Path, inside: str) -> None:
    data = ImageNetClassification(str(kaggle / inside))
    data.setup("fit")
    assert data.classes == NAMES
    val = data.read("val")
    assert val.names.tolist() == [f"ILSVRC2012_val_0000000{k}.JPEG" for k in (1, 2, 3)]
    assert val.labels.tolist() == [1, 2, 0]
    assert abs(int(val.image(1).mean()) - 140) < 3
    assert val.notes == ()


def test_the_current_folder_can_be_the_root(kaggle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kaggle / "ILSVRC" / "Data" / "CLS-LOC")
    assert ImageNetClassification(".").read("val").labels.tolist() == [1, 2, 0]


def test_validation_works_without_train(folders: Path, kaggle: Path) -> None:
    for root in (folders, kaggle / "ILSVRC" / "Data" / "CLS-LOC"):
        (root / "train").rename(root / "away")
    assert ImageNetClassification(str(folders)).read("val").classes == IDS
    val = ImageNetClassification(str(kaggle)).read("val")
    assert val.classes == (*NAMES, "maillot")
    assert val.labels.tolist() == [1, 2, 0]


def test_a_flat_val_needs_a_list(kaggle: Path, assert_one_sentence: OneSentence) -> None:
    (kaggle / "LOC_val_solution.csv").unlink()
    base = kaggle / "ILSVRC" / "Data" / "CLS-LOC"
    assert_one_sentence(refused(kaggle), base / "val", "LOC_val_solution.csv")


@pytest.mark.parametrize(
    ("old", "new", "mentioned"),
    [
        (TENCH, "n09999999", ["line 4", "n09999999", TENCH]),
        ("ImageId", "Image", ["no column 'ImageId'"]),
        (f",{TENCH}", ",", ["line 4", "131"]),
        ("00000003", "00000001", ["line 3", "line 4"]),
        ("00000003", "00000004", ["1 of 3 images", "ILSVRC2012_val_00000003.JPEG"]),
        (f",{TENCH} 131 0 499 254 ", ",", ["line 4", "no PredictionString"]),
        (SOLUTION.splitlines()[-1], "", ["1 of 3 images", "ILSVRC2012_val_00000003.JPEG"]),
    ],
)
def test_a_wrong_list_is_named(
    kaggle: Path, old: str, new: str, mentioned: list[str], assert_one_sentence: OneSentence
) -> None:
    file = kaggle / "LOC_val_solution.csv"
    file.write_text(SOLUTION.replace(old, new))
    assert_one_sentence(refused(kaggle), file, mentioned)


def test_missing_images_are_named_or_skipped(kaggle: Path, assert_one_sentence: OneSentence) -> None:
    folder = kaggle / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    (folder / "ILSVRC2012_val_00000002.JPEG").unlink()
    error = refused(kaggle)
    assert_one_sentence(error, folder, "1 of 3 images", "ILSVRC2012_val_00000002")
    write_empty_files(folder / "other.JPEG", folder / ".DS_Store")
    val = ImageNetClassification(str(kaggle), on_invalid="skip").read("val")
    assert val.names.tolist() == ["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000003.JPEG"]
    assert val.labels.tolist() == [1, 0]
    assert val.notes[1] == str(error)
    assert_one_sentence(ValueError(val.notes[0]), "1 of 3 images", "other.JPEG")


@pytest.mark.parametrize("line", ["tench", f"{TENCH}", f"{TENCH},tench", "n1 tench"])
def test_a_wrong_line_of_words_is_named(folders: Path, line: str, assert_one_sentence: OneSentence) -> None:
    file = folders / "LOC_synset_mapping.txt"
    file.write_text(f"{CRANE} crane\n{line}\n")
    assert_one_sentence(refused(folders), file, "line 2", repr(line))


def test_folders_without_wordnet_ids_are_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "train" / "cat").mkdir()
    assert_one_sentence(refused(folders, "train"), folders / "train", "cat", "FolderClassification")


def test_a_class_missing_in_training_is_named(folders: Path, assert_one_sentence: OneSentence) -> None:
    write_grey_image(folders / "val" / "n09999999" / "a.JPEG")
    assert_one_sentence(refused(folders), folders / "val", "n09999999", TENCH)


def test_inner_archives_have_to_be_unpacked(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_empty_files(*(tmp_path / "train" / f"{key}.tar" for key in IDS))
    assert_one_sentence(refused(tmp_path, "train"), tmp_path / "train", "3 archives", f"{TENCH}.tar")


def test_missing_folders_are_named(folders: Path, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(tmp_path / "no"), tmp_path / "no", "--data.root")
    assert_one_sentence(refused(tmp_path), tmp_path, "train", "val", "ILSVRC/Data/CLS-LOC")
    for split in ("train", "val"):
        (folders / split).rename(folders / "away")
        assert_one_sentence(refused(folders, split), folders, f"no folder {split}")
        (folders / "away").rename(folders / split)
    for path in sorted((folders / "val").glob("**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert_one_sentence(refused(folders), folders / "val", "no images")


def test_the_test_split_is_refused(folders: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(folders, "test"), "litmobile validate")
