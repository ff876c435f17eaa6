"""The data module: shapes and types of batches, stored masks, order and seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from litmobile.errors import DataError, ImageError
from litmobile.tasks.data.split import divide
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import (
    FolderSegmentation,
    ScaleCropAugmentation,
    SegmentationDataModule,
    SegmentationSplit,
)
from litmobile.tasks.segmentation.batch import SegmentationBatch
from litmobile.tasks.segmentation.masks import ValueMaskReader
from support.data.segmentation import HEIGHT, WIDTH, make_stripes, write_image, write_mask, write_split

AFFINE = [{"class_path": "albumentations.Affine", "init_args": {"rotate": (-20, 20), "p": 0.5}}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_split(write_split(tmp_path / "set", "train", 7, (0, 1, 2, 255)), "val", 3)


def make_data(root: Path, num_workers: int = 0, seed: int = 0) -> FolderSegmentation:
    augmentation = ScaleCropAugmentation((32, 48), photometric=True, extra=AFFINE)
    data = FolderSegmentation(str(root), batch_size=2, num_workers=num_workers, augmentation=augmentation, seed=seed)
    data.preprocessing = Preprocessing((40, 48), "pad")
    data.setup("fit")
    return data


def read_epoch(data: SegmentationDataModule, number: int = 0) -> list[SegmentationBatch]:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(number)  # pyright: ignore[reportAttributeAccessIssue] — a ShuffledSampler
    return list(loader)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("fault", ["value", "size", "damaged", "image"])
def test_file_errors_reach_the_user_as_one_sentence(
    root: Path, num_workers: int, fault: str, assert_one_sentence: Callable[..., None]
) -> None:
    data = make_data(root, num_workers)
    file = root / ("images" if fault == "image" else "masks") / "train" / "5.png"
    if fault in ("value", "size"):
        write_mask(file, make_stripes((0, 77)) if fault == "value" else make_stripes((0, 1), 9, 9))
    else:
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ImageError if fault == "image" else DataError) as caught:
        read_epoch(data)
    assert_one_sentence(caught.value, file)


def test_training_batches_contain_crops(root: Path) -> None:
    batches = read_epoch(make_data(root))
    assert len(batches) == 3, "the incomplete last batch is dropped"
    for batch in batches:
        assert batch.images.shape == (2, 3, 32, 48) and batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.targets.shape == (2, 32, 48) and batch.targets.dtype == torch.uint8
        assert set(batch.targets.unique().tolist()) <= {0, 1, 2, 255}
        assert batch.truths == ()
    seen = torch.cat([batch.indices for batch in batches])
    assert len(seen.unique()) == 6 and seen.max() < 7


def test_evaluation_yields_each_image_once_with_its_mask(root: Path) -> None:
    write_image(root / "images" / "val" / "1.png", 9, 21, 50)
    write_mask(root / "masks" / "val" / "1.png", make_stripes((2, 0), 21, 50))
    data = make_data(root)
    batches = list(data.val_dataloader())
    assert torch.cat([batch.indices for batch in batches]).tolist() == [0, 1, 2]
    truths = [truth for batch in batches for truth in batch.truths]
    split = data.splits["val"]
    for index, (truth, image, target) in enumerate(
        zip(truths, torch.cat([b.images for b in batches]), torch.cat([b.targets for b in batches]), strict=True)
    ):
        sample, preprocessing = split.sample(index), data.input_preprocessing
        assert truth.labels.dtype == torch.uint8
        assert np.array_equal(truth.labels, sample.labels)
        assert truth.geometry == preprocessing.geometry(*sample.labels.shape)
        assert np.array_equal(image.permute(1, 2, 0), preprocessing.apply(sample.image))
        assert target.shape == (40, 48)
        assert (target[truth.geometry.rows :] == 255).all() and (target[: truth.geometry.rows] != 255).all()
    assert [truth.labels.shape for truth in truths] == [(HEIGHT, WIDTH), (21, 50), (HEIGHT, WIDTH)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores
def test_batches_do_not_depend_on_num_workers(root: Path) -> None:
    for one, other in zip(
        read_epoch(make_data(root, num_workers=0)), read_epoch(make_data(root, num_workers=2)), strict=True
    ):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets, other.targets)


def test_batches_depend_on_seed_and_epoch(root: Path) -> None:
    def images(seed: int, number: int) -> bytes:
        return b"".join(batch.images.numpy().tobytes() for batch in read_epoch(make_data(root, seed=seed), number))

    assert images(0, 0) == images(0, 0)
    assert len({images(seed, number) for seed in (0, 1) for number in (0, 1)}) == 4


def test_the_default_augmentation_scales_and_flips(root: Path) -> None:
    augmentation = FolderSegmentation(str(root)).augmentation
    assert isinstance(augmentation, ScaleCropAugmentation)
    assert (augmentation.scale, augmentation.flip, augmentation.crop) == ((0.5, 2.0), 0.5, None)


class Own(SegmentationDataModule):
    """A user's data set, whose splits have the same classes or different ones."""

    def __init__(self, folder: Path, has_same_classes: bool) -> None:
        super().__init__(batch_size=1, num_workers=0)
        self.folder = folder
        self.has_same_classes = has_same_classes

    def read(self, split: str) -> SegmentationSplit:
        names = np.array(["0.png"])
        classes = ("a", "b" if self.has_same_classes else split)
        images, masks = self.folder / "images" / split, self.folder / "masks" / split
        return SegmentationSplit(
            source=images,
            folder=images,
            names=names,
            classes=classes,
            mask_folder=masks,
            mask_names=names,
            read_mask=lambda file: np.zeros((8, 12), np.uint8),
        )


