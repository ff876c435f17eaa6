"""The classes of docs/own_parts.md train on the command line, and their run can be loaded by its path."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from litmobile.backbones import check_backbone
from litmobile.tools.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own_parts.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMAND = PAGE[PAGE.index("    litmobile fit") :].replace("\\\n", " ")
TINY = [
    "--model.preprocessing.size=[64,64]",
    "--data.batch_size=4",
    "--data.num_workers=0",
    "--trainer.max_steps=2",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
]


def test_the_page_fits_a_screen() -> None:
    assert len(PAGE.splitlines()) <= 60
    assert max(map(len, PAGE.splitlines())) <= 120


def as_tables(coco: Path, root: Path) -> None:
    """Write a data set in COCO's layout as the page's does: root/SPLIT.csv next to the images."""
    for split in ("train", "val"):
        content = json.loads((coco / "annotations" / f"instances_{split}.json").read_text())
        files = {image["id"]: image["file_name"] for image in content["images"]}
        classes = {category["id"]: category["name"] for category in content["categories"]}
        lines = []
        for found in content["annotations"]:
            x, y, w, h = found["bbox"]
            lines.append(f"{files[found['image_id']]},{x},{y},{x + w},{y + h},{classes[found['category_id']]}\n")
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{split}.csv").write_text("".join(lines))
        (root / split).symlink_to(coco / split)


def test_own_parts_train_and_load_from_the_run(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They train on the command line; the run is loaded by its path."""
    (tmp_path / "mine.py").write_text("\n\n".join(BLOCKS))
    as_tables(shapes, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # --allow-code adds to it
    program, *words = shlex.split(COMMAND)
    assert program == "litmobile"
    main([*words, *TINY, "--run", "run"])
    check_backbone(import_module("mine").Steps)

    report = json.loads((tmp_path / "run" / "val.json").read_text())
    assert set(report["AP_per_class"]) == {"disk", "ring", "square", "triangle", "star", "cross"}
    use = (
        "import sys, litmobile, mine; network = litmobile.load(sys.argv[1]); found = network.predict(sys.argv[2]); "
        "print(type(network.backbone), type(network.head), len(found.scores))"
    )
    image = next((shapes / "val").glob("*.jpg"))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    answer = subprocess.run(
        [sys.executable, "-c", use, str(tmp_path / "run"), str(image)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert answer.returncode == 0, answer.stderr
    assert "mine.Steps" in answer.stdout and "mine.Cells" in answer.stdout and answer.stdout.split()[-1] == "16"
