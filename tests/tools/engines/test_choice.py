"""Files that an engine cannot run are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from litmobile.errors import UserError
from litmobile.tools.engines.choice import ENGINES_BY_SUFFIX, open_engine


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
    with pytest.raises(UserError, match=r"broken\.onnx is not an ONNX file that .* can run"):
        open_engine(tmp_path / "broken.onnx", engine)


@pytest.mark.parametrize(
    ("name", "engine", "message"),
    [
        ("none.onnx", None, r"does not exist; pass a file that litmobile export wrote"),
        ("run.ckpt", None, r"engines run files that end in \.onnx, \.pte"),
        ("cells.onnx", "opnvino", r"There is no engine 'opnvino'; did you mean openvino\?"),
        ("cells.onnx", "litert", r"litert does not run \.onnx files; choose onnxruntime or openvino"),
    ],
)
def test_wrong_file_or_engine_is_one_sentence(name: str, engine: str | None, message: str, tmp_path: Path) -> None:
    for file in ("run.ckpt", "cells.onnx"):
        (tmp_path / file).touch()
    with pytest.raises(UserError, match=message):
        open_engine(tmp_path / name, engine)
