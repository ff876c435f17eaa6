"""The program of docs/export.md runs without PyTorch and prints what litmobile predicts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

import cv2
import pytest
import torch

from litmobile.heads.predictions import Detections
from litmobile.tasks.network import Network
from support.exporting import export_onnx, make_images, make_network

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text()
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime")
FITS: dict[str, Literal["stretch", "pad", "crop"]] = {"SSDLite": "pad", "LRASPP": "stretch", "Classifier": "crop"}


def test_the_program_has_at_most_25_lines() -> None:
    assert len([line for line in PROGRAM.splitlines() if line]) <= 25
    assert max(map(len, PAGE.splitlines())) <= 120


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that contains the program's packages and what they need, but neither torch nor litmobile."""
    folder = tmp_path_factory.mktemp("packages")
    wanted, seen = list(PACKAGES), set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed on other systems only
            continue
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))).resolve())
        needed = [line for line in found.requires or () if "extra ==" not in line]
        wanted += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    assert not (folder / "torch").exists()
    return {**os.environ, "PYTHONPATH": str(folder)}


def run_program(environment: dict[str, str], *words: str) -> list[str]:
    """Runs the program with the packages of ``environment`` alone."""
    check = "import importlib.util as u; assert not u.find_spec('torch') and not u.find_spec('litmobile')\n"
    command = [sys.executable, "-S", "-c", check + PROGRAM, *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("head", FITS)
def test_program_prints_the_predictions(head: str, environment: dict[str, str], tmp_path: Path) -> None:
    network = make_network("MobileNetV2", head, fit=FITS[head])
    path = str(tmp_path / "image.png")
    image = make_images(1, (150, 120))[0].permute(1, 2, 0).numpy()
    cv2.imwrite(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    lines = run_program(environment, str(export_onnx(network, tmp_path / "network.onnx")), path)
    check_lines(lines, network, path)


def check_lines(lines: list[str], network: Network, path: str) -> None:
    """Checks that the printed lines are what ``network`` predicts."""
    prediction = network.predict(path).prediction
    if not isinstance(prediction, Detections):
        scores = getattr(prediction, "scores")  # noqa: B009 — of two kinds of predictions
        shares = scores if scores.dim() == 1 else scores.argmax(0).flatten().bincount() / scores[0].numel()
        (line,) = lines
        # resized images differ by a grey level, to which networks with random weights are sensitive
        assert shares[network.classes.index(line.removeprefix(f"{path} "))] > shares.max() - 0.05
        return
    assert len(lines) == len(prediction.scores) > 10
    limits = torch.tensor([120, 150]).repeat(2)
    for line in lines:  # detections of nearly equal scores can change places
        name, score, corners = line.removeprefix(f"{path} ").split(" ", 2)
        box = torch.tensor([float(word) for word in corners.strip("[]").split()])
        alike = (prediction.labels == network.classes.index(name)) & ((prediction.scores - float(score)).abs() < 1e-3)
        box = torch.minimum(box.clamp(min=0), limits)  # a program may clip boxes to the image, as litmobile does
        assert (prediction.boxes[alike] - box).abs().amax(1).min() < 0.1
