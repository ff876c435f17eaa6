"""Lists the images that a user passes, and prepares them in advance for batches of predictions."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import ArgumentError, UserError
from ...heads.predictions import ResizeGeometry
from ..data.files import format_unreadable_images, is_image_file, is_unreadable_image, iterate_files
from ..images import Image
from ..images.inputs import IMAGE_TYPES, PATHS, InputImage
from ..preprocessing import Preprocessing

READERS = 4  # threads that decode files while the network runs


class PreparedImage(NamedTuple):
    """An image as the network takes it.

    Attributes:
        source: as the user passes it.
        pixels: ``[H, W, 3]`` uint8.
        geometry: position of the image in ``pixels``.
    """

    source: InputImage
    pixels: Image
    geometry: ResizeGeometry


def is_single_image(source: Any) -> bool:
    """Whether ``source`` is one image, not a folder or several images."""
    is_folder = isinstance(source, PATHS) and Path(source).expanduser().is_dir()
    several = (Iterable, Mapping)
    return not is_folder and (isinstance(source, IMAGE_TYPES) or not isinstance(source, several))


def iterate_sources(source: Any) -> Iterator[InputImage]:
    """Lists the images of ``source``: an image, a folder, a list of both, or an iterator, which is read on demand.

    Raises:
        ArgumentError: it is a dictionary.
        UserError: it is an empty list, or a folder without images.
    """
    if is_single_image(source):
        return iter([InputImage(source)])
    if isinstance(source, PATHS):
        return iter(list_folder(Path(source).expanduser()))
    if isinstance(source, Mapping):
        raise ArgumentError("source is a dictionary; pass list(source.values()) if these are images.")
    if hasattr(source, "__len__") and not len(source):
        raise UserError("source is empty; pass at least one image.")
    named = ((f"source[{k}]", item) for k, item in enumerate(source))
    return itertools.chain.from_iterable(list_item(item, name) for name, item in named)


def list_item(item: Any, name: str) -> list[InputImage]:
    """Returns the images of one item of a list, which is an image or a folder."""
    if isinstance(item, PATHS) and Path(item).expanduser().is_dir():
        return list_folder(Path(item).expanduser())
    return [InputImage(item, name)]


def list_folder(folder: Path) -> list[InputImage]:
    """Returns the image files in ``folder`` and its sub-folders, sorted.

    Raises:
        UserError: it contains none.
    """
    names = sorted(iterate_files(folder), key=lambda name: name.split("/"))
    images = [name for name in names if is_image_file(name.rpartition("/")[2])]
    if not images:
        unreadable = [name for name in names if is_unreadable_image(name.rpartition("/")[2])]
        found = format_unreadable_images(folder, unreadable) if unreadable else f"{folder} contains no images."
        raise UserError(found)
    return [InputImage(folder / name) for name in images]


def prepare_image(source: InputImage, preprocessing: Preprocessing) -> PreparedImage:
    """Reads an image and resizes it to the network's input.

    Raises:
        UserError: see :meth:`.images.InputImage.read`.
    """
    image = source.read()
    geometry = preprocessing.geometry(*image.shape[:2])
    # contiguous, because PyTorch does not take views with negative strides
    return PreparedImage(source, np.ascontiguousarray(preprocessing.apply_geometry(image, geometry)), geometry)


def prepare_batches(
    sources: Iterator[InputImage], preprocessing: Preprocessing, batch_size: int
) -> Iterator[list[PreparedImage]]:
    """Yields batches of images; files of the next batch are decoded in threads meanwhile."""
    waiting: deque[Future[PreparedImage]] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        try:
            while True:
                while len(waiting) < 2 * batch_size and (source := next(sources, None)) is not None:
                    waiting.append(readers.submit(prepare_image, source, preprocessing))
                if not waiting:
                    return
                yield [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
