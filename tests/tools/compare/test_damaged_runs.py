"""`litmobile compare` names the file of a run that cannot be used, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.evidence import INFO, VERSION, save_evidence
from litmobile.tools.cli import main

FILE = "val-evidence.npz"
Content = dict[str, Any]


def write_run(folder: Path, width: float) -> Path:
    """Write the configuration and evidence of a run with twenty images."""
    folder.mkdir()
    evidence = ClassificationEvidence(
        classes=("a", "b"),
        names=tuple(f"{k}.png" for k in range(20)),
        scores=np.full((20, 2), 0.5, dtype=np.float32),
        ranking=np.tile(np.array([0, 1], dtype=np.int32), (20, 1)),
        labels=np.zeros(20, dtype=np.int32),
    )
    save_evidence(folder / FILE, evidence, {"split": "val"})
    (folder / "config.yaml").write_text(f"seed_everything: 0\nwidth: {width}\n")
    return folder


def change_evidence(run: Path, change: Callable[[Content, Content], Any]) -> None:
    """Change the arrays of a run's evidence and what describes them."""
    with np.load(run / FILE) as archive:
        arrays: Content = {name: archive[name] for name in archive.files}
    info = json.loads(arrays[INFO].tobytes())
    change(arrays, info)
    arrays[INFO] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
    np.savez(run / FILE, **arrays)


def set_nan(arrays: Content, info: Content) -> None:
    arrays["scores"][3] = np.nan


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another version": (
        lambda run: change_evidence(run, lambda arrays, info: info.update(version=VERSION + 1)),
        f"{FILE} has version {VERSION + 1}, not {VERSION}: evaluate the run again.",
    ),
    "NaN": (lambda run: change_evidence(run, set_nan), f"{FILE} contains NaN or infinite values (scores)"),
    "unknown task": (
        lambda run: change_evidence(run, lambda arrays, info: info.update(role="pose")),
        f"{FILE} is damaged or not a file of evidence",
    ),
    "array missing": (
        lambda run: change_evidence(run, lambda arrays, info: arrays.pop("labels")),
        f"{FILE} is damaged or not a file of evidence",
    ),
    "not evaluated": (lambda run: (run / FILE).unlink(), f"{FILE} does not exist: run litmobile validate or test"),
    "empty": (lambda run: (run / FILE).write_bytes(b""), f"{FILE} is damaged"),
    "text": (lambda run: (run / FILE).write_text("text"), f"{FILE} is damaged"),
    "cut": (lambda run: (run / FILE).write_bytes((run / FILE).read_bytes()[:600]), f"{FILE} is damaged"),
    "broken configuration": (lambda run: (run / "config.yaml").write_text("a: ["), "config.yaml is not a YAML file"),
    "unsafe configuration": (
        lambda run: (run / "config.yaml").write_text("a: !!python/object/apply:os.getcwd []"),
        "config.yaml is not a YAML file",
    ),
    "binary configuration": (lambda run: (run / "config.yaml").write_bytes(b"\xff"), "config.yaml is not a YAML file"),
}


@pytest.mark.parametrize(("damage", "mentioned"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_one_sentence(damage: Callable[[Path], Any], mentioned: str, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "good", 1), write_run(tmp_path / "wrong", 2)]
    damage(runs[1])
    with pytest.raises(SystemExit) as refused:
        main(["compare", *map(str, runs)])
    message = str(refused.value.code)
    assert message.startswith(f"litmobile: {runs[1]}/{mentioned}") and message.endswith(".")


@pytest.mark.parametrize("text", [None, "", "[1]"], ids=["absent", "empty", "list"])
def test_a_folder_without_configuration_is_one_run(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write_run(tmp_path / "good", 1), write_run(tmp_path / "other", 2)]
    (runs[1] / "config.yaml").unlink()
    if text is not None:
        (runs[1] / "config.yaml").write_text(text)
    main(["compare", *map(str, runs), "--resamples=100"])
    assert capsys.readouterr().out.startswith("good and other are equal on these 20 images")


def test_runs_of_one_seed_are_two_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are of other code, or copies; as two seeds of one configuration they would seem to vary less."""
    runs = [write_run(tmp_path / name, 1) for name in ("before", "after")]
    main(["compare", *map(str, runs), "--resamples=100"])
    assert capsys.readouterr().out.startswith("before and after are equal on these 20 images")
