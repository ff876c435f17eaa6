"""What all launchers have in common: the same cells give the same results with each."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class End(NamedTuple):
    """The end of a cell's process.

    Attributes:
        digest: the cell's hash.
        status: exit status; negative for the signal that killed it.
        reason: why it failed, in one sentence, if that is another reason than what the cell or its status says.
    """

    digest: str
    status: int
    reason: str = ""


class Launcher(Protocol):
    """Runs cells that the study has requested.

    Attributes:
        slots: number of cells that run at a time.
    """

    slots: int

    def start(self, digest: str) -> None:
        """Starts a cell; at most :attr:`slots` run at a time."""
        ...

    def wait(self, seconds: float) -> list[End]:
        """Returns cells that have ended; waits for at most ``seconds`` if none has."""
        ...

    def close(self) -> None:
        """Stops all cells, which write their state, and waits for their ends."""
        ...
