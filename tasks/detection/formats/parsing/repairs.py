"""What a reader repairs or leaves out, told in one sentence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .....errors import DataError, format_count
from ....data.split import OnInvalid


class Repairs:
    """Counts what a reader derives, repairs or leaves out.

    Args:
        source: file or folder that is read.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self._counts: Counter[str] = Counter()
        self._invalid: list[str] = []

    def count(self, repair: str, number: int = 1) -> None:
        """Counts repairs, e.g. "boxes derived from polygons"."""
        self._counts[repair] += number

    def leave_out(self, reason: str) -> None:
        """Counts a record that cannot be used, for a reason such as "data.json: annotation 3 has no bbox"."""
        self._invalid.append(reason)

    def check(self, records: str, on_invalid: OnInvalid) -> None:
        """Raises the first reason as a DataError if ``on_invalid`` is "raise" and a record cannot be used.

        Args:
            records: what was read, for the message, e.g. "annotations".
            on_invalid: "skip" accepts that records were left out.
        """
        if self._invalid and on_invalid == "raise":
            count = len(self._invalid)
            raise DataError(self._invalid[0] + (f" ({count} such {records})." if count > 1 else "."))

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence about the repairs, and one for each record that was left out."""
        text = ", ".join(format_count(count, repair) for repair, count in self._counts.items())
        return ((f"{self.source}: {text}.",) if text else ()) + tuple(
            f"Left out: {reason}." for reason in self._invalid
        )
