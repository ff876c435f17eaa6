"""The folder of a run keeps the contact sheets of the last validations."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tasks.callbacks.evaluation import KEPT_SHEETS, remove_old_sheets


def list_after(folder: Path, steps: list[int]) -> list[str]:
    """Write the sheets of ``steps`` in this order, as validations do, and list what is left."""
    for step in steps:
        path = folder / f"val-{step:07d}.jpg"
        path.touch()
        remove_old_sheets(path)
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("count", [1, KEPT_SHEETS, KEPT_SHEETS + 1, 30])
def test_the_newest_sheets_are_kept(count: int, tmp_path: Path) -> None:
    steps = [10 * k for k in range(count)]
    assert list_after(tmp_path, steps) == [f"val-{step:07d}.jpg" for step in steps[-KEPT_SHEETS:]]


def test_the_sheet_of_an_earlier_checkpoint_is_kept(tmp_path: Path) -> None:
    """`litmobile validate` evaluates the best checkpoint, whose step is often an earlier one."""
    names = list_after(tmp_path, [1, 2, 3, 4, 5, 6, 2])
    assert names == [f"val-{step:07d}.jpg" for step in (2, 3, 4, 5, 6)]


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    steps = [9_999_998, 9_999_999, 10_000_000, 10_000_001, 10_000_002, 10_000_003]
    assert list_after(tmp_path, steps) == sorted(f"val-{step}.jpg" for step in steps[1:])


def test_other_files_are_kept(tmp_path: Path) -> None:
    others = ["mine.jpg", "val-confusion.png", "val-notes.jpg"]
    for name in others:
        (tmp_path / name).touch()
    assert set(others) <= set(list_after(tmp_path, list(range(20))))
