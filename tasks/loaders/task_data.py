"""Where the batches of a task come from: one of litmobile's data modules, or a DataLoader of the user's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ...errors import TaskError
from ..data.module import DataModule
from ..network import Predictor
from ..preprocessing import Preprocessing
from .batches import check_values


class TaskData(LightningModule, ABC):
    """Finds the data of a task, and converts batches that litmobile's loaders did not make.

    Attributes:
        data_class: class of litmobile's data modules for the task.
        batch_class: class of the batches that the task takes.
        preprocessing: of the network.
        own_images: number of images that a DataLoader of the user's own yielded in the current epoch.
    """

    data_class: ClassVar[type[DataModule[Any]]]
    batch_class: ClassVar[type]
    preprocessing: Preprocessing
    own_images: int = 0

    @property
    @abstractmethod
    def predictor(self) -> Predictor:
        """What evaluations predict with."""

    def _datamodule(self) -> Any:
        try:
            return getattr(self.trainer, "datamodule", None)  # Lightning sets it at run time, untyped
        except RuntimeError:  # not attached to a trainer
            return None

    @property
    def has_data(self) -> bool:
        """Whether the data comes from one of litmobile's data modules, not from a DataLoader of the user's own."""
        return isinstance(self._datamodule(), DataModule)

    def find_split(self, name: str) -> Any:
        """Returns the split "train", "val" or "test"; None for a DataLoader of the user's own.

        Raises:
            TaskError: the data is that of another task.
        """
        return self.data().splits[name] if self.has_data else None

    def data(self) -> Any:
        """Returns the data module; raises TaskError if it is not a :attr:`data_class`."""
        data = self._datamodule()
        if not self.has_data:
            raise TaskError(
                f"base_batch_size, length, anchors=auto and class weights need a {self.data_class.__name__}: "
                "leave them out with a DataLoader of your own."
            )
        if not isinstance(data, self.data_class):
            raise TaskError(
                f"{type(self).__name__} needs data of type {self.data_class.__name__}, but got {type(data).__name__}: "
                "choose another --data, or another --model."
            )
        return data

    def take_batch(self, batch: Any) -> Any:
        """Returns a batch as a :attr:`batch_class`; that of a user's own DataLoader is converted.

        Lightning's hook for it, ``on_after_batch_transfer``, would print a warning with every data module.

        Raises:
            TaskError: the batch is not a pair of images and targets, or has other values than the task takes.
        """
        if isinstance(batch, self.batch_class):
            return batch
        converted = self.convert_batch(batch)
        if not self.own_images:  # only once an epoch, because it waits for the device
            self.check_batch(converted)
        self.own_images += len(converted.images)
        return converted

    @abstractmethod
    def convert_batch(self, batch: Any) -> Any:
        """Returns a batch of a user's own DataLoader as a :attr:`batch_class`."""

    def number_images(self, images: Tensor) -> Tensor:
        """Returns an index for each of ``images``, ``[N]``, as Lightning's sampler deals them to processes in turn."""
        first = self.own_images
        numbers = torch.arange(first, first + len(images), device=images.device)
        return numbers * self.trainer.world_size + self.trainer.global_rank

    def check_batch(self, batch: Any) -> None:
        """Raises TaskError if the values of a batch are not those that the task takes."""
        check_values(batch.images)
        height, width = size = tuple(batch.images.shape[2:])
        if size != self.preprocessing.size:
            rank_zero_warn(
                f"Your DataLoader yields images of {height}×{width} pixels, but predictions resize images to "
                f"{self.preprocessing.size}: pass preprocessing=Preprocessing({size})."
            )

    def on_train_epoch_start(self) -> None:
        self.own_images = 0
