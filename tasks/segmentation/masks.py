"""Reads mask files as class indices, from the values of one channel or from colours."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageFile
from numpy.typing import NDArray

from ...errors import DataError, ImageError, UserError
from ...heads.predictions import IGNORED
from ..data.measurement import measure_files
from ..images import PILLOW_FORMATS, check_orientation, read_file

#: class indices ``[H, W]``, 255 for ignored pixels
Labels = NDArray[np.uint8]
#: reads a mask file as class indices; raises DataError if it cannot be read or holds an unknown value
MaskReader = Callable[[Path], Labels]

T = TypeVar("T")

# a row of the cache; the classes are one bit each
MASK_ROW = np.dtype([("height", "<i4"), ("width", "<i4"), ("classes", "u1", ((IGNORED + 1) // 8,))])
VERSION = 2  # a change to how masks are read increases it, so that all are verified again

UNKNOWN = IGNORED - 1  # marks values in lookup tables that are neither a class nor ignored
MAX_CLASSES = UNKNOWN
MAX_VALUE = (1 << 16) - 1  # in masks of one channel
ONE_CHANNEL = ("1", "L", "P")
SAMPLE_SIZE = 16  # masks that are read to find errors that all masks of a split share
GREY_FACTORS = {"L;2": 85, "L;4": 17}  # by which Pillow multiplies grey values of two and four bits
LOSSY_FORMATS = ("JPEG", "MPO")  # MPO files hold several JPEG images


class ValueMaskReader:
    """Reads masks whose classes are values of one channel.

    Colours of a palette are not used. Masks of one bit hold 0 and 1.

    Args:
        values: mask value of each class, 0 … 65535.
        ignored: values of ignored pixels.
        hint: what to do about an unknown value, for messages.

    Raises:
        UserError: a value is out of range, or belongs to two classes or to a class and ignored pixels.
    """

    option: ClassVar[str] = "values"

    def __init__(
        self, values: Sequence[int], ignored: Collection[int] = (IGNORED,), hint: str = "correct the mask"
    ) -> None:
        if any(not 0 <= value <= MAX_VALUE for value in (*values, *ignored)):
            raise UserError(f"values and ignored must be in 0 … {MAX_VALUE}, not {list(values)} and {list(ignored)}.")
        self.table = build_table(values, ignored, MAX_VALUE + 2, self.option)  # the last entry is for impossible values
        self.values = tuple(values)
        self.num_classes = len(self.values)
        self.hint = hint

    def __call__(self, file: Path) -> Labels:
        values = read_values(file)
        if values.dtype == np.uint8:
            labels = np.asarray(cv2.LUT(values, self.table[:256]), dtype=np.uint8)
        else:
            labels = self.table[np.where((values < 0) | (values > MAX_VALUE), MAX_VALUE + 1, values)]
        position = find_unknown(labels)
        if position is not None:
            value, where = int(values[position]), f" (row {position[0]}, column {position[1]})"
            check_value(value, file, where)
            raise DataError(
                f"{file} holds the value {value}{where}, which is neither ignored nor one of the {self.num_classes} "
                f"classes' values {format_values(self.values)}: {self.hint}."
            )
        return labels


class ColourMaskReader:
    """Reads masks whose classes are colours, palette colours included.

    Args:
        colours: (red, green, blue) of each class, 0 … 255.
        ignored: colours of ignored pixels.

    Raises:
        UserError: a colour is invalid, or belongs to two classes or to a class and ignored pixels.
    """

    option: ClassVar[str] = "colours"

    def __init__(self, colours: Sequence[Sequence[int]], ignored: Sequence[Sequence[int]] = ()) -> None:
        for colour in (*colours, *ignored):
            if len(colour) != 3 or any(not 0 <= channel <= 255 for channel in colour):
                raise UserError(f"A colour must be three whole numbers in 0 … 255, not {list(colour)}.")
        # 16 MB, ten times as fast as a search
        codes, ignored_codes = ([red << 16 | green << 8 | blue for red, green, blue in c] for c in (colours, ignored))
        self.table = build_table(codes, ignored_codes, 1 << 24, self.option)
        self.num_classes = len(codes)

    def __call__(self, file: Path) -> Labels:
        codes = read_colour_codes(file)
        labels = np.take(self.table, codes)
        position = find_unknown(labels)
        if position is not None:
            code = int(codes[position])
            raise DataError(
                f"{file} holds the colour [{code >> 16}, {code >> 8 & 255}, {code & 255}] (row {position[0]}, column "
                f"{position[1]}), which has no class: add it to --data.colours or --data.ignored_colours."
            )
        return labels


def build_table(codes: Sequence[int], ignored: Collection[int], size: int, option: str) -> Labels:
    """Returns the class index of every code from 0 to ``size`` − 1, 255 if it is ignored, 254 if it is unknown.

    Raises:
        UserError: ``codes`` is empty or too long, or a code has two meanings; the message names ``option``.
    """
    if not 1 <= len(codes) <= MAX_CLASSES:
        raise UserError(f"{option} must be given for 1 to {MAX_CLASSES} classes, not {len(codes)}.")
    if len(set(codes)) < len(codes) or set(codes) & set(ignored):
        raise UserError(f"{option} must differ between classes, and must not be ignored.")
    table = np.full(size, UNKNOWN, dtype=np.uint8)
    table[list(ignored)] = IGNORED
    table[list(codes)] = np.arange(len(codes))
    return table


def find_unknown(labels: Labels) -> tuple[int, int] | None:
    """Returns row and column of the first pixel with an unknown value, or None."""
    row, column = np.unravel_index((labels == UNKNOWN).argmax(), labels.shape)
    return (int(row), int(column)) if labels[row, column] == UNKNOWN else None


def check_value(value: int, file: Path, where: str = "") -> None:
    """Raises DataError if a mask must not hold ``value``, which ``file`` holds at ``where``."""
    if not 0 <= value <= MAX_VALUE:
        raise DataError(f"{file} holds the value {value}{where}; values must be in 0 … {MAX_VALUE}.")


def read_values(file: Path) -> NDArray[np.uint8] | NDArray[np.int32]:
    """Reads the values of a mask with one channel, ``[H, W]``.

    Raises:
        DataError: the mask cannot be read, has colours, or is stored in a lossy format.
    """
    image, factor = open_mask(file)
    if image.mode in ONE_CHANNEL:
        values = np.asarray(image, dtype=np.uint8)
        return values if factor == 1 else values // np.uint8(factor)
    if image.mode.startswith("I"):
        return np.asarray(image, dtype=np.int32)
    check_integers(image, file)
    raise DataError(
        f"{file} has {len(image.getbands())} channels ({image.mode}), not one channel of class values: convert it, or "
        "read its colours with --data=FolderSegmentation and --data.colours=[[R,G,B],…]."
    )


def read_colour_codes(file: Path) -> NDArray[np.int32]:
    """Reads the colours of a mask as numbers, ``[H, W]``: red × 65536 + green × 256 + blue.

    Raises:
        DataError: the mask cannot be read, has more than eight bits per channel, or is stored in a lossy format.
    """
    image, _ = open_mask(file)
    check_integers(image, file)
    if image.mode.startswith("I"):
        raise DataError(
            f"{file} has more than eight bits per channel and thus no colours: name the value of each class with "
            "--data.values instead of --data.colours."
        )
    image.info.pop("transparency", None)  # Pillow would warn about it
    colours = np.asarray(image.convert("RGB"), dtype=np.int32)
    return colours[:, :, 0] << 16 | colours[:, :, 1] << 8 | colours[:, :, 2]


def open_mask(file: Path) -> tuple[PIL.Image.Image, int]:
    """Returns the image in ``file``, and the factor by which Pillow multiplied its values.

    Raises:
        DataError: the file cannot be read, or has a lossy format.
    """
    try:
        image = PIL.Image.open(io.BytesIO(read_file(file)), formats=PILLOW_FORMATS)
        factor = grey_factor(image)
        orientation = get_orientation(image)  # before loading, because Pillow turns TIFF files
        image.load()
        orientation = max(orientation, get_orientation(image))  # metadata of a PNG may follow the pixels
    except ImageError:
        raise
    except PIL.UnidentifiedImageError as error:
        reason = "its format is unknown, or its beginning is damaged"
        raise DataError(f"{file} cannot be read as a mask: {reason}.") from error
    except Exception as error:  # a damaged file can fail in any way: SyntaxError, struct.error, EOFError, ValueError
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{file} cannot be read as a mask: {reason}.") from error
    if orientation > 1:
        raise DataError(f"{file} is to be turned, as its metadata say; store masks as they are shown.")
    if image.format in LOSSY_FORMATS:
        raise DataError(f"{file} is a JPEG, whose compression changes class values: store masks as PNG.")
    return image, factor


def get_orientation(image: PIL.Image.Image) -> int:
    """Returns the orientation in the metadata of a mask, 1 … 8 as in EXIF."""
    return check_orientation(image.getexif().get(PIL.ExifTags.Base.Orientation))


def grey_factor(image: PIL.ImageFile.ImageFile) -> int:
    """Returns the factor by which Pillow will multiply grey values of two or four bits; 1 for other images.

    Pillow gives the number of bits only before the pixels are loaded.
    """
    modes = [str(tile.args if isinstance(tile.args, str) else tile.args[0]) for tile in image.tile if tile.args]
    return next((factor for mode, factor in GREY_FACTORS.items() if mode in modes), 1)


def check_integers(image: PIL.Image.Image, file: Path) -> None:
    """Raises DataError if the pixels of ``image`` are floating-point numbers."""
    if image.mode == "F":
        raise DataError(f"{file} holds fractions instead of whole numbers: store it as 8 or 16 bits.")


class MaskFacts(NamedTuple):
    """What is known about the masks of a split; zeros for masks that cannot be used.

    Attributes:
        sizes: (height, width) in pixels, ``[N, 2]`` int64.
        has_class: whether the mask shows each class index, ``[N, 256]``; the last one stands for ignored pixels.
        errors: one sentence for each mask that cannot be used, by index.
    """

    sizes: NDArray[np.int64]
    has_class: NDArray[np.bool_]
    errors: dict[int, str]


def verify_masks(folder: Path, names: NDArray[np.str_], read_mask: MaskReader) -> MaskFacts:
    """Decodes all masks once per machine; later calls read the facts of unchanged files from the cache.

    Args:
        folder: folder of the masks.
        names: file names relative to ``folder``, ``[N]``.
        read_mask: reads a mask; masks that a reader of another class reads are decoded in each call.
    """

    def measure(path: Path) -> tuple[int, int, NDArray[np.uint8]]:
        labels = read_mask(path)
        return *labels.shape, np.packbits(np.bincount(labels.ravel(), minlength=IGNORED + 1) > 0)

    kind = None
    if isinstance(read_mask, ValueMaskReader | ColourMaskReader):
        table = hashlib.sha256(read_mask.table.data).hexdigest()
        kind = f"masks {VERSION} {type(read_mask).__qualname__} {table}"
    rows, errors = measure_files(folder, names, measure, MASK_ROW, kind)
    sizes = np.stack((rows["height"], rows["width"]), axis=1).astype(np.int64)
    return MaskFacts(sizes, np.unpackbits(rows["classes"], axis=1).astype(bool), errors)


def sample_evenly(items: Sequence[T]) -> Sequence[T]:
    """Returns a few of ``items``, evenly spaced."""
    return items[:: -(-len(items) // SAMPLE_SIZE)]


def format_values(values: Sequence[int]) -> str:
    """Formats ``values`` for messages, as a range if they are one."""
    if len(values) > 2 and list(values) == list(range(values[0], values[0] + len(values))):
        return f"{values[0]} … {values[-1]}"
    return ", ".join(map(str, values))


def resize_labels(labels: Labels, rows: int, columns: int) -> Labels:
    """Resizes a label map ``[H, W]`` to ``[rows, columns]`` by its nearest pixels; returns a copy."""
    return np.asarray(cv2.resize(labels, (columns, rows), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def reduce_labels(labels: Labels, max_side: int) -> Labels:
    """Resizes a label map ``[H, W]`` so that its longer side is at most ``max_side``; returns a copy."""
    height, width = labels.shape
    scale = min(1.0, max_side / max(height, width))
    return resize_labels(labels, max(1, round(height * scale)), max(1, round(width * scale)))
