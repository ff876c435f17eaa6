"""Learning rates, shares, probes: cells that depend on others or train otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from litmobile.tools import training
from litmobile.tools.transfer.plan.cells import Cell, Group
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.probes.probe import choose_device
from litmobile.tools.transfer.schedule import Schedule
from support.studies import CachingResolver, read_records, run_study, write_plan

FULL = Group("tones", "V2", "full")
RATES = {"values": [1e-4, 3e-3, 1e30], "length": 0.5, "val_from_train": 0.25}  # the last one diverges


@pytest.fixture(scope="module")
def finished(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Schedule, Path]:
    """A study with learning rates, shares, probes, and norms."""
    folder = tmp_path_factory.mktemp("stages")
    blocks = [
        {"backbones": ["V2"], "protocols": ["full"], "shares": [0.5, 1]},
        {"backbones": ["V2"], "protocols": ["knn", "ridge"]},
    ]
    changes: dict[str, Any] = {"cells": blocks, "learning_rates": RATES, "tasks.tones.split": "test"}
    schedule, _, _ = run_study(write_plan(folder / "plan.yaml", tones, changes), folder / "study")
    return schedule, folder / "study"


def select(study: Path, **values: Any) -> list[dict[str, Any]]:
    """Return the contents of the finished cells with some values, e.g. ``role="main"``."""
    records = read_records(study).values()
    return [record for record in records if all(record["cell"][key] == value for key, value in values.items())]


def read_config(study: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a finished cell."""
    return yaml.safe_load((study / "cells" / record["hash"] / "config.yaml").read_text())


def test_the_rate_with_the_highest_figure_is_chosen(finished: tuple[Schedule, Path]) -> None:
    schedule, study = finished
    trials = {record["cell"]["learning_rate"]: record for record in select(study, role="learning rate")}
    assert trials.keys() == {1e-4, 3e-3, 1e30}
    values = {rate: record["value"] for rate, record in trials.items() if record["value"] is not None}
    best = min(values, key=lambda rate: (-values[rate], rate))
    assert schedule.rates == {FULL: best}
    for record in select(study, protocol="full", role="main"):
        assert read_config(study, record)["model"]["init_args"]["optimizer"]["init_args"]["lr"] == best


def test_a_diverged_rate_is_finished_and_loses(finished: tuple[Schedule, Path]) -> None:
    (record,) = select(finished[1], learning_rate=1e30)
    assert record["value"] is None
    assert record["diverged"]
    assert finished[0].rates[FULL] != 1e30


def test_trials_see_neither_val_nor_test(finished: tuple[Schedule, Path]) -> None:
    _, study = finished
    for record in select(study, role="learning rate"):
        config = read_config(study, record)
        assert config["data"]["init_args"]["val_from_train"] == 0.25
        assert config["trainer"]["max_epochs"] == 1
        assert record["split"] == "val"
        assert not list((study / "cells" / record["hash"]).glob("*.npz"))


def test_a_share_trains_on_a_part_of_the_images(finished: tuple[Schedule, Path]) -> None:
    _, study = finished
    (record,) = select(study, protocol="full", share=0.5)
    options = read_config(study, record)["data"]["init_args"]
    assert (options["train_share"], options["share_seed"]) == (0.5, 0)
    assert len(list((study / "cells" / record["hash"]).glob("test-evidence.npz"))) == 1


@pytest.mark.parametrize(("protocol", "figures"), [("knn", {"knn5", "knn20"}), ("ridge", {"ridge"})])
def test_probes_leave_figures_and_evidence(finished: tuple[Schedule, Path], protocol: str, figures: set[str]) -> None:
    (record,) = select(finished[1], protocol=protocol)
    assert record["figures"].keys() == figures
    assert record["value"] == record["figures"][record["main_figure"]]
    assert (finished[1] / "cells" / record["hash"] / "test-evidence.npz").is_file()


@pytest.mark.parametrize(("accelerator", "device"), [("cpu", "cpu"), ("auto", "cuda"), ("gpu", "cuda")])
def test_probes_use_a_gpu_unless_the_plan_has_the_cpu(
    accelerator: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device({"trainer": {"accelerator": accelerator}}).type == device
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device({"trainer": {"accelerator": accelerator}}).type == "cpu"


def test_norms_train_while_the_backbone_is_frozen(tones: Path, tmp_path: Path) -> None:
    resolver = CachingResolver(read_plan(write_plan(tmp_path / "plan.yaml", tones)))
    options = resolver.resolve(Cell("tones", "V2", "weights", "norms")).config["model"]["init_args"]
    assert (options["freeze_epochs"], options["train_norms"]) == ("all", True)


def test_scores_that_are_nan_after_the_last_step_are_named(tones: Path, tmp_path: Path) -> None:
    options = ["--trainer.max_epochs=1", "--data.batch_size=8", "--model.optimizer.lr=1e30"]  # a single step
    blocks = [{"backbones": ["V2"], "protocols": ["scratch"]}]
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": blocks})
    content = yaml.safe_load(plan.read_text())
    content["tasks"]["tones"]["options"] += options
    plan.write_text(yaml.safe_dump(content))
    _, _, printed = run_study(plan, tmp_path / "study")
    reason = "The network's scores are NaN or infinite; lower the learning rate or load other weights."
    assert f"FAILED tones, V2, scratch, seed 0: {reason}" in printed


def test_cells_wait_for_a_failed_trial(monkeypatch: pytest.MonkeyPatch, tones: Path, tmp_path: Path) -> None:
    blocks = [{"backbones": ["V2"], "protocols": ["full"]}]
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": blocks, "learning_rates": RATES})

    def fail(words: list[str]) -> None:
        raise MemoryError

    monkeypatch.setattr(training, "fit", fail)
    schedule, launcher, _ = run_study(plan, tmp_path / "study")
    assert len(launcher.started) == 3
    assert schedule.blocked == {FULL: "a trial of its learning rate failed"}
    assert not read_records(tmp_path / "study")
