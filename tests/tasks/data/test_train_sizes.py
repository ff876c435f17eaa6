"""Detectors and segmenters train at several input sizes, as classifiers do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.errors import UserError
from litmobile.heads.predictions import BoxTargets
from litmobile.tasks.data.loader import ResumableLoader
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.data.sampling import MultiScaleBatches
from litmobile.tasks.detection import CocoDetection
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import FolderSegmentation, ScaleCropAugmentation
from litmobile.tools.cli import main
from support.data.segmentation import write_split
from support.training import SMALL, SMALL_SEGMENTER, load_last_checkpoint

SIZES: list[int | tuple[int, int]] = [32, (48, 64), 96]
BATCHES = {(32, 32): 6, (48, 64): 2, (96, 96): 1}  # for 2 images of 48×64
IMAGES = 10
TASKS = pytest.mark.parametrize("task", ["detection", "segmentation"])


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    return write_split(write_split(root, "train", IMAGES), "val", 3)


@pytest.fixture
def root(task: str, shapes: Path, masks: Path) -> Path:
    return shapes if task == "detection" else masks


def make_loader(task: str, root: Path, num_workers: int = 0) -> ResumableLoader:
    options: dict[str, Any] = {"batch_size": 2, "num_workers": num_workers, "seed": 1, "train_sizes": SIZES}
    data: DataModule[Any] = FolderSegmentation(str(root), **options)
    if task == "detection":
        data = CocoDetection(str(root), train="train", val="val", **options)
    data.preprocessing = Preprocessing((48, 64))
    data.setup("fit")
    loader = data.train_dataloader()
    assert isinstance(loader, ResumableLoader) and isinstance(loader.batch_sampler, MultiScaleBatches)
    return loader


def read_tensors(loader: ResumableLoader) -> list[list[torch.Tensor]]:
    batches: list[list[torch.Tensor]] = []
    for images, targets, indices, *_ in loader:
        batches.append([images, *(targets if isinstance(targets, BoxTargets) else [targets]), indices])
    return batches


@TASKS
def test_batches_of_every_size_are_complete(task: str, root: Path) -> None:
    seen: set[tuple[int, ...]] = set()
    batches = read_tensors(make_loader(task, root))
    for images, *targets, _ in batches:
        count, channels, *size = images.shape
        seen.add(tuple(size))
        assert channels == 3 and 1 <= count <= BATCHES[size[0], size[1]] + 1
        if task == "detection":
            assert (targets[0] <= torch.tensor([size[1], size[0]] * 2)).all()
        else:
            assert list(targets[0].shape) == [count, *size]
    assert seen == set(BATCHES)
    assert sorted(chain.from_iterable(batch[-1].tolist() for batch in batches)) == list(range(IMAGES))


@TASKS
def test_workers_and_resuming_do_not_change_batches(task: str, root: Path) -> None:
    whole = read_tensors(make_loader(task, root))
    first, second = make_loader(task, root), make_loader(task, root, num_workers=1)
    next(iter(first))
    second.load_state_dict(first.state_dict())
    rest = read_tensors(second)
    assert len(rest) == len(whole) - 1
    for ours, theirs in zip(rest, whole[1:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@TASKS
def test_networks_train_at_several_sizes(task: str, root: Path, tmp_path: Path) -> None:
    options = SMALL if task == "detection" else SMALL_SEGMENTER
    words = [f"--data.root={root}", "--data.train_sizes=[32,[48,64],96]", "--trainer.max_epochs=1"]
    main(["fit", *options, *words, "--run", str(tmp_path)])
    state = load_last_checkpoint(tmp_path)
    assert state["global_step"] > 1
    assert all(value.isfinite().all() for value in state["state_dict"].values())


@pytest.mark.parametrize("sizes", [[], [31], [[64, 16]]], ids=str)
def test_invalid_sizes_are_refused(sizes: list[Any], assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(UserError) as caught:
        CocoDetection("nowhere", train_sizes=sizes)
    assert_one_sentence(caught.value, sizes, "32 pixels")


def test_a_fixed_crop_contradicts_train_sizes(assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(UserError) as caught:
        FolderSegmentation("nowhere", augmentation=ScaleCropAugmentation((64, 64)), train_sizes=[64, 96])
    assert_one_sentence(caught.value, "augmentation.crop", "train_sizes")
