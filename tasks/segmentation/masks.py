"""Masks on disk to label maps: by the values of one channel or by colours, with every strange value named."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFile
from numpy.typing import NDArray

from ...errors import DataError, UserError
from ...heads.predictions import IGNORED

Labels = NDArray[np.uint8]
Codes = NDArray[np.int32]

M = TypeVar("M")

STRANGE = IGNORED - 1  # marks values that are no class's
MOST_CLASSES = STRANGE
VALUES = 1 << 16  # that masks of one channel may hold
ONE_CHANNEL = ("1", "L", "P")
LOOKED_AT = 16  # masks of a split that tell whether they fit the data
SPREAD = {"L;2": 85, "L;4": 17}  # factors by which Pillow makes bytes of grey of two and four bits
WITH_LOSS = ("JPEG", "MPO")  # Pillow's names of them; MPO are several JPEG in one


class MaskReader(Protocol):
    """Reads masks of a data set."""

    def __call__(self, file: Path) -> Labels:
        """Labels ``[H, W]`` of a mask, 255 where a pixel counts as no class.

        Raises:
            DataError: the file is no mask, or holds a value that is no class's.
        """
        ...


class ByValue:
    """Masks of one channel, whose values stand for classes; palettes are left aside, and of one bit are 0 and 1.

    Args:
        values: of the classes in the order of their labels, 0 … 65535.
        ignored: values of pixels that count as no class.
        remedy: what to do about another value, for messages.

    Raises:
        ValueError: two classes share a value, or one of them is ignored.
    """

    def __init__(
        self, values: Sequence[int], ignored: Collection[int] = (IGNORED,), remedy: str = "mend the mask"
    ) -> None:
        check_distinct(values, ignored, "values")
        if any(not 0 <= value < VALUES for value in (*values, *ignored)):
            raise UserError(
                f"values and ignored must be whole numbers in 0 … {VALUES - 1}, not {list(values)} and {list(ignored)}."
            )
        self.values = tuple(values)
        self.remedy = remedy
        self.table = np.full(VALUES, STRANGE, dtype=np.uint8)
        self.table[list(ignored)] = IGNORED
        self.table[list(values)] = np.arange(len(values))

    def __call__(self, file: Path) -> Labels:
        raw = read_values(file)
        if raw.dtype == np.uint8:
            labels = np.asarray(cv2.LUT(raw, self.table[:256]), dtype=np.uint8)
        else:
            labels = np.append(self.table, np.uint8(STRANGE))[np.where((raw < 0) | (raw >= VALUES), VALUES, raw)]
        strange = labels == STRANGE
        if strange.any():
            row, column = np.argwhere(strange)[0]
            place = f" (row {row}, column {column})"
            check_possible(int(raw[row, column]), file, place)
            raise DataError(
                f"{file} holds the value {raw[row, column]}{place}, which is none of the {len(self.values)} classes' "
                f"{spelled(self.values)}, and not ignored: {self.remedy}."
            )
        return labels


class ByColour:
    """Masks in colours that stand for classes; palettes are colours, too.

    Args:
        colours: (red, green, blue) of the classes in the order of their labels, 0 … 255 each.
        ignored: colours of pixels that count as no class.

    Raises:
        ValueError: something is no colour, two classes share one, or one of them is ignored.
    """

    def __init__(self, colours: Sequence[Sequence[int]], ignored: Sequence[Sequence[int]] = ()) -> None:
        for colour in (*colours, *ignored):
            if len(colour) != 3 or any(not 0 <= channel <= 255 for channel in colour):
                raise UserError(f"a colour is three whole numbers in 0 … 255, not {list(colour)}.")
        codes = [code_of(colour) for colour in colours]
        none = [code_of(colour) for colour in ignored]
        check_distinct(codes, none, "colours")
        self.table = np.full(1 << 24, STRANGE, dtype=np.uint8)  # 16 MB, ten times as quick as searching
        self.table[none] = IGNORED
        self.table[codes] = np.arange(len(codes))

    def __call__(self, file: Path) -> Labels:
        codes = read_colours(file)
        labels = np.take(self.table, codes)
        strange = labels == STRANGE
        if strange.any():
            row, column = np.argwhere(strange)[0]
            code = int(codes[row, column])
            raise DataError(
                f"{file} holds the colour [{code >> 16}, {code >> 8 & 255}, {code & 255}] (row {row}, column {column}),"
                " which is no class's: add it to --data.colours or to --data.ignored_colours."
            )
        return labels


def check_possible(value: int, file: Path, place: str = "") -> None:
    """Raises DataError unless a mask may hold ``value``, which ``file`` does at ``place``."""
    if not 0 <= value < VALUES:
        raise DataError(
            f"{file} holds the value {value}{place}, where masks may hold 0 … {VALUES - 1}: store it as another."
        )


def check_distinct(classes: Sequence[int], ignored: Collection[int], what: str) -> None:
    """Raises ValueError unless there are classes, not too many, all apart from each other and from what is ignored."""
    if not 1 <= len(classes) <= MOST_CLASSES:
        raise UserError(f"{what} must be of 1 to {MOST_CLASSES} classes, not {len(classes)}.")
    if len(set(classes)) < len(classes) or set(classes) & set(ignored):
        raise UserError(f"{what} must differ from class to class, and from what is ignored.")


def code_of(colour: Sequence[int]) -> int:
    """A colour as one number."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def read_values(file: Path) -> NDArray[np.uint8] | NDArray[np.int32]:
    """The values of a mask of one channel, ``[H, W]``.

    Raises:
        DataError: it cannot be read, has colours, or was stored with loss.
    """
    picture, factor = opened(file)
    with picture:
        if picture.mode in ONE_CHANNEL:
            values = np.asarray(picture, dtype=np.uint8)
            return values if factor == 1 else values // np.uint8(factor)
        if picture.mode.startswith("I"):
            return np.asarray(picture, dtype=np.int32)
        check_whole(picture, file)
        raise DataError(
            f"{file} holds {kind(picture)}, where whole numbers of classes in one channel are expected: convert it, or "
            "read colours with FolderSegmentation and --data.colours=[[R,G,B],…], one for each class."
        )


