"""Sentences and lists that `litmobile inspect` prints of the data of every task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...tasks.statistics import PERCENTILES, ImageSize, Percentiles
from ..text_tables import NOTHING

MOST_SIZES = 5  # sizes of images that are shown
RANKS = [f"{rank} %" for rank in PERCENTILES]


def stops(not_read: Mapping[str, str], reasons: Sequence[str]) -> list[str]:
    """Which splits were not read, and where a training would stop."""
    unread = [f"{name} was not read: {why}" for name, why in not_read.items()]
    return unread + [f"A training would stop: {why}" for why in reasons]


def broken_text(broken: Mapping[str, Sequence[str]] | None) -> list[str]:
    """What is wrong with pictures, split by split."""
    if broken is None:
        return ["Pictures were not read."]
    return [listed(f"broken pictures in {name}", faults) for name, faults in broken.items()]


def sizes_text(sizes: Sequence[ImageSize]) -> str:
    """The commonest sizes of images on a line."""
    shown = [f"{size.width}×{size.height} ({size.images})" for size in sizes[:MOST_SIZES]]
    if len(sizes) > MOST_SIZES:
        more = len(sizes) - MOST_SIZES
        shown.append(f"and {more} more size{'' if more == 1 else 's'}")
    return ", ".join(shown) or NOTHING


def ranked(values: Percentiles) -> str:
    """Percentiles on a line, the lone value where all are the same."""
    if len(set(values.values())) == 1:
        return f"{values['50']:.2f}"
    return ", ".join(f"{values[str(rank)]:.2f} ({rank} %)" for rank in PERCENTILES if values) or NOTHING


def listed(what: str, lines: Iterable[str]) -> str:
    """Every one of ``lines`` under its headline, or that there are none."""
    lines = list(lines)
    return "\n".join([f"{what}: {len(lines) or 'none'}", *(f"  {line}" for line in lines)])


def percent(share: float | None) -> str:
    """A share as 12.3 %."""
    return NOTHING if share is None else f"{100 * share:.1f} %"
