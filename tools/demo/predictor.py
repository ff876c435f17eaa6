"""Predicts on the images of the demo's page, one after the other, and measures how long that takes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from time import perf_counter
from typing import Any, Self, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ImageError, UserError, format_name
from ...heads.predictions import Classification, Detections, Segmentation
from ...tasks.images import EncodedImage, Image, resize_image
from ...tasks.images.files import check_is_readable_kind
from ...tasks.network import Predictor
from ...tasks.prediction import ImageResult
from ...tasks.prediction.result import DEFAULT_MIN_SCORE
from ...tasks.segmentation.masks import MAX_CLASSES as MAX_LABELS
from .answers import choose_colours, describe_prediction

T = TypeVar("T")

#: names of what a page shows, by type of the prediction
KINDS = {Detections: "detection", Segmentation: "segmentation", Classification: "classification"}
PREVIEW_SIDE = 2048  # pixels; screens show no more
PREVIEW_QUALITY = 90


class TimedInference:
    """Runs a network once and measures how long that takes; used as the ``inference`` of ``Predictor.predict``.

    Attributes:
        seconds: duration of the last run, without preprocessing and decoding.
    """

    seconds = 0.0

    def __call__(self, network: nn.Module, images: Tensor) -> Any:
        synchronise(images.device)
        start = perf_counter()
        output = network(images)
        synchronise(images.device)
        self.seconds = perf_counter() - start
        return output


def synchronise(device: torch.device) -> None:
    """Waits until a GPU has finished; a CPU has when its operators return."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


class DemoPredictor:
    """Answers the requests of the page with a network.

    One thread decodes and predicts, so that requests take turns and PyTorch keeps one pool of threads. As a context
    manager, it waits for the prediction that is under way.

    Args:
        network: predicts.
        name: heading of the page.
        description: what the network is and where it runs.
        score: score at which the threshold of a detector starts; None is the default.

    Raises:
        UserError: the page cannot show such predictions, or the score does not suit them.
    """

    def __init__(self, network: Predictor, name: str, description: str, score: float | None = None) -> None:
        self._network = network
        self._inference = TimedInference()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="demo")
        self._colours = choose_colours(network.classes)
        self._kind = self._run(self._find_kind)
        if score is not None and self._kind != "detection":
            raise UserError(f"--score is for detectors, but {name} is a network for {self._kind}.")
        if self._kind == "segmentation" and len(network.classes) > MAX_LABELS:
            raise UserError(f"The page shows at most {MAX_LABELS} classes of pixels, not {len(network.classes)}.")
        self._description = {
            "name": format_name(name),
            "description": description,
            "kind": self._kind,
            "classes": network.classes,
            "colours": self._colours,
            "score": DEFAULT_MIN_SCORE if score is None else score,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def describe(self) -> dict[str, Any]:
        """Describes the network for the page."""
        return self._description

    def predict(self, name: str, data: bytes) -> dict[str, Any]:
        """Predicts on an encoded image.

        Args:
            name: of the file, for messages.
            data: its content.

        Returns:
            Plain values: "size" (width, height) of the image, "milliseconds" of the network alone and of all work, and
            those of :func:`.answers.describe_prediction`.

        Raises:
            ImageError: the image cannot be read; see :func:`litmobile.tasks.images.read_image`.
            UserError: the network cannot predict on it.
        """
        return self._run(lambda: self._predict(name, data))

    def preview(self, name: str, data: bytes) -> bytes:
        """Returns an encoded image, which a browser cannot read, as a JPEG of at most 2048 pixels a side.

        Raises:
            ImageError: it cannot be read.
        """
        return self._run(lambda: encode_preview(decode_image(name, data)))

    def _run(self, function: Callable[[], T]) -> T:
        """Calls ``function`` in the thread of the network.

        Raises:
            ConnectionAbortedError: the demo has ended, e.g. while a camera sends images.
        """
        try:
            future = self._thread.submit(function)
        except RuntimeError as error:  # as an ended pool refuses work
            raise ConnectionAbortedError("the demo has ended") from error
        try:
            return future.result()
        except CancelledError as error:
            raise ConnectionAbortedError("the demo has ended") from error

    def _find_kind(self) -> str:
        """Predicts on a blank image, because a user's own head may have no role; also prepares the engine."""
        blank = np.zeros((*self._network.preprocessing.size, 3), dtype=np.uint8)
        prediction = self._predict_image(blank)
        for prediction_type, kind in KINDS.items():
            if isinstance(prediction, prediction_type):
                return kind
        raise UserError(f"The page shows {', '.join(KINDS.values())}, not {type(prediction).__name__}.")

    def _predict(self, name: str, data: bytes) -> dict[str, Any]:
        start = perf_counter()
        image = decode_image(name, data)
        height, width = image.shape[:2]
        prediction = self._predict_image(image)
        answer = describe_prediction(prediction, self._network.classes, self._colours)
        milliseconds = {"network": 1e3 * self._inference.seconds, "server": 1e3 * (perf_counter() - start)}
        return {"size": (width, height), "milliseconds": milliseconds, **answer}

    def _predict_image(self, image: Image) -> Any:
        """Returns the head's prediction for an image."""
        result = self._network.predict(image, self._inference)
        return result.prediction if isinstance(result, ImageResult) else result


def decode_image(name: str, data: bytes) -> Image:
    """Decodes an image file ``[H, W, 3]`` uint8 RGB as training and prediction do; ``name`` is for messages.

    Raises:
        ImageError: it cannot be read.
    """
    shown = format_name(name)
    check_is_readable_kind(shown)
    return EncodedImage(shown, data).pixels


def encode_preview(image: Image) -> bytes:
    """Encodes ``image`` ``[H, W, 3]``, reduced to a longer side of at most 2048 pixels, as JPEG."""
    height, width = image.shape[:2]
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    small = resize_image(image, max(1, round(height * scale)), max(1, round(width * scale)))
    options = [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY]
    is_encoded, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    if not is_encoded:
        raise ImageError("The image cannot be shown in a browser.")
    return encoded.tobytes()
