"""The report of a study has an answer, links to all cells, and a table of them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import UserError
from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tools.transfer.plan.contents import Plan
from litmobile.tools.transfer.race import DECISIONS, Decision
from litmobile.tools.transfer.report import costs
from litmobile.tools.transfer.report.published import find_figures
from litmobile.tools.transfer.report.report import write_report
from litmobile.tools.transfer.report.sections.cells import HEADER
from litmobile.tools.transfer.store import MARKDOWN, PAGE, TABLE, Study
from support.finished_studies import make_evidence, write_cell, write_study
from support.pages import Page

CLAIMS = [{"claim": "Own is no better than V2", "backbone": "Own", "others": ["V2"], "expected": "not better"}]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Plan, list[str]]:
    """A study with its report, and the sentences of its answer."""
    study, plan = write_study(tmp_path_factory.mktemp("reported") / "study", {"claims": CLAIMS})
    return study, plan, write_report(study, plan)


def test_answer_names_a_backbone_for_each_task(reported: tuple[Study, Plan, list[str]]) -> None:
    answer = reported[2]
    assert [sentence.partition(" ")[0].rstrip(":,") for sentence in answer] == ["insects"] * 2 + ["leaves"] * 2
    assert "has the highest top1" in answer[0]
    assert "by M multiply-adds" in answer[1]


def test_page_and_markdown_say_the_same(reported: tuple[Study, Plan, list[str]]) -> None:
    study, _, answer = reported
    page, markdown = ((study.folder / name).read_text(encoding="utf-8") for name in (PAGE, MARKDOWN))
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == re.findall(r"^## (.*)$", markdown, re.MULTILINE)
    assert {"insects: figures", "Gain of pretraining", "Shares of the labels", "Claims", "Cells"} <= set(titles)
    assert all(sentence in page for sentence in answer)


def test_every_cell_is_linked(reported: tuple[Study, Plan, list[str]]) -> None:
    study = reported[0]
    for name in (PAGE, MARKDOWN):
        text = (study.folder / name).read_text(encoding="utf-8")
        targets = set(re.findall(r"cells/\w+/cell\.json", text))
        assert targets == {f"cells/{path.name}/cell.json" for path in (study.folder / "cells").iterdir()}
        assert all((study.folder / target).is_file() for target in targets)


def test_page_loads_nothing_else(reported: tuple[Study, Plan, list[str]]) -> None:
    page = Page((reported[0].folder / PAGE).read_text(encoding="utf-8"))
    assert [problem for problem in page.problems if "cells/" not in problem] == []


def test_table_has_a_row_for_each_cell(reported: tuple[Study, Plan, list[str]]) -> None:
    study = reported[0]
    rows = list(csv.DictReader(io.StringIO((study.folder / TABLE).read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == HEADER
    assert {row["run"] for row in rows} == {path.name for path in (study.folder / "cells").iterdir()}
    for row in rows:
        record = json.loads((study.cell_folder(row["run"]) / "cell.json").read_text())
        if row["protocol"] not in ("knn", "ridge"):  # whose main figure is the mean recall
            assert float(row["value"]) == pytest.approx(record["value"], abs=1e-6)
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        assert row["weights"] == ("random" if row["protocol"] == "scratch" else "imagenet")


def test_costs_are_counted_once(reported: tuple[Study, Plan, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "measure_networks", lambda *_: pytest.fail("costs are known"))
    study, plan, answer = reported
    assert write_report(study, plan) == answer


def test_damaged_costs_are_counted_again(tmp_path: Path) -> None:
    one = {"cells": [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["scratch"], "seeds": [0, 1]}]}
    study, plan = write_study(tmp_path, one)
    (tmp_path / costs.COSTS).write_text("{")
    write_report(study, plan)
    found = json.loads((tmp_path / costs.COSTS).read_text())["tasks"]["insects"]["backbones"]["V1"]
    assert found["architecture"] == {"family": "MobileNetV1", "arguments": {"width": 0.25}, "top1": 50.6}
    assert found["parameters"] == sum(x.numel() for x in build(found, study).parameters())


def build(found: dict[str, object], study: Study) -> costs.Network:
    """Builds the network of the only backbone."""
    config = next(iter(study.folder.glob("cells/*/config.yaml")))
    return costs.build_network(costs.read_yaml(config)["model"], ("ant", "bee", "fly"))


def test_learning_rates_are_listed_with_the_chosen_one(tmp_path: Path) -> None:
    one = {"cells": [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["scratch"], "seeds": [0, 1]}]}
    study, plan = write_study(tmp_path, one)
    links = {
        rate: f"[{skill:.3f}](cells/{write_cell(study, 'insects', 'V1', 'scratch', evidence=perfect(skill), rate=rate)}"
        for rate, skill in ((0.002, 1.0), (0.0005, 0.0))
    }
    write_report(Study(study.folder), plan)
    text = (tmp_path / MARKDOWN).read_text(encoding="utf-8")
    assert "| task | backbone | protocol | 0.0005 | 0.002 | chosen |" in text
    (row,) = [line for line in text.splitlines() if links[0.002] in line]
    assert row.startswith(f"| insects | V1 | scratch | {links[0.0005]}/cell.json) | ")
    assert row.endswith("| 0.002 |")
    assert "Of 1 chosen rate, 0 are the lowest that was tried and 1 the highest" in text


def perfect(skill: float) -> ClassificationEvidence:
    """Returns evidence of a classifier that is always right, or always wrong."""
    found = make_evidence(skill, 0)
    labels = found.ranking[:, 0] if skill else found.ranking[:, 1]
    return replace(found, labels=labels)


def test_decisions_of_a_race_are_shown(tmp_path: Path) -> None:
    one = {"cells": [{"backbones": ["V1", "V2"], "tasks": ["insects"], "protocols": ["ridge"]}]}
    study, plan = write_study(tmp_path, one)
    named = ("insects", "pretrained", "ridge", "ridge", 1, "mean_recall", "V2", "V1")
    decided = Decision(*named, 0.2, 0.1, 0.3, p_value=0.01, dropped=True)
    (tmp_path / DECISIONS).write_text(json.dumps([asdict(decided)]))
    write_report(study, plan)
    text = (tmp_path / MARKDOWN).read_text(encoding="utf-8")
    assert "After 1 of 1 comparisons with a leader" in text
    assert "| V2 | V1 | 0.200 (0.100 to 0.300) | 0.010 | dropped |" in text
    (tmp_path / DECISIONS).write_text("[{}]")
    with pytest.raises(UserError, match=r"race.json is damaged; remove it"):
        write_report(study, plan)


def test_one_finished_cell_is_enough(tmp_path: Path) -> None:
    one = {"cells": [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["ridge"]}]}
    study, plan = write_study(tmp_path, one)
    assert write_report(study, plan) == ["insects: no training is finished."]
    write_cell(study, "insects", "V1", "scratch")
    fresh = Study(study.folder)
    assert "V1 (scratch) has the highest top1" in write_report(fresh, plan)[0]


def test_engines_give_latencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0.01)
    plan = {
        "cells": [{"backbones": ["V1", "V2"], "tasks": ["insects"], "protocols": ["scratch"], "seeds": [0, 1]}],
        "engines": ["eager"],
    }
    study, read = write_study(tmp_path, plan)
    answer = write_report(study, read)
    assert "insects, by ms (eager): " in answer[1]
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "top1 against ms (eager)" in page and np.all(["P(front)" in page, "1 thread" in page])


def test_latency_is_not_measured_while_cells_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {"cells": [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["scratch"]}], "engines": ["eager"]}
    study, read = write_study(tmp_path, plan)
    with study.claim("0" * 20):
        write_report(study, read)
    assert "Latency is not measured while cells run" in capsys.readouterr().out
    found = json.loads((tmp_path / costs.COSTS).read_text())["tasks"]["insects"]["backbones"]["V1"]
    assert found["latency"] == {} and found["parameters"] > 0
    assert not study.is_running()


def test_partial_reports_say_so(tmp_path: Path) -> None:
    one = {"cells": [{"backbones": ["V1"], "protocols": ["scratch"], "seeds": [0, 1]}]}
    study, plan = write_study(tmp_path, one)
    for path in list((tmp_path / "cells").iterdir()):
        if json.loads((path / "cell.json").read_text())["cell"]["task"] == "leaves":
            shutil.rmtree(path)
    answer = write_report(Study(study.folder), plan)
    assert answer[0] == "This report is partial: 2 cells of 4 are not finished; of leaves, no cell is."


def test_notes_on_backbones_are_shown(tmp_path: Path) -> None:
    backbones = {"V1": {"weights": "imagenet", "note": "It saw ants."}}
    cells = [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["scratch", "full"], "seeds": [0, 1]}]
    study, plan = write_study(tmp_path, {"backbones": backbones, "cells": cells})
    write_report(study, plan)
    assert (tmp_path / MARKDOWN).read_text(encoding="utf-8").count("It saw ants.") == 2


def test_published_figures_need_the_same_architecture() -> None:
    assert [entry.value for entry in find_figures("MobileNetV2", {"width": 0.5})] == [16.6, 68.57]
    assert find_figures("MobileNetV2", {"width": 0.25}) == []
