"""Training at several input sizes: complete epochs, the same for any number of workers, and validation at one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from litmobile.backbones import MobileNetV2
from litmobile.errors import DataError
from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tasks.classification.batch import ClassificationBatch
from litmobile.tasks.data.loader import ResumableLoader
from litmobile.tasks.data.sampling import MultiScaleBatches
from litmobile.tasks.preprocessing import Preprocessing
from support.data.images import write_class_folders
from support.training import Recorder

OneSentence = Callable[..., None]
SIZES = {32: 11, 48: 5, 64: 2}  # batch size by side, for 5 images of 48×48
IMAGES = 22


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images for steps of 11, 5, 2, 2 and 2."""
    root = tmp_path_factory.mktemp("folders")
    write_class_folders(root / "train", IMAGES)
    write_class_folders(root / "val", 3)
    return root


def make_data(root: Path, sizes: Iterable[int] = SIZES, num_workers: int = 0) -> FolderClassification:
    data = FolderClassification(str(root), batch_size=5, num_workers=num_workers, seed=1, train_sizes=list(sizes))
    data.preprocessing = Preprocessing((48, 48))
    data.setup("fit")
    return data


def make_loader(root: Path, num_workers: int = 0) -> tuple[ResumableLoader, MultiScaleBatches]:
    loader = make_data(root, num_workers=num_workers).train_dataloader()
    assert isinstance(loader, ResumableLoader) and isinstance(loader.batch_sampler, MultiScaleBatches)
    return loader, loader.batch_sampler


def read_epoch(loader: ResumableLoader) -> list[ClassificationBatch]:
    return [ClassificationBatch(*(part.clone() for part in batch)) for batch in loader]


def assert_same(ours: list[ClassificationBatch], theirs: list[ClassificationBatch]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


def test_smaller_inputs_get_larger_batches(folders: Path) -> None:
    loader, _ = make_loader(folders)
    batches = read_epoch(loader)
    assert len(batches) == len(loader) == 5
    shapes = [tuple(batch.images.shape) for batch in batches]
    assert {(count, 3, side, side) for side, count in SIZES.items()} <= set(shapes)
    assert sorted(torch.cat([batch.indices for batch in batches]).tolist()) == list(range(IMAGES))
    for batch in batches:
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert len(batch.targets) == len(batch.indices) == len(batch.images)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_batches(num_workers: int, folders: Path) -> None:
    (single, sampler), (parallel, other_sampler) = make_loader(folders), make_loader(folders, num_workers)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        other_sampler.set_epoch(epoch)
        assert_same(read_epoch(parallel), read_epoch(single))


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_loader_resumes_after_the_last_step(stop: int, num_workers: int, folders: Path) -> None:
    (first, sampler), (second, other_sampler) = make_loader(folders), make_loader(folders, num_workers)
    sampler.set_epoch(3)
    whole = read_epoch(first)
    batches = iter(first)
    for _ in range(stop):
        next(batches)
    second.load_state_dict(first.state_dict())
    other_sampler.set_epoch(3)
    assert_same(read_epoch(second), whole[stop:])
    other_sampler.set_epoch(4)
    assert len(read_epoch(second)) == len(whole)


def test_epochs_differ_and_validation_has_one_size(folders: Path, tmp_path: Path) -> None:
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
    trainer.fit(task, FolderClassification(str(folders), batch_size=5, num_workers=0, train_sizes=list(SIZES)))
    assert sides == {48}
    assert trainer.estimated_stepping_batches == trainer.global_step == 10
    epochs = [[step[1:] for step in recorder.steps if step.epoch == epoch] for epoch in range(2)]
    assert epochs[0] != epochs[1]
    for steps in epochs:
        assert sorted(image for _, images in steps for image in images) == list(range(IMAGES))


@pytest.mark.parametrize("sizes", [[], [31], [64, 16]], ids=str)
def test_invalid_sizes_are_refused(sizes: list[int], folders: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="sizes") as caught:
        make_data(folders, sizes)
    assert_one_sentence(caught.value, sizes, "32 pixels")


def test_a_single_image_is_refused_with_several_sizes(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for split in ("train", "val"):
        write_class_folders(tmp_path / split, 2)
    data = make_data(tmp_path)
    data.splits["train"] = data.splits["train"].take(data.splits["train"].labels == 0)
    with pytest.raises(DataError) as caught:
        data.train_dataloader()
    assert_one_sentence(caught.value, "1 image(s)", "1 process(es)", "2 images")
