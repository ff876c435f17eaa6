"""CIFAR-10 and CIFAR-100 as published, unpacked or not, and files that are not the published ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from litmobile.errors import DataError
from litmobile.tasks.classification import CifarClassification
from litmobile.tasks.classification.data_sets.cifar import read_cifar
from support.data.cifar import COARSE, DATA_SETS, FINE, TEN, compute_pixel, pack_cifar, patch_checksums, write_cifar

OneSentence = Callable[..., None]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a folder of a few images and makes its checksums the published ones."""

    def write(form: str, count: int = 20) -> Path:
        folder = write_cifar(tmp_path, form, count)
        patch_checksums(monkeypatch, folder)
        return folder

    return write


Published = Callable[..., Path]


def count_batches(form: str) -> int:
    """Number of training files."""
    return len(DATA_SETS[form].train_list)


@pytest.mark.parametrize("given", ["the folder", "its parent", "the archive", "the archive's folder"])
@pytest.mark.parametrize("form", DATA_SETS)
def test_folder_and_archive_are_read(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, given: str
) -> None:
    folder = published(form)
    root = {"the folder": folder, "its parent": tmp_path}.get(given)
    if root is None:
        archive = pack_cifar(folder)
        patch_checksums(monkeypatch, archive)
        folder.rename(tmp_path / "elsewhere")
        root = archive if given == "the archive" else tmp_path
    for split, count, first in (("train", count_batches(form), 0), ("test", 1, count_batches(form))):
        images = read_cifar(root, split)
        assert images.source == (folder if given in ("the folder", "its parent") else archive)
        assert images.classes == (TEN if count_batches(form) == 5 else FINE)
        assert len(images) == 20 * count
        expected = [k % 10 if count_batches(form) == 5 else 5 * k for k in range(20)] * count
        assert images.labels.tolist() == expected
        for index in (0, 3, len(images) - 1):
            image = images.image(index)
            assert image.shape == (32, 32, 3)
            for row, column, channel in ((0, 0, 0), (0, 1, 1), (31, 30, 2), (7, 31, 0)):
                batch, number = first + index // 20, index % 20
                assert image[row, column, channel] == compute_pixel(batch, number, row, column, channel)
    assert not list(tmp_path.glob("cifar*-py*/")) or folder.exists(), "an archive is not unpacked beside itself"


def test_archive_beside_its_folder_is_ignored(published: Published, tmp_path: Path) -> None:
    folder = published("cifar-100-python")
    pack_cifar(folder).write_bytes(b"damaged")
    assert read_cifar(tmp_path, "train").source == folder


