"""The race of a study: cheap protocols first, and backbones that are certainly worse leave out the dearer ones."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ...errors import EvaluationError, first_line
from ...tasks.atomic import write_text
from ..compare.comparison import Pair, Settings, Side
from ..compare.compute import compare_sides
from ..evaluations import read_evaluation
from .plan.cells import Cell, describe_share
from .plan.protocols import PROBE_FIGURE, PROTOCOLS
from .store import Study

DECISIONS = "race.json"  # in the folder of the study


class Ladder(NamedTuple):
    """Cells of a task that are compared step by step.

    A probe of pretrained features says nothing about training from scratch, so each has a ladder.
    """

    task: str
    start: str  # "pretrained" or "scratch"

    @classmethod
    def of(cls, cell: Cell) -> Ladder:
        """Returns the ladder of a cell."""
        return cls(cell.task, "pretrained" if PROTOCOLS[cell.protocol].needs_weights else "scratch")


class Rung(NamedTuple):
    """A step of a ladder. Rungs are sorted from cheap to dear."""

    cost: int
    share: float
    protocol: str

    def __str__(self) -> str:
        return ", ".join([self.protocol, *describe_share(self.share)])

    @classmethod
    def of(cls, cell: Cell) -> Rung:
        """Returns the rung of a cell."""
        return cls(PROTOCOLS[cell.protocol].cost, cell.share, cell.protocol)


@dataclass(frozen=True)
class Decision:
    """Whether a backbone runs the dearer rungs of a ladder.

    Attributes:
        task: name in the plan.
        ladder: "pretrained" or "scratch".
        rung: what the comparison is about, e.g. "ridge" or "full, 10 % of the images".
        protocol: protocol of the rung.
        share: share of the training images of the rung.
        figure: name of the compared figure.
        leader: backbone with the highest mean figure in the rung.
        backbone: the other one.
        difference: figure of the leader minus that of the backbone; None if it is undefined.
        low: lower end of its 95 % interval; None if it is undefined.
        high: upper end of its 95 % interval; None if it is undefined.
        p_value: of the difference, corrected for all pairs of the rung.
        dropped: whether the backbone leaves out the dearer rungs.
    """

    task: str
    ladder: str
    rung: str
    protocol: str
    share: float
    figure: str
    leader: str
    backbone: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float
    dropped: bool

    def describe_drop(self) -> str:
        """Says that the backbone drops out."""
        interval = f"{self.low:.3f} to {self.high:.3f}"
        drop = f"{self.task}, {self.backbone} drops out after {self.rung}"
        return f"{drop}: {self.difference:.3f} below {self.leader} ({interval})"


class Race:
    """Holds cells until the cheaper rungs of their ladder are over, and drops those of backbones that are worse.

    All follows from the finished cells, so that a race that is started again takes the same decisions.

    Args:
        study: the study.
        cells: main cells of the plan.

    Attributes:
        decisions: the decisions so far; also in the file ``race.json`` of the study.
        notes: sentences about what has happened, for the user.
    """

    def __init__(self, study: Study, cells: Sequence[Cell]) -> None:
        self.study = study
        self.decisions: list[Decision] = []
        self.notes: list[str] = []
        self._ladders = group_rungs(cells)
        self._last_rungs: dict[tuple[Ladder, str], Rung] = {}  # of dropped backbones, the last that they run
        self._written: str | None = None
        if all(len(rungs) == 1 for rungs in self._ladders.values()):
            self.notes.append("The race changes nothing: no ladder of the plan has several protocols or shares.")

    def update(self, ends: Mapping[Cell, str | None]) -> None:
        """Takes the decisions about all rungs that are over.

        Args:
            ends: hash of each main cell that is finished; None for each that has failed or cannot run.
        """
        for ladder, rungs in self._ladders.items():
            while len(rungs) > 1:
                rung = min(rungs)
                cells = [cell for cell in rungs[rung] if not self.is_dropped(cell)]
                if any(cell not in ends for cell in cells):
                    break
                del rungs[rung]
                later = {cell.backbone for others in rungs.values() for cell in others}
                self._decide(ladder, rung, cells, ends, later)
        self._write()

    def is_held(self, cell: Cell) -> bool:
        """Whether a cheaper rung is not over."""
        return Rung.of(cell) > min(self._ladders[Ladder.of(cell)])

    def is_dropped(self, cell: Cell) -> bool:
        """Whether the backbone has dropped out before the cell's rung."""
        last = self._last_rungs.get((Ladder.of(cell), cell.backbone))
        return last is not None and Rung.of(cell) > last

    def _decide(
        self, ladder: Ladder, rung: Rung, cells: Sequence[Cell], ends: Mapping[Cell, str | None], later: set[str]
    ) -> None:
        """Compares the backbones of a rung that is over, and drops those that are worse.

        Args:
            ladder: its ladder.
            rung: the rung.
            cells: its cells, without those that were dropped before.
            ends: see :meth:`update`.
            later: backbones of the dearer rungs.
        """
        records = read_records(self.study, cells, ends)
        means = {backbone: find_mean(found) for backbone, found in records.items()}
        defined = [backbone for backbone, mean in means.items() if not math.isnan(mean)]
        if len(defined) < 2 or not later.intersection(defined):
            return
        leader = max(defined, key=lambda backbone: means[backbone])  # of equal ones, the first of the plan
        figure = PROBE_FIGURE if PROTOCOLS[rung.protocol].is_probe else records[leader][0]["main_figure"]
        try:
            pairs = self._compare([leader, *(name for name in defined if name != leader)], records, figure)
        except EvaluationError as error:
            self.notes.append(f"{ladder.task}, {rung}: no backbone drops out, because {first_line(error)}.")
            return
        for pair in pairs:
            if pair.first == leader and pair.second in later:
                decision = make_decision(ladder, rung, figure, pair)
                self.decisions.append(decision)
                if decision.dropped:
                    self._last_rungs[ladder, decision.backbone] = rung
                    self.notes.append(decision.describe_drop())

    def _compare(
        self, backbones: Sequence[str], records: Mapping[str, Sequence[Mapping[str, Any]]], figure: str
    ) -> list[Pair]:
        """Compares all pairs of backbones; the first of ``backbones`` is the first of its pairs."""
        sides = []
        for backbone in backbones:
            folders = [(self.study.cell_folder(record["hash"]), record["split"]) for record in records[backbone]]
            sides.append(Side(backbone, [read_evaluation(*place).evidence for place in folders]))
        if figure not in sides[0].seeds[0].figure_names:
            raise EvaluationError(f"the evidence does not have the figure {figure}")
        return compare_sides(sides, Settings([figure])).pairs[figure]

    def _write(self) -> None:
        """Writes the decisions into the folder of the study."""
        text = json.dumps([asdict(decision) for decision in self.decisions], indent=1) + "\n"
        if text != self._written:
            write_text(self.study.folder / DECISIONS, text)
            self._written = text


