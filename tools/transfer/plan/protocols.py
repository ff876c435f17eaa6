"""The protocols of a study: what is trained from which weights."""

from __future__ import annotations

from typing import NamedTuple


class Protocol(NamedTuple):
    """How a cell uses a backbone.

    Attributes:
        needs_weights: whether the backbone starts from pretrained weights.
        is_probe: whether features of the frozen backbone are evaluated instead of training the task's head.
        cost: its place among the protocols that a race compares, the cheapest first.
        options: options of ``litmobile fit`` that follow those of task and backbone.
    """

    needs_weights: bool
    is_probe: bool
    cost: int
    options: tuple[str, ...]

    def words(self, weights: str | None) -> list[str]:
        """Returns the options of this protocol for a backbone with ``weights``."""
        return [*self.options, f"--model.backbone_weights={weights if self.needs_weights else 'null'}"]


PROBE_FIGURE = "mean_recall"  # of the evidence of probes, whatever the task
PROTOCOLS = {
    "scratch": Protocol(False, False, 4, ("--model.freeze_epochs=0", "--model.weights=null")),
    "full": Protocol(True, False, 4, ()),
    "frozen": Protocol(True, False, 2, ("--model.freeze_epochs=all",)),
    "norms": Protocol(True, False, 3, ("--model.freeze_epochs=all", "--model.train_norms=true")),
    "knn": Protocol(True, True, 0, ()),
    "ridge": Protocol(True, True, 1, ()),
}
