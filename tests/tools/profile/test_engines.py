"""Engines run the same network: their predictions equal those of `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from litmobile.errors import UserError
from litmobile.heads import LRASPP, Classifier, SSDLite
from litmobile.heads.contract import Head
from litmobile.heads.predictions import Classification, Detections
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.engines.packages import EXTRAS
from litmobile.tools.profile.engines.prepared import Prepared, Settings, make_noise
from litmobile.tools.profile.engines.table import ENGINES, check_engines, list_packages, prepare
from litmobile.tools.profile.targets import place
from support.families import build_small

SIZE = (64, 64)
CPU = torch.device("cpu")


def build_network(head: type[Head]) -> Network:
    """Build a small network with random weights."""
    torch.manual_seed(0)
    backbone = build_small("MobileNetV2", head.role)
    network = Network(backbone, head, ["a", "b", "c"], Preprocessing(SIZE), role=head.role)
    return place(network.eval(), CPU)


def prepare_one(engine: str, network: Network, folder: Path) -> tuple[Prepared, Any]:
    """Prepare a network for an engine, and return the result for two images."""
    for package in ENGINES[engine].packages:
        pytest.importorskip(package)
    prepared = prepare(engine, network, Settings(CPU, 1, folder))
    return prepared, prepared.run(prepared.place(make_noise(2, SIZE)))


@pytest.mark.parametrize(
    ("engine", "tolerance"),
    [("eager", 1e-5), ("bf16", 0.05), pytest.param("compiled", 1e-4, marks=pytest.mark.slow)],
)
def test_pytorch_engines_predict_what_predict_does(engine: str, tolerance: float, tmp_path: Path) -> None:
    network = build_network(Classifier)
    _, found = prepare_one(engine, network, tmp_path)
    expected = [cast(Classification, network.predict(image.transpose(1, 2, 0).copy())) for image in make_noise(2, SIZE)]
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x.scores, y.scores, rtol=0, atol=tolerance)


def test_eager_decodes_boxes_and_labels(tmp_path: Path) -> None:
    detector = build_network(SSDLite)
    _, found = prepare_one("eager", detector, tmp_path)
    expected = cast(Detections, detector.predict(make_noise(2, SIZE)[0].transpose(1, 2, 0).copy()))
    assert len(found) == 2
    assert len(expected.scores) > 0
    torch.testing.assert_close(found[0].scores, expected.scores, rtol=0, atol=1e-5)
    _, labels = prepare_one("eager", build_network(LRASPP), tmp_path)
    assert [x.shape for x in labels] == [SIZE, SIZE] and labels[0].dtype == torch.int64


@pytest.mark.slow
def test_onnx_engines_share_the_file_and_its_predictions(tmp_path: Path) -> None:
    network = build_network(Classifier)
    onnxruntime, found = prepare_one("onnxruntime", network, tmp_path)
    assert onnxruntime.file is not None
    written = onnxruntime.file.stat().st_mtime_ns
    openvino, others = prepare_one("openvino", network, tmp_path)
    assert openvino.file == onnxruntime.file
    assert onnxruntime.file.stat().st_mtime_ns == written
    _, expected = prepare_one("eager", network, tmp_path)
    for rows in (found, others):
        np.testing.assert_allclose(rows[0], torch.stack([x.scores for x in expected]).numpy(), atol=1e-4)
    int8, _ = prepare_one("onnxruntime-int8", network, tmp_path)
    assert int8.file is not None and int8.file.stat().st_size < onnxruntime.file.stat().st_size


def test_unknown_engines_and_devices_are_refused() -> None:
    check_engines(["eager", "bf16"], "cpu")
    with pytest.raises(UserError, match=r"eagr is unknown; did you mean eager\? Choose among eager, compiled"):
        check_engines(["eagr"], "cpu")
    with pytest.raises(UserError, match="onnxruntime runs on the CPU; with --device cuda, take eager, compiled, bf16"):
        check_engines(["onnxruntime"], "cuda")


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "no_such_package", "openvino")
    monkeypatch.setitem(ENGINES, "other", ENGINES["openvino"]._replace(packages=("no_such_package",)))
    with pytest.raises(
        UserError, match=r"no_such_package is not installed; install it with .* 'litmobile\[openvino\]'"
    ):
        check_engines(["other"], "cpu")
    assert list_packages(["eager", "onnxruntime"]) == ["onnx", "onnxruntime", "onnxscript"]
