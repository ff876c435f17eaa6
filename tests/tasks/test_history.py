"""What can be read of a run's damaged history is kept; the damaged file is kept under another name."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from litmobile.tasks.history import BUFFERED_ROWS, FigureHistory, MetricsLogger

HEADER, FIRST, SECOND = b"a,b,step\r\n", b"0.5,,4\r\n", b"0.25,2.0,9\r\n"
ROWS = [{"a": "0.5", "b": "", "step": "4"}, {"a": "0.25", "b": "2.0", "step": "9"}]
RUBBISH = bytes(range(256))


def read_metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_metrics_with_new_columns_are_one_table(tmp_path: Path) -> None:
    logger = MetricsLogger(tmp_path)
    for step, metrics in enumerate([{"a": 0.5}, {"b": 1.0}, {"a": 0.25, "b": 2.0}]):
        logger.log_metrics(metrics, step)
        logger.save()
    header, *_ = (tmp_path / "metrics.csv").read_text().splitlines()
    assert header == "a,b,step"
    assert read_metrics(tmp_path) == [
        {"a": "0.5", "b": "", "step": "0"},
        {"a": "", "b": "1.0", "step": "1"},
        {"a": "0.25", "b": "2.0", "step": "2"},
    ]


def test_metrics_are_written_after_some_rows(tmp_path: Path) -> None:
    logger = MetricsLogger(tmp_path)
    for step in range(BUFFERED_ROWS + 1):
        logger.log_metrics({"a": 1.0}, step)
    assert len(read_metrics(tmp_path)) == BUFFERED_ROWS
    logger.finalize("success")
    assert len(read_metrics(tmp_path)) == BUFFERED_ROWS + 1


@pytest.mark.parametrize(("step", "kept"), [(None, 0), (0, 0), (4, 0), (5, 1), (9, 1), (10, 2)])
def test_resumed_run_keeps_earlier_metrics(step: int | None, kept: int, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(HEADER + FIRST + SECOND)
    logger = MetricsLogger(tmp_path, step)
    logger.log_metrics({"c": 3.0}, 20)
    logger.save()
    assert [row["step"] for row in read_metrics(tmp_path)] == [*("4", "9")[:kept], "20"]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (HEADER + FIRST + SECOND + b"0.1,1.", 2),
        (HEADER + FIRST + SECOND + b"0.1,1.0,1", 2),  # the step may have been 11
        (HEADER + FIRST + b"0.1,1.0\r\n" + SECOND, 2),
        (HEADER + FIRST + b"0.1,1.0,7,8\r\n" + SECOND, 2),
        (HEADER + b"0.1,1.0,\r\n" + FIRST + SECOND, 2),
        (HEADER + b"0.1,1.0,-1\r\n" + FIRST + SECOND, 2),
        (HEADER + b"0.1,1.0," + b"9" * 5000 + b"\r\n" + FIRST + SECOND, 2),
        (HEADER + FIRST + RUBBISH + b"\r\n" + SECOND, 2),
        (HEADER + FIRST + b"\0" * 4096, 1),
        (HEADER + FIRST + SECOND[:-2] + RUBBISH, 1),
        (HEADER + b"," * 200_000 + b"\r\n" + FIRST, 1),
        (HEADER + b"1" * 200_000 + b",,8\r\n" + FIRST, 1),
        (b"a,b\r\n" + FIRST, 0),
        (FIRST + SECOND, 0),
        (RUBBISH, 0),
        (b"\0" * 4096, 0),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_readable_metrics_of_a_damaged_file_are_kept(content: bytes, kept: int, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.warns(UserWarning, match="which cannot be read, and copied the whole file to .*metrics-damaged.csv"):
        MetricsLogger(tmp_path, 100)
    assert (read_metrics(tmp_path) if kept else []) == ROWS[:kept]
    assert (tmp_path / "metrics.csv").exists() == bool(kept)
    assert (tmp_path / "metrics-damaged.csv").read_bytes() == content


@pytest.mark.parametrize("content", [b"", HEADER], ids=repr)
def test_empty_metrics_are_no_damage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    logger = MetricsLogger(tmp_path, 100)
    logger.log_metrics({"a": 1.0}, 100)
    logger.save()
    assert [row["step"] for row in read_metrics(tmp_path)] == ["100"]
    assert len(list(tmp_path.iterdir())) == 1


ENTRIES = [{"step": 5, "val/AP": 0.1}, {"step": 10, "val/AP": float("inf")}]
STORED = json.dumps(ENTRIES, indent=1) + "\n"


def test_figures_of_a_repeated_step_are_replaced(tmp_path: Path) -> None:
    for start, step in ((0, 5), (5, 10), (5, 10), (10, 15)):
        FigureHistory(tmp_path, start).add({"step": step, "start": start})
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert stored == [{"step": 5, "start": 0}, {"step": 10, "start": 5}, {"step": 15, "start": 10}]


def test_new_training_keeps_no_figures(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(STORED)
    assert FigureHistory(tmp_path, 0).entries == []


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (STORED[:-3].encode(), 2),
        (STORED[:-6].encode(), 1),
        (STORED.encode() + b"x", 2),
        (STORED.replace("[", "[7,").encode(), 2),
        (STORED.replace("[", '[{"val/AP": 1},').encode(), 2),
        (STORED.replace("[", '[{"step": "5"}, {"step": null}, {"step": true},').encode(), 2),
        (b'{"val/AP": 5}', 0),
        (b"[" * 100_000, 0),
        (RUBBISH, 0),
        (b"\0" * 4096, 0),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_readable_figures_of_a_damaged_file_are_kept(content: bytes, kept: int, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_bytes(content)
    with pytest.warns(UserWarning, match="which cannot be read, and copied the whole file to .*metrics-damaged.json"):
        history = FigureHistory(tmp_path, 100)
    assert history.entries == ENTRIES[:kept]
    assert (tmp_path / "metrics-damaged.json").read_bytes() == content


@pytest.mark.parametrize("content", ["", "\n", "[]", STORED], ids=repr)
def test_intact_figures_are_not_copied(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(content)
    FigureHistory(tmp_path, 100).add({"step": 101})
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_damaged_files_get_names_of_their_own(tmp_path: Path) -> None:
    for content in ("x", "y"):
        (tmp_path / "metrics.json").write_text(content)
        with pytest.warns(UserWarning, match="left out a part of it"):
            FigureHistory(tmp_path, 100)
    assert (tmp_path / "metrics-damaged.json").read_text() == "x"
    assert (tmp_path / "metrics-damaged2.json").read_text() == "y"


@pytest.mark.parametrize("kind", ["folder", "FIFO", "broken link"])
@pytest.mark.parametrize("name", ["metrics.csv", "metrics.json"])
def test_a_history_that_is_no_file_is_set_aside(kind: str, name: str, tmp_path: Path) -> None:
    make = {"folder": Path.mkdir, "FIFO": os.mkfifo, "broken link": lambda path: path.symlink_to("nowhere")}
    make[kind](tmp_path / name)
    with pytest.warns(UserWarning, match="cannot be read, so it is now"):
        MetricsLogger(tmp_path, 2) if name == "metrics.csv" else FigureHistory(tmp_path, 2)
    FigureHistory(tmp_path, 2).add({"step": 3})
    MetricsLogger(tmp_path, 2).save()
    assert os.path.lexists(tmp_path / name.replace(".", "-damaged."))


def test_a_copy_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "metrics-damaged.csv").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "metrics.csv").write_bytes(HEADER + FIRST + b"0.1,1.")
    with pytest.warns(UserWarning, match=r"metrics-damaged2\.csv"):
        MetricsLogger(tmp_path, 9)
    assert not (tmp_path / "elsewhere").exists()
