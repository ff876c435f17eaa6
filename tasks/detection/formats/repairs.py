"""What a reader repairs or leaves out, told in one sentence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ....errors import DataError
from ...data.split import OnInvalid
from .fields import FieldError


class Repairs:
    """Counts what a reader derives, repairs or leaves out.

    Args:
        source: the file that is read.
        on_invalid: "raise" stops at the first record that cannot be used; "skip" leaves it out and counts it.
    """

    def __init__(self, source: Path, on_invalid: OnInvalid) -> None:
        self.source = source
        self.on_invalid = on_invalid
        self._counts: Counter[str] = Counter()
        self._first: str | None = None  # reason of the first record that was left out

    def count(self, repair: str) -> None:
        """Counts a repair, e.g. "boxes derived from polygons"."""
        self._counts[repair] += 1

    def leave_out(self, record: str, error: FieldError) -> None:
        """Counts a ``record`` that cannot be used, such as "annotation 3", or raises its error as a DataError."""
        reason = f"{record} has {error}"
        if self.on_invalid == "raise":
            raise DataError(f"{self.source}: {reason}.") from error
        self._counts["invalid records left out"] += 1
        self._first = self._first or reason

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence, or none."""
        if not self._counts:
            return ()
        text = ", ".join(f"{count} {repair}" for repair, count in self._counts.items())
        return (f"{self.source}: {text}{f', such as {self._first}' if self._first else ''}.",)
