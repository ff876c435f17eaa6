"""The first sentence of the page of costs claims no more than the intervals do."""

from __future__ import annotations

from typing import Any

import pytest

from litmobile.tools.profile.charts import describe_answer


def make_facts(**intervals: tuple[float, float]) -> dict[str, Any]:
    """Returns the latency of the reference "A", and of others by name, with the interval of their ratio to it."""
    rows = [{"name": name, "ratio": sum(ends) / 2, "ratio_interval": ends} for name, ends in intervals.items()]
    rows.insert(0, {"name": "A", "ratio": 1.0, "ratio_interval": (1.0, 1.0)})
    return {"latency": [row | {"engine": "eager"} for row in rows], "reference": {"name": "A", "engine": "eager"}}


@pytest.mark.parametrize(
    ("intervals", "sentence"),
    [
        ({"B": (0.4, 0.6), "C": (0.7, 0.9)}, "B on eager is the fastest: it takes 0.500 (0.400 to 0.600) of the time"),
        ({"B": (1.2, 1.4), "C": (2, 3)}, "A on eager is the fastest: B on eager, the next, takes 1.300 (1.200 to "),
        ({"B": (0.9, 1.1)}, "The fastest cannot be told apart: B on eager, A on eager."),
        ({"B": (0.4, 0.6), "C": (0.5, 0.9)}, "The fastest cannot be told apart: B on eager, C on eager."),
    ],
)
def test_answer_names_the_fastest(intervals: dict[str, tuple[float, float]], sentence: str) -> None:
    (answer,) = describe_answer(make_facts(**intervals))
    assert answer.startswith(sentence)


def test_one_network_has_no_answer() -> None:
    assert not describe_answer(make_facts())
