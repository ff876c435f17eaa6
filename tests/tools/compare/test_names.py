"""Configurations have short names that differ, and several seeds have one name."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tools.compare.names import name_groups


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["runs/v2", "runs/v3"], ["v2", "v3"]),
        (["v2/run", "v3/run"], ["v2", "v3"]),
        (["x/v2", "y/v2", "y/v3"], ["x/v2", "y/v2", "y/v3"]),
        (["a.json", "b.json"], ["a", "b"]),
        (["x/a.json", "y/a.json"], ["x", "y"]),
        (["a.json", "a"], ["a.json", "a"]),
        (["v2_s0 v2_s1", "v3_s0"], ["v2", "v3_s0"]),
        (["runs/v2/seed0 runs/v2/seed1", "runs/v3/seed0 runs/v3/seed1"], ["v2", "v3"]),
        (["v2-seed=1 v2-seed=2", "v2_wide-seed=1 v2_wide-seed=2"], ["v2", "v2_wide"]),
        (["v2_10 v2_11", "v3"], ["v2", "v3"]),
        (["v2 v2_again", "v3"], ["v2", "v3"]),
        (["runs/seed0 runs/seed1 runs/seed2", "runs/v3"], ["seed0 (and 2 more)", "v3"]),
        (["runs/a runs/b", "runs/c"], ["a (and 1 more)", "c"]),
        (["a0 a1", "a2 a3"], ["a0 (and 1 more)", "a2 (and 1 more)"]),
    ],
)
def test_names_are_short_and_differ(groups: list[str], names: list[str]) -> None:
    assert name_groups([[Path(path) for path in group.split()] for group in groups]) == names


def test_the_current_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v2").mkdir()
    monkeypatch.chdir(tmp_path / "v2")
    assert name_groups([[Path()], [Path("../v3")]]) == ["v2", "v3"]
