"""What a comparison consists of: configurations, their figures, and the differences of all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...tasks.evidence import Evidence
from ..pages import DIFFERENCE
from .bootstrap import Difference, Estimate


class Side(NamedTuple):
    """A configuration to compare.

    Attributes:
        name: what the user calls it.
        seeds: evidence of each of its runs, which differ in the seed only.
        sources: where each was read.
    """

    name: str
    seeds: Sequence[Evidence]
    sources: Sequence[str] = ()


class Settings(NamedTuple):
    """How to compare.

    Attributes:
        figures: names of the figures, the main one first.
        resamples: number of resamples.
        rope: differences up to this one do not matter.
        resolution: difference that should be told apart.
        seed: of the resamples.
        by: "class" for the main figure of each class, "size" for AP of small, medium and large objects.
    """

    figures: Sequence[str]
    resamples: int = 1000
    rope: float = 0.005
    resolution: float = 0.01
    seed: int = 0
    by: Sequence[str] = ()


class Pair(NamedTuple):
    """A difference between two configurations.

    Attributes:
        first: name of the first one.
        second: name of the second one.
        difference: the first minus the second; None if the figure of one is undefined.
        corrected: p-value, corrected by Holm for the number of defined differences in the family.
        better: name of the better one; None if none is certain to be.
        sentence: what it means.
    """

    first: str
    second: str
    difference: Difference | None
    corrected: float
    better: str | None
    sentence: str

    @property
    def title(self) -> str:
        """The difference in short."""
        return f"{self.first}{DIFFERENCE}{self.second}"


def count_defined(pairs: Iterable[Pair]) -> int:
    """Counts the pairs whose difference is defined."""
    return sum(pair.difference is not None for pair in pairs)


@dataclass(frozen=True)
class Family:
    """A figure of parts of the data, whose differences are corrected together.

    Attributes:
        figure: name of the figure of a class, or "AP" of a size.
        images: number of images with objects or pixels of the part, by name of the part.
        estimates: by name of the part and of the configuration; NaN if the part has no images.
        pairs: by name of the part.
    """

    figure: str
    images: dict[str, int]
    estimates: dict[str, dict[str, Estimate]]
    pairs: dict[str, list[Pair]]

    @property
    def size(self) -> int:
        """Number of defined differences, for which p-values are corrected."""
        return sum(map(count_defined, self.pairs.values()))


@dataclass(frozen=True)
class Comparison:
    """Figures of all configurations and the differences of all pairs.

    Attributes:
        images: number of evaluated images.
        sources: where the evaluations of each configuration were read, by its name.
        estimates: by figure and by name of the configuration.
        pairs: by figure; the main figure is the first. The pairs of one figure are corrected together.
        by: for "class" and "size", those that were asked for: the same by name of the class, or by AP_small, AP_medium
            and AP_large.
    """

    images: int
    sources: dict[str, Sequence[str]]
    estimates: dict[str, dict[str, Estimate]]
    pairs: dict[str, list[Pair]]
    by: dict[str, Family]
