"""Estimates of all rows of a task on the same resamples of its images, and differences of pairs."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compare.bootstrap import Estimate, add_seeds, centre, draw_deviations, draw_weights
from ...compare.comparison import Pair, Settings, Side
from ...compare.compute import compare_listed, estimate_side
from .results import Row, TaskResults

Floats = NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True)
class TaskEstimates:
    """The rows of a task, estimated on the same resamples.

    Attributes:
        results: the finished cells.
        estimates: of each row.
        settings: how pairs are compared.
    """

    results: TaskResults
    estimates: dict[Row, Estimate]
    settings: Settings

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.results.name

    @property
    def figure(self) -> str:
        """The main figure of trainings."""
        return self.results.figure

    def draw(self, row: Row) -> Floats:
        """Returns values of a row that are as likely as its data allow, ``[R]``, on the same images as other rows'.

        Deviations between seeds are drawn for each row alone, unlike those of :class:`Estimate`, because the seeds of
        two rows vary independently.
        """
        found = self.estimates[row]
        drawn = centre(found.resampled, found.value)
        if found.seed_variance:
            number = list(self.estimates).index(row) + 1
            seed = self.settings.seed + number
            drawn = drawn + math.sqrt(found.seed_variance) * draw_deviations(found.freedom, len(drawn), seed)
        return drawn

    def trained_rows(self) -> list[Row]:
        """Returns the rows of trainings on all images, or else on the largest share of them."""
        trained = [row for row in self.estimates if not row.is_probe]
        largest = max((row.share for row in trained), default=1.0)
        return [row for row in trained if row.share == largest]

    def best_rows(self, rows: Sequence[Row]) -> dict[str, Row]:
        """Returns the row with the highest mean of each backbone that has a defined one."""
        best: dict[str, Row] = {}
        for row in rows:
            value = self.estimates[row].value
            if math.isfinite(value) and (row.backbone not in best or value > self.value(best[row.backbone])):
                best[row.backbone] = row
        return best

    def value(self, row: Row) -> float:
        """Returns the mean over the seeds of a row."""
        return self.estimates[row].value

    def compare_rows(self, chosen: Sequence[tuple[Row, Row]]) -> list[Pair]:
        """Compares pairs of rows; p-values are corrected for their number."""
        sides = {"": {str(row): found for row, found in self.estimates.items()}}
        words = [("", (str(first), str(second))) for first, second in chosen]
        return compare_listed(self.figure, sides, words, {"": self.results.images}, self.settings)


def estimate_task(results: TaskResults, resamples: int = RESAMPLES, rope: float = 0.005) -> TaskEstimates:
    """Estimates all rows of a task.

    The variation between seeds is pooled over the backbones of a protocol and share, because trainings on few images
    vary more than those on many.

    Args:
        results: its finished cells.
        resamples: number of resamples of the images.
        rope: differences up to this one do not matter.
    """
    seed = zlib.crc32(results.name.encode())  # tasks vary independently
    weights = draw_weights(results.images, resamples, seed)
    found: dict[Row, Estimate] = {}
    for row, cells in results.rows.items():
        figure = results.figure_of(row)
        side = Side(str(row), [cell.evidence for cell in cells])
        found[row] = estimate_side(side, weights, [figure], by_class=False)[0][figure]
    for protocol, share in dict.fromkeys((row.protocol, row.share) for row in found):
        alike = {str(row): row for row in found if (row.protocol, row.share) == (protocol, share)}
        varied = add_seeds({name: found[row] for name, row in alike.items()}, seed)
        found |= {alike[name]: estimate for name, estimate in lend_variance(varied).items()}
    return TaskEstimates(results, found, Settings([results.figure], resamples, rope, seed=seed))


def lend_variance(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Gives rows of one seed the variance between seeds that is known of the others, else they would look certain."""
    known = next((found for found in estimates.values() if found.seed_variance), None)
    if known is None:
        return dict(estimates)
    variance = known.seed_variance * len(known.values)
    return {
        name: found
        if found.seed_variance or len(found.values) > 1
        else replace(found, seed_variance=variance, deviations=known.deviations, freedom=known.freedom)
        for name, found in estimates.items()
    }
