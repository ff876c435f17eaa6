"""Two processes train every head on every family together, and every parameter learns."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from support.distributed_training import COMBINATIONS, PROCESSES, train_all

Outcome = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """The outcomes of both processes, which start once because starting takes longer than all steps."""
    folder = tmp_path_factory.mktemp("pair")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=train_all, args=(str(folder), rank)) for rank in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(PROCESSES)]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_step_of_two_processes_updates_both_equally(combination: str, outcomes: list[Outcome]) -> None:
    """Every parameter gets a gradient."""
    for outcome in outcomes:
        found = outcome[combination]
        assert found["without gradient"] == []
        assert found["alike"] and found["finite"] and found["moved"]
