"""A classifier's data in several sizes: whole epochs, the same for any number of workers, and validation in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from litmobile.backbones import MobileNetV2
from litmobile.errors import DataError
from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tasks.classification.data import ClassificationBatch
from litmobile.tasks.data import ResumableLoader
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.sampling import MultiScaleBatches
from support.folders import write_folders
from support.recording import Recorder

OneSentence = Callable[..., None]
SIZES = {32: 11, 48: 5, 64: 2}  # images a step by side, for 5 of 48×48
IMAGES = 22


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that make steps of 11, 5, 2, 2 and 2."""
    root = tmp_path_factory.mktemp("folders")
    write_folders(root / "train", IMAGES)
    write_folders(root / "val", 3)
    return root


def data_of(
    root: Path, sizes: Sequence[int] | None = SIZES, num_workers: int = 0, seed: int = 1
) -> FolderClassification:
    data = FolderClassification(
        str(root), batch_size=5, num_workers=num_workers, seed=seed, train_sizes=sizes and list(sizes)
    )
    data.preprocessing = Preprocessing((48, 48))
    data.setup("fit")
    return data


def loader_of(root: Path, num_workers: int = 0) -> tuple[ResumableLoader, MultiScaleBatches]:
    loader = data_of(root, num_workers=num_workers).train_dataloader()
    assert isinstance(loader, ResumableLoader) and isinstance(loader.batch_sampler, MultiScaleBatches)
    return loader, loader.batch_sampler


def epoch_of(loader: ResumableLoader) -> list[ClassificationBatch]:
    return [ClassificationBatch(*(part.clone() for part in batch)) for batch in loader]


def assert_same(ours: list[ClassificationBatch], theirs: list[ClassificationBatch]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


def test_batches_are_of_one_size_with_as_many_images_as_keep_the_work_level(folders: Path) -> None:
    loader, _ = loader_of(folders)
    batches = epoch_of(loader)
    assert len(batches) == len(loader) == 5
    shapes = [tuple(batch.images.shape) for batch in batches]
    assert {(count, 3, side, side) for side, count in SIZES.items()} <= set(shapes)
    assert sorted(torch.cat([batch.indices for batch in batches]).tolist()) == list(range(IMAGES))
    for batch in batches:
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert len(batch.targets) == len(batch.indices) == len(batch.images)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_batches(num_workers: int, folders: Path) -> None:
    (alone, order), (is_distributed, orders) = loader_of(folders), loader_of(folders, num_workers)
    for epoch in (0, 1):
        order.set_epoch(epoch)
        orders.set_epoch(epoch)
        assert_same(epoch_of(is_distributed), epoch_of(alone))


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_loader_goes_on_behind_the_step_where_another_stopped(stop: int, num_workers: int, folders: Path) -> None:
    (first, order), (second, orders) = loader_of(folders), loader_of(folders, num_workers)
    order.set_epoch(3)
    whole = epoch_of(first)
    batches = iter(first)
    for _ in range(stop):
        next(batches)
    second.load_state_dict(first.state_dict())
    orders.set_epoch(3)
    assert_same(epoch_of(second), whole[stop:])
    orders.set_epoch(4)
    assert len(epoch_of(second)) == len(whole)


def test_a_trainer_draws_every_epoch_anew_and_validates_in_one_size(folders: Path, tmp_path: Path) -> None:
    sides: set[int] = set()

    class Watched(ClassificationTask):
        def validation_step(self, batch: ClassificationBatch, batch_idx: int) -> None:
            sides.add(batch.images.shape[-1])
            super().validation_step(batch, batch_idx)

    recorder = Recorder(str(tmp_path))
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        callbacks=recorder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    task = Watched(MobileNetV2(0.35), preprocessing=Preprocessing((48, 48)))
    trainer.fit(task, FolderClassification(str(folders), batch_size=5, num_workers=0, sizes=list(SIZES)))
    assert sides == {48}
    assert trainer.estimated_stepping_batches == trainer.global_step == 10
    epochs = [[step[1:] for step in recorder.steps if step.epoch == epoch] for epoch in range(2)]
    assert epochs[0] != epochs[1]
    for steps in epochs:
        assert sorted(image for _, images in steps for image in images) == list(range(IMAGES))


@pytest.mark.parametrize("sizes", [[], [31], [64, 16]], ids=str)
def test_sides_that_networks_do_not_take_are_refused(
    sizes: list[int], folders: Path, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match="sizes") as caught:
        data_of(folders, sizes)
    assert_one_sentence(caught.value, sizes, "32 pixels")


def test_a_single_image_is_refused_in_several_sizes(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for split in ("train", "val"):
        write_folders(tmp_path / split, 2)
    data = data_of(tmp_path)
    data.splits["train"] = data.splits["train"].take(data.splits["train"].labels == 0)
    with pytest.raises(DataError) as caught:
        data.train_dataloader()
    assert_one_sentence(caught.value, "1 image cannot", "1 process")
