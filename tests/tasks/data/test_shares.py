"""Shares of the training images are nested and stratified, and validation images may come from the training images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from litmobile.tasks.classification import ClassificationDataModule, ClassificationSplit, FolderClassification
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.data.stratified import Stratum, order_stratified
from litmobile.tasks.detection import CocoDetection
from litmobile.tasks.run import checkpoint_path
from litmobile.tasks.segmentation import FolderSegmentation
from litmobile.tools.cli import main
from litmobile.tools.evaluations import read_evaluation
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images

SHARES = (0.01, 0.1, 0.25, 0.5, 0.9)
FIT = [
    "fit",
    "--model=ClassificationTask",
    "--model.backbone=MobileNetV2",
    "--model.backbone.width=0.35",
    "--model.preprocessing.size=[32,32]",
    "--data=FolderClassification",
    "--data.num_workers=0",
    "--data.batch_size=4",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


def draw_kinds(images: int, frequencies: list[float]) -> list[Stratum]:
    """Draw kinds that overlap, the rarest first."""
    random = np.random.default_rng(3)
    shown = random.random((images, len(frequencies))) < frequencies
    kinds = [Stratum(str(k), np.flatnonzero(column), False) for k, column in enumerate(shown.T)]
    return sorted(kinds, key=lambda kind: len(kind.images))


def order(strata: list[Stratum], images: int, seed: int = 0) -> np.ndarray:
    return order_stratified(strata, images, np.random.default_rng(seed)).images


@pytest.mark.parametrize("seed", range(3))
def test_every_beginning_has_each_class_in_proportion(seed: int) -> None:
    labels = np.repeat(np.arange(4), (100, 57, 200, 10))
    strata = [Stratum(str(k), np.flatnonzero(labels == k)) for k in range(4)]
    found = order(strata, len(labels), seed)
    assert np.sort(found).tolist() == list(range(len(labels)))
    counts = np.cumsum(np.eye(4)[labels[found]], axis=0)
    expected = np.arange(1, len(labels) + 1)[:, None] * np.bincount(labels) / len(labels)
    assert np.abs(counts - expected).max() < 1.5
    assert set(labels[found[:4]]) == {0, 1, 2, 3}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_kinds_that_overlap_keep_their_proportions(share: float) -> None:
    kinds = draw_kinds(2000, [0.02, 0.1, 0.4, 0.7])
    drawn = order_stratified(kinds, 2000, np.random.default_rng(0)).take(share)
    assert len(drawn) == 2000 * share
    for kind in kinds:
        count, expected = len(np.intersect1d(kind.images, drawn)), share * len(kind.images)
        assert abs(count - expected) <= 0.06 * expected + 2, kind.name


def test_the_smallest_share_shows_every_kind() -> None:
    kinds = draw_kinds(500, [0.004, 0.01, 0.01, 0.3, 0.9])
    drawn = order_stratified(kinds, 500, np.random.default_rng(1)).take(0.001)
    assert len(drawn) <= len(kinds)
    assert all(np.intersect1d(kind.images, drawn).size for kind in kinds)


def test_images_without_a_kind_are_drawn_too() -> None:
    drawn = order_stratified([Stratum("a", np.arange(20), False)], 100, np.random.default_rng(0)).take(0.5)
    assert len(drawn) == 50 and abs((drawn < 20).sum() - 10) <= 1


class Numbered(ClassificationDataModule):
    """Images without files, 30 of one class, 9 of another and 1 of a third."""

    def read(self, split: str) -> ClassificationSplit:
        labels = np.repeat(np.arange(3), (30, 9, 1))
        names = np.array([f"{split}-{k}" for k in range(40)])
        pixels = np.zeros((40, 4, 4, 3), dtype=np.uint8)
        source, classes = Path(split), ("common", "rare", "single")
        return ClassificationSplit(
            source=source, folder=source, names=names, labels=labels, classes=classes, pixels=pixels
        )


def read_names(data: DataModule, split: str = "train", stage: str = "fit") -> list[str]:
    data.setup(stage)
    return data.splits[split].names.tolist()


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    return write_block_images(write_block_images(root, "train", 12), "val", 3)


KINDS: dict[str, Callable[..., DataModule]] = {
    "classification": lambda shapes, masks, **options: Numbered(**options),
    "detection": lambda shapes, masks, **options: CocoDetection(str(shapes), train="train", val="val", **options),
    "segmentation": lambda shapes, masks, **options: FolderSegmentation(str(masks), **options),
}


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_nested_and_change_nothing_else(kind: str, shapes: Path, masks: Path) -> None:
    data = KINDS[kind](shapes, masks)
    everything, val = read_names(data), read_names(data, "val")
    smaller: set[str] = set()
    for share in SHARES:
        data = KINDS[kind](shapes, masks, train_share=share)
        names = read_names(data)
        assert names == [name for name in everything if name in names]  # in their order
        assert smaller <= set(names) and len(names) >= round(share * len(everything))
        assert read_names(data, "val") == val
        smaller = set(names)
    assert len(smaller) < len(everything)
    assert read_names(KINDS[kind](shapes, masks, train_share=1.0)) == everything


def test_share_depends_on_its_seed_only() -> None:
    names = read_names(Numbered(train_share=0.5, seed=1))
    assert names == read_names(Numbered(train_share=0.5, seed=2))
    assert names != read_names(Numbered(train_share=0.5, seed=1, share_seed=1))


def test_each_class_keeps_an_image() -> None:
    data = Numbered(train_share=0.05)
    data.setup("fit")
    assert np.bincount(data.splits["train"].labels).tolist() == [1, 1, 1]
    data = Numbered(train_share=0.5)
    data.setup("fit")
    assert np.bincount(data.splits["train"].labels).tolist() in ([15, 4, 1], [14, 5, 1])


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_val_from_train_divides_the_training_images(kind: str, shapes: Path, masks: Path) -> None:
    everything = set(read_names(KINDS[kind](shapes, masks)))
    data = KINDS[kind](shapes, masks, val_from_train=0.3)
    train, val = set(read_names(data)), set(read_names(data, "val"))
    assert train | val == everything and not train & val and 2 <= len(val) < len(train)
    alone = KINDS[kind](shapes, masks, val_from_train=0.3)
    assert read_names(alone, "val", "validate") == read_names(data, "val")
    half = KINDS[kind](shapes, masks, val_from_train=0.3, train_share=0.5)
    assert set(read_names(half)) < train and read_names(half, "val") == read_names(data, "val")


INVALID = {"train_share": (0, 1.5, -0.1), "val_from_train": (0, 1, 1.5), "share_seed": (-1,)}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in INVALID.items() for value in values])
def test_invalid_shares_are_refused(name: str, value: float, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Numbered(**{name: value})
    assert_one_sentence(caught.value, name, value)


def test_single_image_of_a_class_is_not_divided(assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="single") as caught:
        Numbered(val_from_train=0.5).setup("fit")
    assert_one_sentence(caught.value, "1 image of single")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    write_class_folders(root / "train", 24)
    write_class_folders(root / "val", 6)
    return root


def test_runs_record_the_images_of_their_share(folders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, root = tmp_path / "run", f"--data.root={folders}"
    main([*FIT, root, f"--run={run}", "--data.train_share=0.5", "--data.val_from_train=0.25"])
    expected = FolderClassification(str(folders), train_share=0.5, val_from_train=0.25)
    names = read_names(expected)
    stored = torch.load(checkpoint_path(run, "last"), weights_only=True)["data"]
    assert stored == expected.fingerprints() and stored["train"]["images"] == len(names) == 9
    assert list(read_evaluation(run, "val").evidence.names) == expected.splits["val"].names.tolist()
    before = json.loads((run / "val.json").read_text())
    main(["validate", "--run", str(run)])
    assert json.loads((run / "val.json").read_text()) == before
    caplog.clear()
    main(["fit", "--run", str(run), "--data.train_share=1", "--trainer.max_epochs=2"])
    assert "The train split has changed since the checkpoint was written: 18 images instead of 9" in caplog.text


def test_evaluation_dataloader_shows_training_images_plainly(folders: Path) -> None:
    data = FolderClassification(str(folders), batch_size=5, num_workers=0)
    data.setup("fit")
    batches = [list(data.evaluation_dataloader("train")) for _ in range(2)]
    indices = torch.cat([batch.indices for batch in batches[0]])
    assert indices.tolist() == list(range(24))
    assert all(torch.equal(one.images, other.images) for one, other in zip(*batches, strict=True))
