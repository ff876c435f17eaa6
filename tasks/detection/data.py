"""Detection data: from a folder in COCO's layout to batches of uint8 images and padded boxes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...heads.predictions import BoxTargets
from ..images import read_image
from ..preprocessing import Preprocessing
from ..sampling import Key, ShardSampler, ShuffledSampler
from .annotations import Annotations, DataError, read_coco
from .transforms import Augmentation, Resize, Sample, SSDAugmentation

# batches are padded to a multiple of this many boxes, so that few different shapes occur
BOXES_STEP = 16


class DetectionBatch(NamedTuple):
    """What a step works on.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: the objects.
        indices: ``[N]``, which images of the split these are.
    """

    images: Tensor
    targets: BoxTargets
    indices: Tensor


class DetectionDataset(Dataset[tuple[Sample, int]]):
    """Images of one split with their objects, augmented and laid into the network's input.

    Items are asked for by (index, seed); all that is random about an item follows from its seed.
    """

    def __init__(self, annotations: Annotations, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
        self.annotations = annotations
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, key: Key) -> tuple[Sample, int]:
        index, seed = key
        image = read_image(self.annotations.path(index), self.annotations.size(index))
        boxes, labels = self.annotations.objects(index)
        random = np.random.default_rng(seed)
        return self.augmentation(Sample(image, boxes, labels), self.preprocessing, random), index


def collate(items: Sequence[tuple[Sample, int]]) -> DetectionBatch:
    """Stacks samples of one size into a batch."""
    samples = [sample for sample, _ in items]
    most = max(len(sample.labels) for sample in samples)
    rows = BOXES_STEP * max(1, -(-most // BOXES_STEP))
    boxes: NDArray[np.float32] = np.zeros((len(samples), rows, 4), dtype=np.float32)
    labels: NDArray[np.int64] = np.full((len(samples), rows), -1, dtype=np.int64)
    for row, sample in enumerate(samples):
        boxes[row, : len(sample.boxes)] = sample.boxes
        labels[row, : len(sample.labels)] = sample.labels
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    targets = BoxTargets(torch.from_numpy(boxes), torch.from_numpy(labels))
    return DetectionBatch(images, targets, torch.tensor([index for _, index in items]))


def start_worker(_: int) -> None:
    """Workers are many already: OpenCV must not start threads in each."""
    cv2.setNumThreads(0)


class CocoDetection(LightningDataModule):
    """A data set in COCO's layout: images in ``root/SPLIT``, objects in ``root/annotations/instances_SPLIT.json``.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads, if there is one.
        batch_size: images a step and process.
        workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training.
        seed: of the order and the augmentation; None takes the run's.

    Attributes:
        preprocessing: how images become the input; None takes that of the network which the trainer trains.

    Raises:
        DataError: in ``setup``, if the data is not there or not COCO.
    """

    def __init__(
        self,
        root: str,
        train: str = "train2017",
        val: str = "val2017",
        test: str | None = None,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}
        self.batch_size = batch_size
        self.workers = workers
        self.augmentation = augmentation or SSDAugmentation()
        self.preprocessing: Preprocessing | None = None
        self.seed = seed
        self.splits: dict[str, Annotations] = {}

    def setup(self, stage: str) -> None:
        """Reads and checks the annotations that ``stage`` needs."""
        for split in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ()):
            if split not in self.splits:
                self.splits[split] = self.read(split)
                if self.splits[split].repairs:
                    rank_zero_info(self.splits[split].repairs)
        splits = list(self.splits.values())
        for first, other in itertools.pairwise(splits):
            if other.classes != first.classes or list(other.category_ids) != list(first.category_ids):
                raise DataError(f"{first.file} and {other.file} have different categories.")

    def read(self, split: str) -> Annotations:
        """Annotations of "train", "val" or "test"."""
        name = self.names[split]
        if name is None:
            raise DataError(f"This data has no {split} split: name one with --data.{split}=NAME.")
        if not self.root.is_dir():
            raise DataError(f"There is no data folder {self.root}: pass yours with --data.root=FOLDER.")
        return read_coco(self.root / "annotations" / f"instances_{name}.json", self.root / name)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, once ``setup`` has run."""
        return next(iter(self.splits.values())).classes

    def dataset(self, split: str, augmentation: Augmentation) -> DetectionDataset:
        """Samples of ``split``."""
        preprocessing = self.preprocessing
        if preprocessing is None and self.trainer is not None:
            preprocessing = cast(Preprocessing, self.trainer.lightning_module.preprocessing)
        return DetectionDataset(self.splits[split], preprocessing or Preprocessing(), augmentation)

    def train_dataloader(self) -> DataLoader[Any]:
        dataset = self.dataset("train", self.augmentation)
        seed = torch.initial_seed() if self.seed is None else self.seed
        sampler = ShuffledSampler(len(dataset), seed, *self._rank_and_world())
        return self._loader(dataset, sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._evaluation_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._evaluation_loader("test")

    def _evaluation_loader(self, split: str) -> DataLoader[Any]:
        dataset = self.dataset(split, Resize())
        return self._loader(dataset, ShardSampler(len(dataset), *self._rank_and_world()), drop_last=False)

    def _rank_and_world(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _loader(
        self, dataset: DetectionDataset, sampler: ShuffledSampler | ShardSampler, drop_last: bool
    ) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=start_worker,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
