"""The code of docs/export_phones.md gives litmobile's detections."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from litmobile.heads.predictions import Detections
from litmobile.tools.engines.description import json_path, write_description
from support.exporting import make_exportable, make_images

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "export_phones.md").read_text()
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_code_has_at_most_30_lines() -> None:
    assert len([line for line in CODE.splitlines() if line]) <= 30
    assert max(map(len, PAGE.splitlines())) <= 120


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_code_gives_equal_detections(fit: Literal["stretch", "pad"], tmp_path: Path) -> None:
    exported = make_exportable("MobileNetV1", "detection", (64, 96), fit)
    image = make_images(1, (150, 120))[0].permute(1, 2, 0).numpy()
    expected = exported.network.predict(image).prediction
    assert isinstance(expected, Detections)
    assert len(expected.scores) > 20
    assert len(set(expected.labels.tolist())) > 1

    write_description(tmp_path / "net.pte", exported.description)
    about = json.loads(json_path(tmp_path / "net.pte").read_text())
    placed = torch.from_numpy(exported.network.preprocessing.apply(image)).permute(2, 0, 1)[None]
    with torch.no_grad():
        boxes, scores = (x[0].numpy() for x in exported.module(placed))
    names: dict[str, Any] = {}
    exec(CODE, names)
    found = names["finish"](boxes, scores, about, 120, 150)

    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-2)
