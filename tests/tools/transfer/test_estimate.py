"""How long a study takes, from a few timed steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.errors import UserError
from litmobile.tools.cli import main
from litmobile.tools.transfer import estimate
from litmobile.tools.transfer.estimate import START_SECONDS, Times, estimate_probes, estimate_trainings
from litmobile.tools.transfer.plan.cells import Cell, list_cells
from litmobile.tools.transfer.plan.contents import LearningRates
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.resolve import ResolvedCell, Resolver
from support.studies import write_plan

TIMES = Times(step=2.0, batch=1.0, steps=100, epoch_steps=10, batches=5, validations=10, test_batches=3)


def test_shares_shorten_the_training_but_not_the_evaluation() -> None:
    assert TIMES.total() == START_SECONDS + 200 + 50 + 3
    assert TIMES.total(0.1) == START_SECONDS + 20 + 50 + 3


def test_trials_are_short_and_evaluated_on_training_images() -> None:
    """A half of 10 epochs with 8 steps, and 2 batches to evaluate after each."""
    assert TIMES.trial(LearningRates((0.1, 0.2), 0.5, 0.2)) == pytest.approx(START_SECONDS + 5 * 8 * 2 + 5 * 2)


def test_features_are_counted_once_for_all_probes(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 training and 4 test images are 2 and 1 batches of 10 s; a half of the training images is 1 batch."""
    monkeypatch.setattr(estimate, "time_features", lambda resolved: 10.0)
    plan = write_plan(tmp_path / "plan.yaml", tones, {"tasks.tones.split": "test"})
    knn, ridge = (Cell("tones", "V2", "weights", protocol) for protocol in ("knn", "ridge"))
    half = Cell("tones", "V2", "weights", "knn", 0.5)
    resolver = Resolver(read_plan(plan))
    assert estimate_probes(resolver, [knn, ridge]) == 2 * START_SECONDS + 30
    assert estimate_probes(resolver, [knn, ridge, half]) == 3 * START_SECONDS + 40
    assert "tones, V2, features for probes: about 30 s" in capsys.readouterr().out


def test_dry_run_estimates_probes(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": [{"backbones": ["V2"], "protocols": ["knn", "ridge"]}]})
    main(["transfer", str(plan), "--dry-run", "--race"])
    printed = capsys.readouterr().out
    assert "tones, V2, features for probes: about " in printed
    assert "\n2 probes take about 0.0" in printed
    assert "A race takes less if backbones drop out." in printed


def test_a_cell_that_fails_while_it_is_timed_is_named(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(resolved: ResolvedCell) -> Times:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(estimate, "time_cell", fail)
    plan = read_plan(write_plan(tmp_path / "plan.yaml", tones))
    with pytest.raises(UserError, match=r"^tones, V2, scratch fails in its first steps: CUDA out of memory\.$"):
        estimate_trainings(Resolver(plan), list_cells(plan))
