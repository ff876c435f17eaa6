"""Predicts on images of every kind that users have, one by one or in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import check_range
from ...heads.predictions import Prediction
from ..preprocessing import Preprocessing
from .sources import PreparedImage, is_single_image, iterate_sources, prepare_batches, prepare_image

#: takes a network and images ``[N, 3, H, W]``, and returns the output of its head
Inference = Callable[[nn.Module, Tensor], Any]
BATCH_SIZE = 8  # the scores of 19 classes for eight images of 1024×2048 pixels take 1.3 GB


class Predictor(nn.Module, ABC):
    """Predicts on images: a :class:`litmobile.Network`, or a file that was exported from one.

    ``forward`` takes images ``[N, 3, H, W]``, uint8, and returns the output that :meth:`decode` takes.

    Attributes:
        classes: names of the foreground classes.
        preprocessing: how images become the input.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing

    @property
    def epoch_and_step(self) -> tuple[int, int] | None:
        """Epoch and step of the training that the weights come from, if it knows them."""
        return None

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device that the images have to be on."""

    @abstractmethod
    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        """Returns the prediction of each image, in pixels of the input, whose (height, width) is ``image_size``."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns plain values that describe it."""

    def predict(
        self,
        source: Any,
        inference: Inference | None = None,
        *,
        score: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Any:
        """Predicts on one image, or on several in batches, in evaluation mode.

        Args:
            source: a file, the bytes of a file, a PIL image of any mode, an array ``[h, w]``, ``[h, w, 1]``,
                ``[h, w, 3]`` (RGB, not OpenCV's BGR) or ``[h, w, 4]``, a tensor ``[h, w]``, ``[1, h, w]``,
                ``[3, h, w]`` or ``[4, h, w]``; or a folder, which is searched recursively, or a list of these. Arrays
                and tensors are uint8, uint16 or floats of 0 … 1, not normalised. Alpha is dropped.
            inference: how the input becomes the head's output, e.g. in sliding windows with
                :class:`litmobile.tasks.segmentation.Inference`. Default: the network sees the whole input once.
            score: lowest score of objects, or of the class of an image, e.g. 0.5. Default: all that the head returns;
                drawings and texts then show objects from 0.3.
            batch_size: images that the network sees together; lower it if memory runs out.

        Returns:
            An :class:`.result.ImageResult` on the CPU, with positions in pixels of the image; for several images, a
            list in their order. Of a head with a prediction of its own kind, this prediction. A list keeps the scores
            of all images in memory; :meth:`stream` does not.

        Raises:
            ImageError: an image cannot be read.
            UserError: the source is empty, is a URL, or is not an image, or an option does not suit the network.
        """
        if is_single_image(source):
            (result,) = self.stream(source, inference, score=score, batch_size=batch_size)
            return result
        return list(self.stream(source, inference, score=score, batch_size=batch_size))

    def stream(
        self,
        source: Any,
        inference: Inference | None = None,
        *,
        score: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Any]:
        """Yields the results of :meth:`predict` batch by batch, so that memory does not grow with their number.

        ``source`` can also be an iterator of images, e.g. of the frames of a video. Up to two batches are read in
        advance.
        """
        if score is not None:
            check_range("score", score, ge=0, le=1)
        check_range("batch_size", batch_size, ge=1)
        is_single, sources = is_single_image(source), iterate_sources(source)
        # a thread for one image would cost more time than it saves
        first = ([prepare_image(image, self.preprocessing)] for image in sources)
        batches = first if is_single else prepare_batches(sources, self.preprocessing, batch_size)
        return (result for batch in batches for result in self._predict_batch(batch, inference, score))

    @torch.inference_mode()
    def _predict_batch(
        self, batch: Sequence[PreparedImage], inference: Inference | None, score: float | None
    ) -> list[Any]:
        images = torch.stack([torch.from_numpy(image.pixels).permute(2, 0, 1) for image in batch]).to(self.device)
        self.eval()
        output = self(images) if inference is None else inference(self, images)
        decoded = self.decode(output, self.preprocessing.size)
        return [self._make_result(image, found, score) for image, found in zip(batch, decoded, strict=True)]

    def _make_result(self, image: PreparedImage, decoded: Prediction, score: float | None) -> Any:
        from .results import make_result  # draws, so it imports more than a training needs

        return make_result(decoded.to_image(image.geometry), image, self.classes, score)