def test_root_can_be_relative(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = published("cifar-100-python")
    monkeypatch.chdir(folder)
    assert read_cifar(Path(), "train").source == folder


@pytest.mark.parametrize("split", ["train", "test"])
def test_coarse_labels_are_read(published: Published, split: str) -> None:
    images = read_cifar(published("cifar-100-python"), split, "coarse")
    assert images.classes == COARSE
    assert images.labels.tolist() == list(range(20))


def test_an_image_is_named_by_file_and_number(published: Published, tmp_path: Path) -> None:
    folder = published("cifar-10-batches-py")
    assert read_cifar(tmp_path, "train").path(32) == folder / "data_batch_2, image 12"
    data = CifarClassification(str(tmp_path))
    data.setup("test")
    assert data.splits["test"].path(7) == folder / "test_batch, image 7"


@pytest.mark.parametrize("form", DATA_SETS)
def test_validation_is_a_fraction_of_train(published: Published, form: str) -> None:
    data = CifarClassification(str(published(form, 40)), val_fraction=0.25, batch_size=8, num_workers=0)
    for stage in ("fit", "test"):
        data.setup(stage)
    sizes = [len(data.splits[split]) for split in ("train", "val", "test")]
    assert sizes == ([150, 50, 40] if count_batches(form) == 5 else [20, 20, 40])  # a class of two gives one
    names = [set(data.splits[split].names.tolist()) for split in ("train", "val")]
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == 40 * count_batches(form)


def test_the_loader_yields_batches(published: Published) -> None:
    data = CifarClassification(str(published("cifar-10-batches-py")), batch_size=16, num_workers=0)
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert batch.images.shape[:2] == (10, 3)
    assert batch.targets.tolist() == data.splits["val"].labels.tolist()


def test_pixels_labels_and_names_stay_together(published: Published) -> None:
    data = CifarClassification(str(published("cifar-10-batches-py")))
    data.setup("fit")
    for split in data.splits.values():
        for index, name in enumerate(split.names.tolist()):
            file, number = name.split(", image ")
            assert split.image(index)[3, 4, 1] == compute_pixel(int(file[-1]) - 1, int(number), 3, 4, 1)
            assert split.labels[index] == int(number) % 10


def refused(root: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read_cifar(root, options.pop("split", "train"), **options)
    return caught.value


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("cifar-10-batches-py", "data_batch_5"),
        ("cifar-10-batches-py", "batches.meta"),
        ("cifar-100-python", "train"),
        ("cifar-100-python", "meta"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_file_is_named(
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    file: str,
    packed: bool,
    assert_one_sentence: OneSentence,
) -> None:
    root = folder = published(form)
    (folder / file).unlink()
    if packed:
        root = pack_cifar(folder)
        patch_checksums(monkeypatch, root)
    assert_one_sentence(refused(root), f"{form}/{file} does not exist", DATA_SETS[form].filename, DATA_SETS[form].url)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b""])
@pytest.mark.parametrize("file", ["train", "test", "meta"])
def test_a_changed_file_is_named(
    published: Published, file: str, change: Callable[[bytes], bytes], assert_one_sentence: OneSentence
) -> None:
    path = published("cifar-100-python") / file
    path.write_bytes(change(path.read_bytes()))
    assert_one_sentence(refused(path.parent), f"{path} is not the published file", CIFAR100.url)


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("labels", ["fine", "coarse"])
@pytest.mark.parametrize("file", ["train", "test", "meta"])
@pytest.mark.parametrize(
    "make_payload",
    [
        lambda path: Call(Path.touch, path),
        lambda path: Call(eval, f"open({str(path)!r}, 'w')"),
        lambda path: Call(getattr, path, "touch"),
        lambda path: Call(np.fromfile, str(path)),
    ],
    ids=["method", "eval", "getattr", "numpy function"],
)
def test_a_changed_pickle_is_not_loaded(
    published: Published,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_payload: Callable[[Path], Any],
    file: str,
    labels: str,
    assert_one_sentence: OneSentence,
) -> None:
    created, path = tmp_path / "created", published("cifar-100-python") / file
    path.write_bytes(pickle.dumps({"data": make_payload(created)}))
    assert_one_sentence(refused(path.parent, labels=labels), path)
    archive = pack_cifar(path.parent)
    assert_one_sentence(refused(archive, labels=labels), f"{archive} is not the published file")
    patch_checksums(monkeypatch, archive)
    assert_one_sentence(refused(archive, labels=labels), f"cifar-100-python/{file} is not the published file")
    assert not created.exists()


def test_missing_data_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for root in (tmp_path / "no", tmp_path, tmp_path / "no" / CIFAR10.filename):
        assert_one_sentence(refused(root), root, CIFAR10.url, CIFAR100.url, "--data.root")
    (tmp_path / "other.tar.gz").write_bytes(b"no archive")
    assert_one_sentence(refused(tmp_path / "other.tar.gz"), "other.tar.gz")


def test_a_damaged_archive_is_named(
    published: Published, monkeypatch: pytest.MonkeyPatch, assert_one_sentence: OneSentence
) -> None:
    archive = pack_cifar(published("cifar-10-batches-py"))
    patch_checksums(monkeypatch, archive)
    content = archive.read_bytes()
    for share in (0.1, 0.5, 0.9):
        archive.write_bytes(content[: int(len(content) * share)])
        assert_one_sentence(refused(archive, split="test"), archive)


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_cifar(tmp_path, "cifar-10-batches-py")
    write_cifar(tmp_path, "cifar-100-python")
    assert_one_sentence(refused(tmp_path), tmp_path, "cifar-10-batches-py", "cifar-100-python", "--data.root")


def test_cifar_10_has_no_coarse_labels(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    folder = write_cifar(tmp_path, "cifar-10-batches-py")
    assert_one_sentence(refused(tmp_path, labels="coarse"), folder, "no coarse labels")


def test_unknown_labels_are_refused(assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="labels") as caught:
        CifarClassification("cifar", labels="super")  # pyright: ignore[reportArgumentType]
    assert_one_sentence(caught.value, "fine", "coarse", "'super'")
