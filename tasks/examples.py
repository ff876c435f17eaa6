"""Examples of an evaluation: images that show its best and its worst results."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, format_count
from .atomic import write_bytes, write_table, write_text
from .data.module import log_notes
from .data.split import Split
from .drawing.canvas import fit_image
from .images import Image

IMAGES = "images"  # folder in a run
MAX_EXAMPLES = 6  # of a kind
MIN_SIDE, MAX_SIDE = 256, 640  # of the longer side of an example in pixels
MAX_BYTES = 1_200_000  # of all files of a split; a page embeds them as 1.6 MB of text, and has at most 5 MB
QUALITIES = (85, 70, 55, 40)  # of JPEG; the first is taken that keeps the file small enough
SHRINKING = 0.8  # of the sides, where no quality does

T = TypeVar("T")
ImageReader = Callable[[str], Image]


class Example(NamedTuple):
    """An image with its truth and its prediction.

    Attributes:
        kind: what it is an example of, e.g. "worst".
        name: file name of the image in its data set.
        caption: a sentence about it.
        image: the drawing, ``[H, W, 3]`` uint8.
    """

    kind: str
    name: str
    caption: str
    image: Image


class Examples(NamedTuple):
    """Examples of an evaluation, and tables about them.

    Attributes:
        images: in the order in which they are shown.
        tables: tables ``[rows, columns]`` for files of their own, by name, header included.
    """

    images: Sequence[Example] = ()
    tables: Mapping[str, Sequence[Sequence[object]]] = {}


class Choice(NamedTuple):
    """Indices of the worst and the best images, the worst and the best first."""

    worst: list[int]
    best: list[int]


def choose_examples(
    scores: NDArray[np.float64], errors: NDArray[np.int64] | None = None, objects: NDArray[np.int64] | None = None
) -> Choice:
    """Chooses the worst and the best images.

    No image is both: of fewer than twelve images, the worse half are the worst. An image with the score 1 is not among
    the worst, one with the score 0 not among the best. Of equal images, the first are worse.

    Args:
        scores: of the images, ``[N]`` in 0 … 1; an image whose score is NaN is not chosen.
        errors: number of errors, ``[N]``; of equal scores, those with the most errors are the worst.
        objects: number of objects, ``[N]``; of equal scores, those with the most objects are the best.
    """
    errors, objects = (np.zeros(len(scores), dtype=np.int64) if x is None else x for x in (errors, objects))
    is_defined = np.isfinite(scores)
    number = min(MAX_EXAMPLES, max(1, int(is_defined.sum()) // 2))
    worst = [k for k in np.lexsort((-errors, scores)).tolist() if is_defined[k] and scores[k] < 1][:number]
    best = [k for k in np.lexsort((objects, scores))[::-1].tolist() if is_defined[k] and scores[k] > 0]
    return Choice(worst, [k for k in best if k not in worst][:MAX_EXAMPLES])


def make_image_reader(split: Split) -> ImageReader:
    """Returns a function that reads an image of ``split`` by its file name; it raises DataError as the split does."""
    numbers = {name: number for number, name in enumerate(split.names.tolist())}
    return lambda name: split.image(numbers[name])


def draw_readable(chosen: Iterable[T], draw: Callable[[T], Example]) -> list[Example]:
    """Draws what was ``chosen``, without images that cannot be read, and prints how many these are."""
    drawn: list[Example] = []
    errors: list[DataError] = []
    for value in chosen:
        try:
            drawn.append(draw(value))
        except DataError as error:  # e.g. a result file was evaluated, which needs no images
            errors.append(error)
    if errors:
        log_notes((f"{format_count(len(errors), 'examples')} cannot be drawn. {errors[0]}",))
    return drawn


def fit_example(image: Image) -> Image:
    """Resizes ``image`` so that its longer side is within :data:`MIN_SIDE` and :data:`MAX_SIDE`."""
    return fit_image(image, min(max(*image.shape[:2], MIN_SIDE), MAX_SIDE))


def listing_path(folder: Path, split: str) -> Path:
    """Returns the file in a run's ``folder`` that lists the examples of the evaluation of a split."""
    return folder / f"{split}-examples.json"


def write_examples(folder: Path, split: str, examples: Examples) -> None:
    """Writes ``images/SPLIT-examples/KIND-NUMBER.jpg``, ``SPLIT-examples.json`` and the tables as ``SPLIT-NAME.csv``.

    The list in the JSON file has kind, name and caption of each example, and its file relative to ``folder``. It is
    removed first and written last, so that it never names a file that does not exist.
    """
    listing, images = listing_path(folder, split), folder / IMAGES / f"{split}-examples"
    listing.unlink(missing_ok=True)
    shutil.rmtree(images, ignore_errors=True)
    numbers: Counter[str] = Counter()
    entries: list[dict[str, str]] = []
    for kind, name, caption, image in examples.images:
        numbers[kind] += 1
        file = images / f"{kind.replace('_', '-')}-{numbers[kind]}.jpg"
        write_bytes(file, encode_example(image, MAX_BYTES // len(examples.images)))
        relative = file.relative_to(folder).as_posix()
        entries.append({"kind": kind, "name": name, "caption": caption, "file": relative})
    for name, rows in examples.tables.items():
        write_table(folder / f"{split}-{name}.csv", rows)
    write_text(listing, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def encode_example(image: Image, max_bytes: int) -> bytes:
    """Encodes an image as JPEG of at most ``max_bytes``, at a lower quality or finally a smaller size if needed."""
    while True:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        for quality in QUALITIES:
            content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(content) <= max_bytes:
                return content
        image = fit_image(image, int(SHRINKING * max(image.shape)))
