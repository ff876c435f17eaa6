"""Boxes around masks that COCO stores as run lengths; pycocotools gives a box for invalid ones as well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .fields import FieldError, parse_integer
from .geometry import Box

CHARACTER_0 = 48  # COCO writes five bits in each character, beginning with "0"


def enclose_run_lengths(segmentation: dict[str, object]) -> Box:
    """Returns the box around a mask: ``size`` [height, width], and ``counts`` of background and object in turn.

    Raises:
        FieldError: the counts do not fill the size, or contain no object.
    """
    counts, size = segmentation.get("counts"), segmentation.get("size")
    try:
        if not isinstance(size, list) or not isinstance(counts, str | list):
            raise FieldError("neither list nor text")
        height, width = map(parse_integer, size)
        runs = [parse_integer(count) for count in (decode_counts(counts) if isinstance(counts, str) else counts)]
    except (IndexError, ValueError) as error:
        raise FieldError("a segmentation that is not COCO's run lengths") from error
    ends = np.cumsum(runs)
    starts, ends = ends[0::2][: len(runs) // 2], ends[1::2]
    is_object = ends > starts
    starts, last = starts[is_object], ends[is_object] - 1
    if min(runs, default=0) < 0 or sum(runs) != height * width or not len(starts):
        raise FieldError("a segmentation whose run lengths do not fill its size, or contain no object")
    columns = starts // height, last // height
    is_long = columns[0] < columns[1]  # a run that continues in the next column touches both ends of one
    rows = np.where(is_long, 0, starts % height), np.where(is_long, height - 1, last % height)
    return float(columns[0].min()), float(rows[0].min()), float(columns[1].max() + 1), float(rows[1].max() + 1)


def decode_counts(text: str) -> Sequence[int]:
    """Decodes COCO's compressed counts: from the fourth on, each is the difference to the one before the last.

    Raises:
        IndexError: the text ends within a count.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        has_more = True
        while has_more:
            bits = ord(text[position]) - CHARACTER_0
            value |= (bits & 31) << shift
            has_more, position, shift = bool(bits & 32), position + 1, shift + 5
            if not has_more and bits & 16:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
