"""The description of an exported file survives writing and reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.errors import UserError
from litmobile.heads.ssdlite.decode import PostprocessConfig
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.engines.description import Description, json_path, read_description, write_description

DESCRIPTION = Description(
    role="detection",
    classes=("bolt", "Käfer"),
    preprocessing=Preprocessing((64, 96), "pad", mean=(0.4, 0.5, 0.6)),
    outputs=("boxes", "scores"),
    postprocess={**PostprocessConfig(nms_thresh=0.4)._asdict(), "is_inside": False},
    quantization={"weights": "int8 per channel", "float_ends": False, "calibration_images": 4},
    run={"folder": "runs/cells", "epoch": 3, "step": 40},
    versions={"torch": "2.8"},
)


def test_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_description(tmp_path / "cells.pte", DESCRIPTION)
    assert read_description(tmp_path / "cells.pte") == DESCRIPTION
    assert DESCRIPTION.thresholds == PostprocessConfig(nms_thresh=0.4)


@pytest.mark.parametrize("content", ["", "[1]", '{"role": "detection"}', "{}"])
def test_damaged_description_is_one_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.pte"
    json_path(path).write_text(content)
    with pytest.raises(UserError, match=r"cells\.pte\.json (is damaged|was not written by litmobile export)"):
        read_description(path)


@pytest.mark.parametrize("value", ["1", "[]", '{"size": [8, 8]}', '{"side": 320}', "no JSON"])
def test_damaged_entry_is_one_sentence(value: str) -> None:
    entries = DESCRIPTION.as_json() | {"preprocessing": value}
    with pytest.raises(UserError, match=r"The metadata of cells\.onnx are damaged \(.+[^.]\); export the run again\.$"):
        Description.from_json(entries, Path("cells.onnx"))
