"""The protocols of a study: what is trained from which weights."""

from __future__ import annotations

from typing import NamedTuple


class Protocol(NamedTuple):
    """How a cell uses a backbone.

    Attributes:
        needs_weights: whether the backbone starts from pretrained weights.
        is_probe: whether features of the frozen backbone are evaluated instead of training the task's head.
        options: options of ``litmobile fit`` that follow those of task and backbone.
    """

    needs_weights: bool
    is_probe: bool
    options: tuple[str, ...]

    def words(self, weights: str | None) -> list[str]:
        """Returns the options of this protocol for a backbone with ``weights``."""
        return [*self.options, f"--model.backbone_weights={weights if self.needs_weights else 'null'}"]


PROTOCOLS = {
    "scratch": Protocol(False, False, ("--model.freeze_epochs=0", "--model.weights=null")),
    "full": Protocol(True, False, ()),
    "frozen": Protocol(True, False, ("--model.freeze_epochs=all",)),
    "norms": Protocol(True, False, ("--model.freeze_epochs=all", "--model.train_norms=true")),
    "knn": Protocol(True, True, ()),
    "ridge": Protocol(True, True, ()),
}