def group_rungs(cells: Iterable[Cell]) -> dict[Ladder, dict[Rung, list[Cell]]]:
    """Returns the cells of each rung of each ladder."""
    ladders: dict[Ladder, dict[Rung, list[Cell]]] = {}
    for cell in cells:
        ladders.setdefault(Ladder.of(cell), {}).setdefault(Rung.of(cell), []).append(cell)
    return ladders


def read_records(
    study: Study, cells: Sequence[Cell], ends: Mapping[Cell, str | None]
) -> dict[str, list[dict[str, Any]]]:
    """Returns the contents of the finished cells of each backbone, of those of which no cell has failed.

    With fewer seeds, the mean of a backbone would depend on which have failed.
    """
    digests: dict[str, list[str | None]] = {}
    for cell in cells:
        digests.setdefault(cell.backbone, []).append(ends[cell])
    return {
        backbone: [study.read_cell(digest) for digest in found if digest is not None]
        for backbone, found in digests.items()
        if None not in found
    }


def find_mean(records: Sequence[Mapping[str, Any]]) -> float:
    """Returns the mean of the main figures; NaN if one is undefined."""
    values = [math.nan if record["value"] is None else float(record["value"]) for record in records]
    return sum(values) / len(values)


def make_decision(ladder: Ladder, rung: Rung, figure: str, pair: Pair) -> Decision:
    """Returns what follows from the comparison of the leader, the first of the pair, with another backbone."""
    found = pair.difference
    values = (None, None, None) if found is None else (found.value, *found.interval)
    difference, low, high = (None if value is None or math.isnan(value) else value for value in values)
    return Decision(
        *ladder,
        str(rung),
        rung.protocol,
        rung.share,
        figure,
        pair.first,
        pair.second,
        difference,
        low,
        high,
        pair.corrected,
        pair.better == pair.first,
    )


def remove_decisions(study: Study) -> None:
    """Removes the decisions of an earlier race, which a study without one does not follow."""
    (study.folder / DECISIONS).unlink(missing_ok=True)
