"""Studies from their plan to their end, in the process of the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.errors import LossError, UserError
from litmobile.tools import training
from litmobile.tools.cli import main
from litmobile.tools.evaluations import read_evaluation
from litmobile.tools.transfer import command
from litmobile.tools.transfer.store import Study
from litmobile.versions import list_versions
from support.studies import CachingResolver, pretend, read_figures, read_records, run_study, write_plan

Fail = Callable[[str, BaseException], None]
MISSING = "--data.root=/none"


@pytest.fixture(scope="module")
def plan(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of three cells, evaluated on test."""
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    return write_plan(path, tones, {"tasks.tones.split": "test"})


@pytest.fixture(scope="module")
def study(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study of that plan."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    run_study(plan, folder)
    return folder


@pytest.fixture
def caching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command parse equal options once."""
    monkeypatch.setattr(command, "Resolver", CachingResolver)


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """A function that lets the training of a backbone, e.g. "MobileNetV1", raise an error."""
    fit = training.fit

    def fail(backbone: str, error: BaseException) -> None:
        def failing_fit(words: list[str]) -> None:
            if any(backbone in Path(word).read_text() for word in words if word.endswith("config.yaml")):
                raise error
            fit(words)

        monkeypatch.setattr(training, "fit", failing_fit)

    return fail


def test_finished_cells_have_figures_and_evidence(study: Path, plan: Path) -> None:
    records = read_records(study)
    assert len(records) == 3
    assert (study / "plan.yaml").read_bytes() == plan.read_bytes()
    for digest, record in records.items():
        names = sorted(path.name for path in (study / "cells" / digest).iterdir())
        assert names == ["cell.json", "config.yaml", "test-evidence.npz"]
        evidence, identity = read_evaluation(study / "cells" / digest, "test")
        assert evidence.figures(torch.ones(1, 4).double().numpy(), ["top1"])["top1"] == record["value"]
        assert identity["epoch"] == 1
        assert record["seconds"] > 0
        assert record["versions"] == list_versions()
    assert not list((study / "work").glob("*/"))


def test_a_finished_study_runs_nothing_again(study: Path, plan: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.glob("cells/*/*")}
    _, launcher, _ = run_study(plan, study)
    assert launcher.started == []
    assert {path: path.stat().st_mtime_ns for path in study.glob("cells/*/*")} == before


def test_a_cell_is_an_ordinary_run(study: Path, tmp_path: Path) -> None:
    digest, record = next(iter(read_records(study).items()))
    main(["fit", "--config", str(study / "cells" / digest / "config.yaml"), "--run", str(tmp_path / "run")])
    main(["test", "--run", str(tmp_path / "run"), "--ckpt_path=last"])
    assert json.loads((tmp_path / "run" / "test.json").read_text())["figures"] == record["figures"]


def test_a_plan_can_grow(study: Path, tones: Path, tmp_path: Path) -> None:
    more = [{"backbones": ["V1"], "protocols": ["scratch"], "seeds": [0, 1]}]
    plan = write_plan(tmp_path / "grown.yaml", tones, {"tasks.tones.split": "test", "cells": more})
    before = read_figures(study)
    _, launcher, _ = run_study(plan, study, pretend)
    assert len(launcher.started) == 1
    after = read_figures(study)
    assert {digest: after[digest] for digest in before} == before
    assert len(after) == len(before) + 1


def test_another_study_in_the_folder_is_refused(
    study: Path, tones: Path, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    plan = write_plan(tmp_path / "other.yaml", tones, {"tasks.tones.options": "+--trainer.max_epochs=1"})
    with pytest.raises(UserError) as refused:
        run_study(plan, study)
    assert_one_sentence(refused.value, study, "finished cells of another study", plan)


def test_a_folder_with_something_else_is_refused(
    plan: Path, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError) as refused:
        run_study(plan, tmp_path)
    assert_one_sentence(refused.value, tmp_path, "contains something else than a study")


@pytest.mark.parametrize(
    ("content", "mentioned"),
    [
        ('{"version": 0}', "is of an older version of litmobile (0, not 1)"),
        ('{"version": 9}', "is of a newer version of litmobile (9, not 1)"),
        ('{"version"', "is damaged"),
        ("[]", "is damaged"),
    ],
    ids=["older", "newer", "torn", "list"],
)
def test_a_cell_of_another_version_is_one_sentence(
    content: str, mentioned: str, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    file = tmp_path / "cells" / "0a" / "cell.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(UserError) as refused:
        Study(tmp_path).read_cells()
    assert_one_sentence(refused.value, file, mentioned)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "The cell ran out of memory, so lower"),
        (MemoryError(), "The cell ran out of memory, so lower"),
        (LossError("The loss is NaN in step 3."), "The loss is NaN in step 3."),
        (KeyError("bug"), "KeyError: 'bug'."),
    ],
    ids=["gpu-memory", "memory", "diverged", "bug"],
)
def test_a_failed_cell_stops_nothing(
    error: BaseException, reason: str, fail: Fail, tones: Path, tmp_path: Path
) -> None:
    block = {"backbones": ["V1", "V2"], "protocols": ["scratch"]}
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": [block]})
    fail("MobileNetV", error)
    schedule, _, printed = run_study(plan, tmp_path / "study")
    failures = Study(tmp_path / "study").failures()
    assert failures.keys() == schedule.known.keys()
    assert all(failure.startswith(reason) and failure.endswith(".") for failure in failures.values())
    details = (tmp_path / "study" / "work" / next(iter(failures)) / "failure.txt").read_text()
    assert "Traceback" in details
    assert "failing_fit" in details
    assert printed.count(f"FAILED tones, V1, scratch, seed 0: {reason}") == 1


def test_a_failed_cell_is_tried_again(fail: Fail, monkeypatch: pytest.MonkeyPatch, tones: Path, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": [{"backbones": ["V1"], "protocols": ["scratch"]}]})
    fail("MobileNetV1", MemoryError())
    for run in range(2):
        _, launcher, _ = run_study(plan, tmp_path / "study")
        assert len(launcher.started) == 1
        assert len(read_records(tmp_path / "study")) == run
        assert len(Study(tmp_path / "study").failures()) == 1 - run
        monkeypatch.undo()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no-weights": (
        {"cells": [{"backbones": "all", "protocols": ["full", "frozen"]}]},
        "“tones, V1, full, seed 0” cannot work: V1 has no weights in the plan, which the protocol full needs.",
    ),
    "no-weights-file": ({"backbones.V2.weights": "none.pth"}, "none.pth"),
    "wrong-weights": ({"backbones.V2.options": ["--model.backbone=MobileNetV2"]}, "cannot work:"),
    "no-map": ({"backbones.V1.options": "+--model.feature_maps=[c9]"}, "c9"),
    "no-data": ({"tasks.tones.options": f"+{MISSING}"}, "“tones, V2, scratch, seed 0” and 2 other cells cannot work: "),
    "no-option": ({"backbones.V1.options": "+--model.backbone.widht=1"}, "widht"),
    "same-cells": (
        {"backbones.V1.options": ["--model.backbone=MobileNetV2", "--model.backbone.width=0.35"]},
        "cannot work: it is the same training as “tones, V2, scratch, seed 0”.",
    ),
}


@pytest.mark.usefixtures("caching")
@pytest.mark.parametrize(("changes", "mentioned"), REFUSED.values(), ids=REFUSED)
def test_an_impossible_cell_is_refused_before_all(
    changes: dict[str, Any], mentioned: str, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, changes)
    with pytest.raises(SystemExit) as refused:
        main(["transfer", str(plan), "--to", str(tmp_path / "study")])
    assert refused.value.code == 1
    assert mentioned in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("caching")
def test_data_without_the_split_are_refused(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(tones / "train")
    (root / "v2.pth").symlink_to(tones / "v2.pth")
    plan = write_plan(tmp_path / "plan.yaml", root, {"tasks.tones.split": "test"})
    with pytest.raises(SystemExit):
        main(["transfer", str(plan), "--to", str(tmp_path / "study")])
    message = capsys.readouterr().err
    assert "and 2 other cells cannot work" in message
    assert "test" in message


@pytest.mark.usefixtures("caching")
def test_dry_run_prints_cells_and_hours_and_runs_nothing(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, {"more_seeds": {"leaders": 1, "seeds": [7]}})
    main(["transfer", str(plan), "--dry-run"])
    printed = capsys.readouterr().out
    assert "tones, V1, scratch, seed 0: " in printed
    assert "tones, V2, full: about " in printed
    assert "3 trainings take about 0.0" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_leaders_get_more_seeds(tones: Path, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, {"more_seeds": {"leaders": 1, "seeds": [7, 8]}})
    schedule, launcher, _ = run_study(plan, tmp_path / "study", pretend)
    cells = [schedule.known[digest].cell for digest in launcher.started]
    leader = schedule.find_leaders("tones")[0]
    assert [(cell.group, cell.seed) for cell in cells[3:]] == [(leader, 7), (leader, 8)]
    values = {
        r["cell"]["backbone"] + r["cell"]["protocol"]: r["value"] for r in read_records(tmp_path / "study").values()
    }
    assert values[leader.backbone + leader.protocol] == max(values.values())
