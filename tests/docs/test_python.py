"""The code of docs/python.md runs, in order and in one program."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from litmobile.tasks.network import Network
from support.exporting import export_onnx, make_network
from support.predicting import make_noise, save_network

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
#: packages that are not installed with litmobile, by a word of the blocks that need them
OPTIONAL = {"cells.onnx": "onnxruntime", "to_supervision": "supervision"}


def test_lines_fit_a_screen() -> None:
    assert max(map(len, PAGE.splitlines())) <= 120


def test_a_task_trains_in_eight_lines() -> None:
    (block,) = [block for block in BLOCKS if "Trainer" in block]
    imports = ("import ", "from ")
    assert len([line for line in block.splitlines() if line and not line.startswith(imports)]) <= 8


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = make_network("MobileNetV2", "SSDLite", (64, 64))
    Path("runs/cells/checkpoints").mkdir(parents=True)
    save_network(detector, Path("runs/cells/checkpoints/best.ckpt"))
    Image.fromarray(make_noise(90, 120)).save("street.jpg")
    for name in ("a.png", "b.png"):
        Path("photos").mkdir(exist_ok=True)
        Image.fromarray(make_noise(70, 70)).save(f"photos/{name}")
    if importlib.util.find_spec("onnxruntime"):
        export_onnx(detector, Path("cells.onnx"))
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on the number of workers
        for block in BLOCKS:
            needed = [package for word, package in OPTIONAL.items() if word in block]
            if all(map(importlib.util.find_spec, needed)):
                exec(block, names)
    assert {path.name for path in Path("drawn").iterdir()} == {"a.png", "b.png"}
    assert Path("street-drawn.jpg").is_file() and Path("street.json").is_file()
    assert len(names["several"]) == 3 and len(names["folder"]) == 2
    assert names["one"].boxes.equal(names["same"].boxes)
    assert isinstance(names["again"], Network) and names["again"].classes == ("ant", "bee")
    assert Network.load("trained.pt").classes == ("ant", "bee")
