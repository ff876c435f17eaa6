"""Claims of a plan are tested by intervals, and gains of pretraining by paired differences."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tools.transfer.plan.contents import Claim, Plan
from litmobile.tools.transfer.report.claims import assess_claim, judge, summarize
from litmobile.tools.transfer.report.estimates import TaskEstimates, estimate_task
from litmobile.tools.transfer.report.gains import describe_gains, find_gains
from litmobile.tools.transfer.report.results import Row, read_results
from litmobile.tools.transfer.store import Study
from support.finished_studies import write_study


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        ("better", 0.01, 0.05, "holds"),
        ("better", -0.05, -0.01, "fails"),
        ("better", -0.01, 0.05, "undecided"),
        ("not better", -0.05, 0.02, "holds"),
        ("not better", 0.021, 0.05, "fails"),
        ("not better", 0.01, 0.05, "undecided"),
        ("close", -0.02, 0.02, "holds"),
        ("close", 0.03, 0.05, "fails"),
        ("close", -0.05, -0.03, "fails"),
        ("close", -0.03, 0.01, "undecided"),
        ("better", float("nan"), float("nan"), "undecided"),
        ("not better", float("nan"), float("nan"), "undecided"),
        ("close", float("nan"), float("nan"), "undecided"),
    ],
)
def test_verdict_follows_from_the_interval(expected: str, low: float, high: float, verdict: str) -> None:
    claim = Claim("", "A", ("B",), expected, 0.02)  # pyright: ignore[reportArgumentType]
    assert judge(claim, low, high) == verdict


def test_claims_are_tested_on_every_task(finished: tuple[Study, Plan]) -> None:
    study, plan = finished
    tasks = [estimate_task(found, 200) for found in read_results(study, plan)]
    claim = Claim("V2 beats all", "V2", ("V1", "Own"), "better")
    found = assess_claim(claim, tasks, "full")
    assert [(one.task, one.second.backbone) for one in found] == [
        ("insects", "V1"),
        ("insects", "Own"),
        ("leaves", "V1"),
        ("leaves", "Own"),
    ]
    assert all(one.verdict == "holds" for one in found if one.second.backbone == "Own")
    assert summarize(claim, found, plan, "full").startswith("full: of 4 comparisons, the claim holds in ")


def test_untestable_claims_say_why(tmp_path: Path) -> None:
    study, plan = write_study(
        tmp_path,
        {
            "backbones": {"V1": {"weights": "imagenet"}, "V2": {}},
            "cells": [{"backbones": "all", "protocols": ["scratch"], "tasks": ["insects"]}],
        },
    )
    tasks = [estimate_task(found, 200) for found in read_results(study, plan)]
    claim = Claim("V1 beats V2", "V1", ("V2",), "better")
    assert assess_claim(claim, tasks, "full") == []
    sentence = "full: cannot be tested here, because V2 has no weights in the plan."
    assert summarize(claim, [], plan, "full") == sentence


def test_gains_compare_with_the_same_share(insects: TaskEstimates) -> None:
    gains = find_gains(insects)
    assert [(gain.pretrained, gain.scratch) for gain in gains] == [
        (Row(name, "full"), Row(name, "scratch")) for name in ("V1", "V2", "Shuffle", "Own")
    ]
    certain = sum(gain.pair.better == str(gain.pretrained) for gain in gains)
    assert certain >= 2
    assert f"gains top1 significantly in {certain} of 4 comparisons" in describe_gains(insects, gains)
