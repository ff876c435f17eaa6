"""A study whose cells are finished."""

from __future__ import annotations

import pytest

from litmobile.tools.transfer.plan.contents import Plan
from litmobile.tools.transfer.report.estimates import TaskEstimates, estimate_task
from litmobile.tools.transfer.report.results import read_results
from litmobile.tools.transfer.store import Study
from support.finished_studies import write_study


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Plan]:
    """A study and its plan: four backbones on two tasks."""
    return write_study(tmp_path_factory.mktemp("finished") / "study")


@pytest.fixture(scope="session")
def insects(finished: tuple[Study, Plan]) -> TaskEstimates:
    """Estimates of its first task."""
    return estimate_task(read_results(*finished)[0], resamples=300)
