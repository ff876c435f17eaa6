"""Quantised files: they are small, close to the network, and their settings are chosen by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from litmobile.errors import UserError
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.engines.network import load_exported
from litmobile.tools.export.calibration import read_calibration_images
from litmobile.tools.export.module import ExportModule
from litmobile.tools.export.quantization import Int8
from litmobile.tools.export.simulated_int8 import SimulatedInt8
from support.exporting import export_onnx, make_images, make_network


@pytest.fixture(scope="module")
def classifier() -> Network:
    return make_network("MobileNetV2", "Classifier")


@pytest.fixture(scope="module")
def exact(classifier: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(classifier, tmp_path_factory.mktemp("float") / "network.onnx")


@pytest.mark.parametrize("float_ends", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_int8_file_is_small_and_as_close_as_simulated(
    classifier: Network, exact: Path, per_channel: bool, float_ends: bool, tmp_path: Path
) -> None:
    images = make_images(8)
    path = export_onnx(classifier, tmp_path / "int8.onnx", int8=Int8(images, per_channel, float_ends))
    assert path.stat().st_size < 0.6 * exact.stat().st_size  # a small network has few weights beside names
    exported = load_exported(path, threads=1)
    assert exported.description.quantization["float_ends"] == float_ends
    (found,) = map(torch.from_numpy, exported.engine.run(images.numpy()))
    simulated = SimulatedInt8(ExportModule(classifier), images)
    ends = ("backbone.layers.0.conv", "head.layers.3") if float_ends else ()
    expected = simulated.compute_error([name for name in simulated.ranges if name not in ends], per_channel)
    (truth,) = simulated.exact.values()
    error = float((found - truth).square().sum() / truth.square().sum())
    assert 0 < error < 3 * expected


def test_float_ends_keep_the_first_and_last_layers(classifier: Network, tmp_path: Path) -> None:
    path = export_onnx(classifier, tmp_path / "int8.onnx", int8=Int8(make_images(4), False, float_ends=True))
    graph = onnx.load(path).graph
    makers = {name: node for node in graph.node for name in node.output}
    is_quantized = {
        node.name: any(name in makers and makers[name].op_type == "DequantizeLinear" for name in node.input[1:2])
        for node in graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul")
    }
    first, last = next(iter(is_quantized)), list(is_quantized)[-1]
    assert first.startswith("backbone.layers.0")
    assert not is_quantized[first]
    assert not is_quantized[last]
    assert all(found for name, found in is_quantized.items() if name not in (first, last))


@pytest.mark.slow
def test_products_of_activations_stay_in_float(tmp_path: Path) -> None:
    """Attention multiplies activations; all other products have weights, which are quantised."""
    network = make_network("MobileViT", "Classifier")
    path = export_onnx(network, tmp_path / "int8.onnx", int8=Int8(make_images(2), True, float_ends=False))
    graph = onnx.load(path).graph
    products = [node for node in graph.node if node.op_type == "MatMul"]
    makers = {name: node.op_type for node in graph.node for name in node.output}
    quantized = [[makers.get(name) == "DequantizeLinear" for name in node.input] for node in products]
    attentions = sum(hasattr(layer, "qkv") for layer in network.modules())
    assert quantized.count([False, False]) == 2 * attentions
    assert quantized.count([True, True]) == len(quantized) - 2 * attentions > 0


def scale_one_channel(network: Network) -> None:
    """Makes one channel of a layer large, so that one scale for the whole weight rounds all others to 0."""
    convolution = next(layer for layer in network.backbone.modules() if isinstance(layer, nn.Conv2d))
    with torch.no_grad():
        convolution.weight[0] *= 1e5


def test_weights_of_unequal_channels_get_a_scale_each() -> None:
    network = make_network("MobileNetV2", "Classifier")
    scale_one_channel(network)
    assert SimulatedInt8(ExportModule(network), make_images(4)).prefers_per_channel


def test_worst_layer_is_ranked_first() -> None:
    network = make_network("MobileNetV2", "Classifier")
    scale_one_channel(network)
    ranked = SimulatedInt8(ExportModule(network), make_images(4)).rank_layers(per_channel=False)
    assert ranked[0].name == "backbone.layers.0.conv"
    assert ranked[0].error > 3 * ranked[1].error


def test_simulation_without_rounding_is_exact(classifier: Network) -> None:
    """Folding batch norms changes nothing but rounding, and every layer is found."""
    simulated = SimulatedInt8(ExportModule(classifier), make_images(4))
    assert simulated.compute_error([], per_channel=False) == 0
    (exact,) = simulated.exact.values()
    with torch.inference_mode():
        expected = classifier.head.scores(classifier(simulated.images))  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-6)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in simulated.module.modules())


def save_images(folder: Path, count: int) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")


def test_calibration_images_are_evenly_spaced(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 9)
    preprocessing = Preprocessing((32, 48))
    found = read_calibration_images(tmp_path / "images", preprocessing, 3)
    everything = read_calibration_images(tmp_path / "images", preprocessing, 100)
    assert everything.shape == (9, 3, 32, 48)
    assert everything.dtype == torch.uint8
    assert torch.equal(found, everything[[0, 4, 8]])


def test_calibration_needs_images(tmp_path: Path) -> None:
    preprocessing = Preprocessing((32, 48))
    with pytest.raises(UserError, match="does not exist; pass a folder of images"):
        read_calibration_images(tmp_path / "none", preprocessing, 4)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match="contains no images"):
        read_calibration_images(tmp_path, preprocessing, 4)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="no image that can be read"):
        read_calibration_images(tmp_path, preprocessing, 4)


def test_label_maps_are_not_calibration_images(tmp_path: Path) -> None:
    labels = Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32) % 19)
    labels.save(tmp_path / "labels.png")
    with pytest.raises(UserError, match="contains label maps, not photos"):
        read_calibration_images(tmp_path, Preprocessing((32, 32)), 4)


def test_label_maps_beside_photos_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("P", (32, 32), 3).save(tmp_path / "labels.png")
    Image.new("RGB", (32, 32), (250, 0, 0)).save(tmp_path / "photo.png")
    assert len(read_calibration_images(tmp_path, Preprocessing((32, 32)), 4)) == 1
    assert "Left out of the calibration: 1 label map;" in capsys.readouterr().err