def test_own_data_sets_only_implement_read(root: Path) -> None:
    data = Own(root, has_same_classes=True)
    data.setup("fit")
    assert data.classes == ("a", "b")
    (batch,) = data.val_dataloader()
    assert batch.images.shape == (1, 3, 320, 320)
    assert data.splits["train"].count_pixels().sum(0).tolist() == [96, 0]


def test_splits_with_different_classes_are_refused(root: Path, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(DataError) as caught:
        Own(root, has_same_classes=False).setup("fit")
    assert_one_sentence(caught.value, root / "images" / "train", root / "images" / "val")


def test_divided_splits_share_no_image(root: Path) -> None:
    whole = FolderSegmentation(str(root)).read("train")
    first, second = divide(whole, 0.4, seed=3)
    assert sorted([*first.names, *second.names]) == whole.names.tolist()
    assert len(second) == 3
    with pytest.raises(DataError):
        whole.take(np.zeros(7, dtype=bool))


@pytest.mark.parametrize("images", [1, 5, 8, 9, 20, 101])
def test_evaluation_starts_with_images_from_the_whole_split(images: int, tmp_path: Path) -> None:
    names = np.array([f"{k:03d}.png" for k in range(images)])
    split = SegmentationSplit(
        source=tmp_path,
        folder=tmp_path,
        names=names,
        classes=("a", "b"),
        mask_folder=tmp_path,
        mask_names=names,
        read_mask=ValueMaskReader([0, 1]),
    )
    order = [int(name[:3]) for name in split.in_evaluation_order().names]
    assert sorted(order) == list(range(images))
    assert split.in_evaluation_order().mask_names.tolist() == split.in_evaluation_order().names.tolist()
    first = order[: min(8, images)]
    assert max(np.diff([*sorted(first), images])) <= -(-images // 8), "every part of the split is shown"


def test_strata_are_classes_by_rarity_and_all_images(root: Path) -> None:
    write_mask(root / "masks" / "train" / "3.png", make_stripes((0, 2)))
    strata = FolderSegmentation(str(root), classes=["a", "b", "c"]).read("train").strata()
    assert [(stratum.name, len(stratum.images)) for stratum in strata] == [("b", 6), ("a", 7), ("c", 7), ("", 7)]
