"""Files that an engine cannot run are refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from litmobile.errors import UserError
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.engines.choice import ENGINES_BY_SUFFIX, choose_engine, open_engine
from litmobile.tools.engines.description import Description, json_path, write_description
from litmobile.tools.engines.engine import Engine
from litmobile.tools.engines.network import ExportedNetwork
from litmobile.tools.export.formats import FORMATS


def write_foreign_onnx(path: Path) -> Path:
    """Writes an ONNX file of another program."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize("engine", ENGINES_BY_SUFFIX[".onnx"])
def test_foreign_onnx_file_lacks_metadata(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    path = write_foreign_onnx(tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"was not written by litmobile export: its metadata lack role, classes, prep"):
        open_engine(path, engine)


@pytest.mark.parametrize("engine", ENGINES_BY_SUFFIX[".onnx"])
def test_damaged_onnx_file_is_refused(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"broken\.onnx is not an ONNX file that can be run here .*; export"):
        open_engine(tmp_path / "broken.onnx", engine)


@pytest.mark.parametrize(
    ("name", "engine", "message"),
    [
        ("none.onnx", None, r"does not exist; pass a file that litmobile export wrote"),
        ("folder.onnx", None, r"folder\.onnx is a folder; pass a file"),
        ("run", None, r"run is a folder, not an exported file; pass the folder of a run as --run"),
        ("run.ckpt", None, r"engines run files that end in \.onnx, \.pte"),
        ("cells.onnx", "opnvino", r"The engine 'opnvino' is unknown; did you mean openvino\?"),
        ("cells.onnx", "litert", r"litert does not run \.onnx files; choose onnxruntime or openvino"),
    ],
)
def test_wrong_file_or_engine_is_one_sentence(name: str, engine: str | None, message: str, tmp_path: Path) -> None:
    for file in ("run.ckpt", "cells.onnx"):
        (tmp_path / file).touch()
    for folder in ("run", "folder.onnx"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match=message):
        open_engine(tmp_path / name, engine)


DESCRIPTION = Description(
    "classification", ("cat", "dog"), Preprocessing((32, 32)), ("probabilities",), run={"epoch": 1, "step": 2}
)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"role": '"depth"'}, r"role is 'depth', but outputs are probabilities"),
        ({"outputs": '["boxes"]'}, r"role is 'classification', but outputs are boxes"),
        ({"role": '"detection"', "outputs": '["boxes", "scores"]'}, r"postprocess lacks score_thresh, .*, is_inside"),
    ],
)
def test_contradicting_metadata_are_refused(entries: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=rf"The metadata of cells\.onnx are damaged \({message}\)"):
        Description.from_json(DESCRIPTION.as_json() | entries, Path("cells.onnx"))


@pytest.mark.parametrize("suffix", [suffix for suffix in ENGINES_BY_SUFFIX if suffix != ".onnx"])
def test_foreign_file_and_missing_description_are_refused(
    suffix: str, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    path = tmp_path / f"other{suffix}"
    path.write_bytes(b"something else, longer than a header of 64 bytes, but not a network that can be run")
    for package in choose_engine(path, None).packages:
        pytest.importorskip(package)
    with pytest.raises(UserError) as failure:
        open_engine(path)
    assert_one_sentence(failure.value, json_path(path), "does not exist")
    write_description(path, DESCRIPTION)
    with pytest.raises(UserError) as failure:
        open_engine(path)
    assert_one_sentence(failure.value, path, FORMATS[suffix].name)


class Fixed(Engine):
    """Gives the same outputs for any image, or fails."""

    name = "fixed"

    def __init__(self, path: Path, outputs: list[np.ndarray] | None) -> None:
        super().__init__(path)
        path.write_bytes(b"file")
        self.description, self.outputs = DESCRIPTION, outputs

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        if self.outputs is None:
            raise RuntimeError("bad shape\nand more")
        return self.outputs


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([np.ones((1, 3), np.float32)], "has other classes than its description, which names 2 classes"),
        (None, r"cannot be run by fixed \(bad shape\); export it again"),
    ],
)
def test_file_and_description_have_to_fit(outputs: list[np.ndarray] | None, message: str, tmp_path: Path) -> None:
    network = ExportedNetwork(Fixed(tmp_path / "file", outputs))
    with pytest.raises(UserError, match=message):
        network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_file_of_another_task_is_refused(tmp_path: Path) -> None:
    network = ExportedNetwork(Fixed(tmp_path / "cells.onnx", None))
    network.check_role("classification")
    with pytest.raises(UserError, match=r"cells\.onnx is for classification, but the run or recipe is for detection"):
        network.check_role("detection")
