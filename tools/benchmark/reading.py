"""Benchmarks of our data loader against decoding alone: detection, one process, from JPEG photographs to 320 px."""

from __future__ import annotations

import functools
import itertools
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ...tasks.data.loader import collate_or_return_error
from ...tasks.data.sampling import SampleKey
from ...tasks.data.split import SplitDataset
from ...tasks.detection.batch import collate
from ...tasks.detection.split import DetectionSplit, ImageRecord
from ...tasks.detection.transforms import SSDAugmentation
from ...tasks.images import Image
from ...tasks.memory import keep_freed_memory
from ...tasks.preprocessing import Preprocessing
from .sides import Setting, Side, Step

SIZE = 320
BOXES = 7  # per image, as in COCO
# size, and decay of the amplitude from one octave of detail to the next: files at quality 90 are as large as real ones,
# 0.57 bytes per pixel as in COCO, and 3 MB for 12 megapixels
SMALL, LARGE = ((480, 640), 0.85), ((3000, 4000), 0.76)


def draw_photo(height: int, width: int, decay: float, random: np.random.Generator) -> Image:
    """Draws an image with the spectrum of a photograph: each octave of detail is weaker by the factor ``decay``."""
    image: np.ndarray = np.full((height, width, 3), 128, dtype=np.float32)
    octaves = int(np.log2(min(height, width)))
    for octave in range(octaves):
        rows, columns = (max(2, side >> (octaves - 1 - octave)) for side in (height, width))
        grey, colour = random.normal(0, 50, (rows, columns, 1)), random.normal(0, 15, (rows, columns, 3))
        layer = (decay**octave * (grey + colour)).astype(np.float32)
        image += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def draw_boxes(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Draws boxes ``[n, 4]`` as x1, y1, x2, y2 in pixels, of a tenth to a half of the image's sides."""
    sides, corners = random.uniform(0.1, 0.5, (BOXES, 2)), random.random((BOXES, 2))
    starts = corners * (1 - sides)
    return np.concatenate((starts, starts + sides), axis=1) * [width, height, width, height]


@functools.cache
def make_photos(number: int, size: tuple[int, int], decay: float) -> tuple[tempfile.TemporaryDirectory[str], list[str]]:
    """Writes JPEG files, deleted when Python exits; returns their folder and names."""
    folder = tempfile.TemporaryDirectory(prefix="litmobile-benchmark-")
    names = [f"{k}.jpg" for k in range(number)]
    for seed, name in enumerate(names):
        photo = draw_photo(*size, decay, np.random.default_rng(seed))
        cv2.imwrite(str(Path(folder.name) / name), photo, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder, names


def load_samples(number: int, size: tuple[int, int], decay: float, setting: Setting) -> Step:
    """Reads batches as one worker of a detection training does: crop, resize, flip, collate."""
    cv2.setNumThreads(0)
    keep_freed_memory()
    (folder, names), random = make_photos(number, size, decay), np.random.default_rng(0)
    records = [ImageRecord(name, size, draw_boxes(*size, random), [0] * BOXES) for name in names]
    split = DetectionSplit.from_records(Path(folder.name), Path(folder.name), ["object"], records)
    dataset, seeds = SplitDataset(split, Preprocessing((SIZE, SIZE)), SSDAugmentation()), itertools.count()

    def read() -> object:
        keys = [SampleKey(seed % number, seed) for seed in itertools.islice(seeds, setting.batch)]
        return collate_or_return_error(collate, [dataset[key] for key in keys])

    return read


def decode_files(number: int, size: tuple[int, int], decay: float, setting: Setting) -> Step:
    """Reads and decodes the same files at full size with OpenCV; nothing else."""
    cv2.setNumThreads(0)
    folder, names = make_photos(number, size, decay)
    paths, indices = [Path(folder.name, name) for name in names], itertools.count()

    def decode() -> None:
        for index in itertools.islice(indices, setting.batch):
            data = np.frombuffer(paths[index % number].read_bytes(), dtype=np.uint8)
            cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)

    return decode


READING: dict[str, tuple[Side, Side]] = {
    "reading-640": (partial(load_samples, 96, *SMALL), partial(decode_files, 96, *SMALL)),
    "reading-12mp": (partial(load_samples, 8, *LARGE), partial(decode_files, 8, *LARGE)),
}
