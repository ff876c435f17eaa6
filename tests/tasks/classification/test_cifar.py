"""CIFAR-10 and CIFAR-100 in every form that they are published in, whole and damaged."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import CifarClassification
from litmobile.tasks.classification.cifar_files import dictionary, read_cifar
from support.cifar import ARCHIVES, COARSE, FINE, TEN, pack_cifar, pixel, planes, python_2_pickle, write_cifar

OneSentence = Callable[..., None]
BINARY = ("cifar-10-batches-bin", "cifar-100-binary")
PYTHON = ("cifar-10-batches-py", "cifar-100-python")


def batches(form: str) -> int:
    """How many files training has."""
    return 5 if "cifar-10-" in form else 1


@pytest.mark.parametrize("given", ["the folder", "its parent", "the archive", "the archive's folder"])
@pytest.mark.parametrize("form", ARCHIVES)
def test_every_form_is_read_from_its_folder_or_archive(tmp_path: Path, form: str, given: str) -> None:
    folder = write_cifar(tmp_path, form)
    root = {"the folder": folder, "its parent": tmp_path}.get(given)
    if root is None:
        archive = pack_cifar(folder)
        folder.rename(tmp_path / "elsewhere")
        root = archive if given == "the archive" else tmp_path
    for split, count, first in (("train", batches(form), 0), ("test", 1, batches(form))):
        images = read_cifar(root, split)
        assert images.classes == (TEN if batches(form) == 5 else FINE)
        assert len(images) == 20 * count
        expected = [k % 10 if batches(form) == 5 else 5 * k for k in range(20)] * count
        assert images.labels.tolist() == expected
        for index in (0, 3, len(images) - 1):
            image = images.image(index)
            assert image.shape == (32, 32, 3)
            for row, column, channel in ((0, 0, 0), (0, 1, 1), (31, 30, 2), (7, 31, 0)):
                batch, number = first + index // 20, index % 20
                assert image[row, column, channel] == pixel(batch, number, row, column, channel)


def test_an_archive_beside_what_it_was_unpacked_to_is_left_alone(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path, "cifar-100-binary")
    pack_cifar(folder).write_bytes(b"damaged")
    assert read_cifar(tmp_path, "train").source == folder


@pytest.mark.parametrize("form", ["cifar-100-binary", "cifar-100-python"])
def test_the_coarse_classes_can_be_asked_for(tmp_path: Path, form: str) -> None:
    images = read_cifar(write_cifar(tmp_path, form), "train", "coarse")
    assert images.classes == COARSE
    assert images.labels.tolist() == list(range(20))


def test_an_image_is_named_by_its_file_and_place(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path, "cifar-10-batches-bin")
    assert read_cifar(tmp_path, "train").path(32) == folder / "data_batch_2.bin, image 12"
    data = CifarClassification(str(tmp_path))
    data.setup("test")
    assert data.image_name("test", 7) == str(folder / "test_batch.bin, image 7")


@pytest.mark.parametrize("form", ARCHIVES)
def test_validation_is_a_share_of_training_and_test_is_what_was_published(tmp_path: Path, form: str) -> None:
    data = CifarClassification(str(write_cifar(tmp_path, form, 40)), val_fraction=0.25, batch_size=8, num_workers=0)
    for stage in ("fit", "test"):
        data.setup(stage)
    sizes = [len(data.splits[split]) for split in ("train", "val", "test")]
    assert sizes == ([150, 50, 40] if batches(form) == 5 else [20, 20, 40])  # a class of two gives one
    where = [set(data.splits[split].names.tolist()) for split in ("train", "val")]
    assert not where[0] & where[1]
    assert len(where[0] | where[1]) == 40 * batches(form)


def test_batches_of_images_come_out(tmp_path: Path) -> None:
    data = CifarClassification(str(write_cifar(tmp_path, "cifar-10-batches-bin")), batch_size=16, num_workers=0)
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert batch.images.shape[:2] == (10, 3)
    assert batch.targets.tolist() == data.splits["val"].labels.tolist()


def test_a_split_keeps_pixels_labels_and_names_together(tmp_path: Path) -> None:
    data = CifarClassification(str(write_cifar(tmp_path, "cifar-10-batches-py")))
    data.setup("fit")
    for split in data.splits.values():
        for index, name in enumerate(split.names.tolist()):
            file, number = name.split(", image ")
            assert split.image(index)[3, 4, 1] == pixel(int(file[-1]) - 1, int(number), 3, 4, 1)
            assert split.labels[index] == int(number) % 10


def refused(root: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read_cifar(root, options.pop("split", "train"), **options)
    return caught.value


@pytest.mark.parametrize("form", BINARY)
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b""])
def test_a_file_of_the_wrong_length_is_named(
    tmp_path: Path, form: str, change: Callable[[bytes], bytes], assert_one_sentence: OneSentence
) -> None:
    file = sorted(write_cifar(tmp_path, form).glob("*.bin"))[-1]
    file.write_bytes(change(file.read_bytes()))
    split = "test" if "test" in file.name else "train"
    length = 3073 if "cifar-10-" in form else 3074
    assert_one_sentence(refused(tmp_path, split=split), file, f"{length} bytes", f"{file.stat().st_size} bytes")


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("cifar-10-batches-bin", "data_batch_3.bin"),
        ("cifar-10-batches-bin", "batches.meta.txt"),
        ("cifar-10-batches-py", "data_batch_5"),
        ("cifar-10-batches-py", "batches.meta"),
        ("cifar-100-binary", "train.bin"),
        ("cifar-100-binary", "fine_label_names.txt"),
        ("cifar-100-python", "train"),
        ("cifar-100-python", "meta"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_file_is_named(
    tmp_path: Path, form: str, file: str, packed: bool, assert_one_sentence: OneSentence
) -> None:
    folder = write_cifar(tmp_path, form)
    (folder / file).unlink()
    root = pack_cifar(folder) if packed else folder
    assert_one_sentence(refused(root), root, file)


def test_a_label_without_a_class_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_cifar(tmp_path / "a", "cifar-10-batches-bin") / "data_batch_2.bin"
    content = bytearray(file.read_bytes())
    content[3073 * 4] = 10
    file.write_bytes(content)
    assert_one_sentence(refused(tmp_path / "a"), file, "image 4", "label 10", "0 … 9")
    file = write_cifar(tmp_path / "b", "cifar-100-python") / "train"
    file.write_bytes(python_2_pickle({"data": planes(0, 2), "fine_labels": [3, -1], "coarse_labels": [0, 0]}))
    assert_one_sentence(refused(tmp_path / "b"), file, "image 1", "label -1", "0 … 99")


@pytest.mark.parametrize(
    ("content", "mentioned"),
    [
        ({"labels": [1, 2]}, "under data"),
        ({"data": planes(0, 2)}, "under labels"),
        ({"data": planes(0, 2), "labels": ["a", "b"]}, "under labels"),
        ({"data": planes(0, 2), "labels": [1]}, "2 pictures and 1 labels"),
        ({"data": planes(0, 2)[:, 1:], "labels": [1, 2]}, "3072"),
        ({"data": planes(0, 2).reshape(-1), "labels": [1, 2]}, "3072"),
        ({"data": [1, 2], "labels": [1, 2]}, "under data"),
        ({"data": np.zeros((2, 3072)), "labels": [1, 2]}, "f8"),
        ([1, 2], "list"),
    ],
)
def test_a_dictionary_that_is_none_of_cifars_is_named(
    tmp_path: Path, content: Any, mentioned: str, assert_one_sentence: OneSentence
) -> None:
    file = write_cifar(tmp_path, "cifar-10-batches-py") / "data_batch_1"
    file.write_bytes(python_2_pickle(content))
    assert_one_sentence(refused(tmp_path), file, mentioned)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x80\x02}q", b"\x80\x02.", b"\x80\x63.", b"(lp0\n.more"])
def test_what_is_no_pickle_is_named(tmp_path: Path, content: bytes, assert_one_sentence: OneSentence) -> None:
    file = write_cifar(tmp_path, "cifar-10-batches-py") / "data_batch_1"
    file.write_bytes(content)
    assert_one_sentence(refused(tmp_path), file)


def test_a_pickle_can_be_cut_off_anywhere(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    whole = python_2_pickle({"labels": [1, 2], "data": np.zeros((2, 3), np.uint8), "batch_label": "a"})
    assert dictionary(tmp_path, whole)["labels"] == [1, 2]
    for length in range(len(whole)):
        with pytest.raises(DataError) as caught:
            dictionary(tmp_path, whole[:length])
        assert_one_sentence(caught.value, tmp_path)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_written_anew_by_python_3_are_read(tmp_path: Path, protocol: int) -> None:
    content = {b"labels": [1, 2], "data": planes(0, 2), b"filenames": [b"a.png", b"\xff.png"]}
    found = dictionary(tmp_path, pickle.dumps(content, protocol=protocol))
    assert found["labels"] == [1, 2]
    assert found["filenames"] == [b"a.png", b"\xff.png"]
    assert np.array_equal(found["data"], planes(0, 2))


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "asks",
    [
        lambda path: Call(Path.touch, path),
        lambda path: Call(eval, f"open({str(path)!r}, 'w')"),
        lambda path: Call(getattr, path, "touch"),
        lambda path: Call(np.fromfile, str(path)),
        lambda path: Call(np.array([1], dtype=object).__reduce__()[0], np.ndarray, (0,), "O"),
        lambda path: path,
    ],
    ids=["method", "eval", "getattr", "numpy function", "array of objects", "path"],
)
def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(
    tmp_path: Path, asks: Callable[[Path], Any], protocol: int, assert_one_sentence: OneSentence
) -> None:
    made = tmp_path / "made"
    file = write_cifar(tmp_path, "cifar-10-batches-py") / "data_batch_1"
    file.write_bytes(pickle.dumps({"data": asks(made)}, protocol=protocol))
    assert_one_sentence(refused(tmp_path), file)
    assert not made.exists()


def test_a_refusal_says_what_the_pickle_asked_for(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    content = pickle.dumps(Call(eval, "1"), protocol=2)
    with pytest.raises(DataError) as caught:
        dictionary(tmp_path / "batch", content)
    assert_one_sentence(caught.value, tmp_path / "batch", "eval", "was not loaded")


def test_no_such_data_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(tmp_path / "no"), tmp_path / "no")
    assert_one_sentence(refused(tmp_path), tmp_path, *ARCHIVES)
    (tmp_path / "other.tar.gz").write_bytes(b"no archive")
    assert_one_sentence(refused(tmp_path / "other.tar.gz"), "other.tar.gz", "no tar archive")
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    assert_one_sentence(refused(tmp_path / "empty.tar"), "empty.tar")


def test_a_damaged_archive_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    archive = pack_cifar(write_cifar(tmp_path, "cifar-10-batches-bin"))
    content = archive.read_bytes()
    for share in (0.1, 0.5, 0.9):
        archive.write_bytes(content[: int(len(content) * share)])
        assert_one_sentence(refused(archive, split="test"), archive)


def test_several_data_sets_in_one_folder_are_not_guessed_between(
    tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_cifar(tmp_path, "cifar-10-batches-py")
    write_cifar(tmp_path, "cifar-100-python")
    assert_one_sentence(refused(tmp_path), tmp_path, "cifar-10-batches-py", "cifar-100-python", "--data.root")


def test_cifar_10_has_no_coarse_labels(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    folder = write_cifar(tmp_path, "cifar-10-batches-py")
    assert_one_sentence(refused(tmp_path, labels="coarse"), folder, "no coarse labels")


def test_other_kinds_of_labels_are_refused(assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="labels") as caught:
        CifarClassification("cifar", labels="super")  # pyright: ignore[reportArgumentType]
    assert_one_sentence(caught.value, "fine", "coarse", "'super'")