def read_colours(file: Path) -> Codes:
    """The colours of a mask as numbers, see :func:`code_of`, ``[H, W]``.

    Raises:
        DataError: it cannot be read, has more than eight bits a channel, or was stored with loss.
    """
    picture, _ = opened(file)
    with picture:
        check_whole(picture, file)
        if picture.mode.startswith("I"):
            raise DataError(
                f"{file} holds {kind(picture)}, where colours are expected: name what it holds for each class with "
                "--data.values instead of --data.colours."
            )
        picture.info.pop("transparency", None)  # Pillow would warn of it
        colours = np.asarray(picture.convert("RGB"), dtype=np.int32)
    return colours[:, :, 0] << 16 | colours[:, :, 1] << 8 | colours[:, :, 2]


def opened(file: Path) -> tuple[PIL.Image.Image, int]:
    """The picture in ``file``, its pixels read, and what Pillow multiplied their values with.

    Raises:
        DataError: it cannot be read, or was stored with loss.
    """
    try:
        picture = PIL.Image.open(io.BytesIO(file.read_bytes()))
        if picture.format not in WITH_LOSS:
            factor = spread(picture)  # known before pixels are read only
            picture.load()
            return picture, factor
    except FileNotFoundError as error:
        raise DataError(f"The mask {file} does not exist.") from error
    except PIL.UnidentifiedImageError as error:
        raise DataError(
            f"{file} cannot be read as a mask: it is of no known kind, or its beginning is damaged."
        ) from error
    except Exception as error:  # a damaged file can fail in any way: syntax, structures, ends, sizes
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{file} cannot be read as a mask: {reason}.") from error
    raise DataError(f"{file} is a JPEG, which alters the values that stand for classes: store masks as PNG.")


def spread(picture: PIL.ImageFile.ImageFile) -> int:
    """What Pillow will multiply grey of two or four bits with, to spread it over a byte; 1 for all else."""
    stored = [str(tile.args if isinstance(tile.args, str) else tile.args[0]) for tile in picture.tile if tile.args]
    return next((factor for kind, factor in SPREAD.items() if kind in stored), 1)


def check_whole(picture: PIL.Image.Image, file: Path) -> None:
    """Raises DataError where the pixels of ``picture`` are fractions, which stand for nothing."""
    if picture.mode == "F":
        raise DataError(
            f"{file} holds fractions, where whole numbers of classes are expected: store it as 8 or 16 bits."
        )


def kind(picture: PIL.Image.Image) -> str:
    """What the pixels of ``picture`` are, for messages."""
    if picture.mode.startswith("I"):
        return "numbers of more than eight bits"
    return f"{len(picture.getbands())} channels ({picture.mode})"


def some_of(masks: Sequence[M]) -> Sequence[M]:
    """A few of the ``masks``, or of their numbers, from all parts of them."""
    return masks[:: -(-len(masks) // LOOKED_AT)] if masks else masks


def spelled(values: Sequence[int]) -> str:
    """``values`` for messages, as a range where they are one."""
    if len(values) > 2 and list(values) == list(range(values[0], values[0] + len(values))):
        return f"{values[0]} … {values[-1]}"
    return ", ".join(map(str, values))
