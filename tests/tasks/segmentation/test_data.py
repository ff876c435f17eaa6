"""From images and masks to batches: shapes, kinds of numbers, truths, order and seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from litmobile.errors import DataError, ImageError
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import (
    FolderSegmentation,
    ScaleCropAugmentation,
    SegmentationDataModule,
    SegmentationSplit,
)
from litmobile.tasks.segmentation.data import SegmentationBatch
from litmobile.tasks.segmentation.masks import ByValue
from litmobile.tasks.segmentation.split import divide
from support.segmentation import HEIGHT, WIDTH, blocks, write_image, write_mask, write_split

COLOURFUL = [{"class_path": "albumentations.Affine", "init_args": {"rotate": (-20, 20), "p": 0.5}}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_split(write_split(tmp_path / "set", "train", 7, (0, 1, 2, 255)), "val", 3)


def data_of(root: Path, num_workers: int = 0, seed: int = 0) -> FolderSegmentation:
    augmentation = ScaleCropAugmentation((32, 48), photometric=True, extra=COLOURFUL)
    data = FolderSegmentation(str(root), batch_size=2, num_workers=num_workers, augmentation=augmentation, seed=seed)
    data.preprocessing = Preprocessing((40, 48), "pad")
    data.setup("fit")
    return data


def epoch(data: SegmentationDataModule, number: int = 0) -> list[SegmentationBatch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)  # pyright: ignore[reportAttributeAccessIssue] — a ShuffledSampler
    return list(loader)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("fault", ["value", "size", "damaged", "picture"])
def test_what_is_wrong_with_a_file_is_one_sentence_from_a_worker_as_well(
    root: Path, num_workers: int, fault: str, assert_one_sentence: Callable[..., None]
) -> None:
    data = data_of(root, num_workers)
    file = root / ("images" if fault == "picture" else "masks") / "train" / "5.png"
    if fault in ("value", "size"):
        write_mask(file, blocks((0, 77)) if fault == "value" else blocks((0, 1), 9, 9))
    else:
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ImageError if fault == "picture" else DataError) as caught:
        epoch(data)
    assert_one_sentence(caught.value, file)


def test_training_gives_batches_of_crops(root: Path) -> None:
    batches = epoch(data_of(root))
    assert len(batches) == 3, "what fills no batch is left out"
    for batch in batches:
        assert batch.images.shape == (2, 3, 32, 48) and batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.targets.shape == (2, 32, 48) and batch.targets.dtype == torch.uint8
        assert set(batch.targets.unique().tolist()) <= {0, 1, 2, 255}
        assert batch.truths == ()
    seen = torch.cat([batch.indices for batch in batches])
    assert len(seen.unique()) == 6 and seen.max() < 7


def test_evaluation_gives_every_image_once_with_the_mask_as_it_is_stored(root: Path) -> None:
    write_image(root / "images" / "val" / "1.png", 9, 21, 50)
    write_mask(root / "masks" / "val" / "1.png", blocks((2, 0), 21, 50))
    data = data_of(root)
    batches = list(data.val_dataloader())
    assert torch.cat([batch.indices for batch in batches]).tolist() == [0, 1, 2]
    truths = [truth for batch in batches for truth in batch.truths]
    split = data.splits["val"]
    for index, (truth, shown, target) in enumerate(
        zip(truths, torch.cat([b.images for b in batches]), torch.cat([b.targets for b in batches]), strict=True)
    ):
        sample, preprocessing = split.sample(index), data.input_preprocessing
        assert truth.labels.dtype == torch.uint8
        assert np.array_equal(truth.labels, sample.labels)
        assert truth.geometry == preprocessing.geometry(*sample.labels.shape)
        assert np.array_equal(shown.permute(1, 2, 0), preprocessing.apply(sample.image))
        assert target.shape == (40, 48)
        assert (target[truth.geometry.rows :] == 255).all() and (target[: truth.geometry.rows] != 255).all()
    assert [truth.labels.shape for truth in truths] == [(HEIGHT, WIDTH), (21, 50), (HEIGHT, WIDTH)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores
def test_the_number_of_workers_does_not_matter(root: Path) -> None:
    for one, other in zip(epoch(data_of(root, num_workers=0)), epoch(data_of(root, num_workers=2)), strict=True):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets, other.targets)


def test_a_seed_repeats_and_epochs_and_seeds_differ(root: Path) -> None:
    def images(seed: int, number: int) -> bytes:
        return b"".join(batch.images.numpy().tobytes() for batch in epoch(data_of(root, seed=seed), number))

    assert images(0, 0) == images(0, 0)
    assert len({images(seed, number) for seed in (0, 1) for number in (0, 1)}) == 4


def test_without_an_augmentation_of_ones_own_crops_are_scaled_and_mirrored(root: Path) -> None:
    augmentation = FolderSegmentation(str(root)).augmentation
    assert isinstance(augmentation, ScaleCropAugmentation)
    assert (augmentation.scale, augmentation.flip, augmentation.crop) == ((0.5, 2.0), 0.5, None)


class Own(SegmentationDataModule):
    """Data of a user's own: a class a split."""

    def __init__(self, folder: Path, same: bool) -> None:
        super().__init__(batch_size=1, num_workers=0)
        self.folder = folder
        self.same = same

    def read(self, split: str) -> SegmentationSplit:
        names = np.array(["0.png"])
        classes = ("a", "b" if self.same else split)
        images, masks = self.folder / "images" / split, self.folder / "masks" / split
        return SegmentationSplit(images, images, names, masks, names, classes, lambda file: np.zeros((8, 12), np.uint8))


def test_data_of_ones_own_needs_nothing_but_a_way_to_read(root: Path) -> None:
    data = Own(root, same=True)
    data.setup("fit")
    assert data.classes == ("a", "b")
    (batch,) = data.val_dataloader()
    assert batch.images.shape == (1, 3, 320, 320)
    assert data.splits["train"].pixels().sum(0).tolist() == [96, 0]


def test_splits_of_other_classes_are_refused(root: Path, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(DataError) as caught:
        Own(root, same=False).setup("fit")
    assert_one_sentence(caught.value, root / "images" / "train", root / "images" / "val")


def test_no_image_is_kept_and_split_off_both(root: Path) -> None:
    whole = FolderSegmentation(str(root)).read("train")
    first, second = divide(whole, 0.4, seed=3)
    assert sorted([*first.names, *second.names]) == whole.names.tolist()
    assert len(second) == 3
    with pytest.raises(DataError):
        whole.take(np.zeros(7, dtype=bool))


@pytest.mark.parametrize("images", [1, 5, 8, 9, 20, 101])
def test_an_evaluation_begins_with_pictures_from_all_parts_of_the_split_and_has_each_once(
    images: int, tmp_path: Path
) -> None:
    names = np.array([f"{k:03d}.png" for k in range(images)])
    split = SegmentationSplit(tmp_path, tmp_path, names, tmp_path, names, ("a", "b"), ByValue([0, 1]))
    order = [int(name[:3]) for name in split.in_evaluation_order().names]
    assert sorted(order) == list(range(images))
    assert split.in_evaluation_order().mask_names.tolist() == split.in_evaluation_order().names.tolist()
    first = order[: min(8, images)]
    assert max(np.diff([*sorted(first), images])) <= -(-images // 8), "no part of it is passed over"
