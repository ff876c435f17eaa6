"""A network is rebuilt exactly from its config or a checkpoint, and predicts in pixels of the original image."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import litmobile
from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3, TimmBackbone
from litmobile.errors import ImageError, WeightsError
from litmobile.heads import LRASPP, Classification, Classifier, Detections, Segmentation, SSDLite
from litmobile.tasks.network import Network, load
from litmobile.tasks.preprocessing import Preprocessing

OneSentence = Callable[..., None]
Image = NDArray[np.uint8]

CLASSES = ("ant", "bee", "fly")
SIZE = (64, 96)
FITS = pytest.mark.parametrize("fit", ["stretch", "pad"])
SHAPES = pytest.mark.parametrize("shape", [(80, 50), (33, 140), SIZE, (300, 300)], ids=str)


class Kind(NamedTuple):
    make: Callable[..., Any]
    role: str


HEADS = {
    "SSDLite": Kind(SSDLite, "detection"),
    "SSDLite-focal": Kind(partial(SSDLite, loss="focal", layout="tensorflow", extras=[64, 32]), "detection"),
    "LRASPP": Kind(partial(LRASPP, channels=32), "segmentation"),
    "Classifier": Kind(partial(Classifier, hidden_dim=16), "classification"),
}
BACKBONES: dict[str, Callable[[str], Backbone]] = {
    "MobileNetV2-0.35": lambda role: MobileNetV2(0.35),
    "MobileNetV3-small": lambda role: MobileNetV3("small", tail="full" if role == "classification" else role),
    "resnet18": lambda role: TimmBackbone("resnet18"),
}
EVERY_HEAD = pytest.mark.parametrize("kind", HEADS.values(), ids=HEADS)
EVERY_BACKBONE = pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)


def build_network(
    kind: Kind, backbone: Callable[[str], Backbone] = BACKBONES["MobileNetV2-0.35"], **how: Any
) -> Network:
    """Build a network for ``CLASSES`` and change its norms and biases from their initial values."""
    torch.manual_seed(0)
    how = {"size": SIZE, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)} | how
    network = Network(backbone(kind.role), kind.make, CLASSES, Preprocessing(**how), role=kind.role).eval()
    for tensor in network.state_dict().values():
        if tensor.ndim == 1:
            tensor.add_(torch.rand_like(tensor), alpha=0.2)
    return network


def make_noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def list_tensors(output: Any) -> tuple[Tensor, ...]:
    output = getattr(output, "prediction", output)
    if isinstance(output, Segmentation):
        return (output.scores, output.labels)
    return (output,) if isinstance(output, Tensor) else tuple(output)


def assert_same(ours: Any, theirs: Any) -> None:
    for a, b in zip(list_tensors(ours), list_tensors(theirs), strict=True):
        assert torch.equal(a, b)


def save(network: Network, path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"network": network.config(), "state_dict": state, **more}, path)
    return path


# from a config


@EVERY_HEAD
@EVERY_BACKBONE
def test_network_is_rebuilt_exactly_from_its_checkpoint(
    kind: Kind, backbone: Callable[[str], Backbone], tmp_path: Path
) -> None:
    network, images = (
        build_network(kind, backbone, fit="pad"),
        torch.from_numpy(make_noise(70, 99)).permute(2, 0, 1)[None],
    )
    rebuilt = Network.from_config(network.config())
    rebuilt.load_state_dict(network.state_dict())
    loaded = load(save(network, tmp_path / "some.ckpt", epoch=3))
    with torch.no_grad():
        expected = network(images)
        for other in (rebuilt.eval(), loaded):
            assert_same(other(images), expected)
            assert (other.classes, other.feature_maps, other.preprocessing) == (
                CLASSES,
                network.feature_maps,
                network.preprocessing,
            )
            assert other.config() == network.config()
    assert not loaded.training


@EVERY_HEAD
def test_config_has_only_plain_values(kind: Kind) -> None:
    def is_plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
        if isinstance(value, list | tuple):
            return all(map(is_plain, value))
        return value is None or type(value) in (str, int, float, bool)

    config = build_network(kind).config()
    assert is_plain(config)
    assert not {"features", "num_classes"} & set(config["head"]["init_args"])


@EVERY_HEAD
def test_bytes_and_floats_give_the_same_output(kind: Kind) -> None:
    network = build_network(kind)
    images = torch.from_numpy(make_noise(64, 64)).permute(2, 0, 1)[None]
    with torch.no_grad():
        assert_same(network(images), network(images.float() / 255))


# predictions


@EVERY_HEAD
@FITS
@SHAPES
def test_file_and_array_give_the_same_prediction(kind: Kind, fit: Any, shape: tuple[int, int], tmp_path: Path) -> None:
    network, pixels, path = build_network(kind, fit=fit), make_noise(*shape), tmp_path / "image.png"
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    predictions = [network.predict(image).prediction for image in (path, str(path), pixels)]
    for prediction in predictions[:2]:
        assert type(prediction) is type(predictions[2])
        assert_same(prediction, predictions[2])


def resize_image(image: Any, size: tuple[int, int]) -> Any:
    """Resize ``image`` bilinearly, or by areas if a side shrinks to less than half."""
    shrinks_below_half = any(before > 2 * after for before, after in zip(image.shape, size, strict=False))
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks_below_half else cv2.INTER_LINEAR)


@FITS
@SHAPES
def test_boxes_are_in_pixels_of_the_image(fit: Any, shape: tuple[int, int]) -> None:
    network, image = build_network(HEADS["SSDLite"], fit=fit), make_noise(*shape)
    (height, width), (rows, columns) = shape, SIZE
    fitting = min(rows / height, columns / width)
    shown = SIZE if fit == "stretch" else (round(height * fitting), round(width * fitting))
    canvas = np.empty((*SIZE, 3), np.uint8)
    canvas[:] = [round(255 * channel) for channel in (0.4, 0.5, 0.6)]
    canvas[: shown[0], : shown[1]] = resize_image(image, shown)
    with torch.inference_mode():
        output = network(torch.from_numpy(canvas).permute(2, 0, 1)[None])
        (expected,) = network.head.decode(output, SIZE)
    scale = torch.tensor([width / shown[1], height / shown[0]] * 2)
    found = network.predict(image).prediction
    assert isinstance(found, Detections) and len(found.boxes) > 10
    limits = torch.tensor([width, height] * 2)
    torch.testing.assert_close(found.boxes, (expected.boxes * scale).minimum(limits), rtol=1e-5, atol=1e-3)
    assert torch.equal(found.scores, expected.scores) and torch.equal(found.labels, expected.labels)


@FITS
@SHAPES
def test_label_maps_have_the_size_of_the_image(fit: Any, shape: tuple[int, int]) -> None:
    labels = build_network(HEADS["LRASPP"], fit=fit).predict(make_noise(*shape)).prediction
    assert isinstance(labels, Segmentation)
    assert labels.labels.shape == shape and labels.labels.dtype == torch.int64
    scores = build_network(HEADS["Classifier"], fit=fit).predict(make_noise(*shape)).prediction
    assert isinstance(scores, Classification)
    assert scores.scores.shape == (3,) and scores.scores.sum().item() == pytest.approx(1, abs=1e-5)


VIEWS: dict[str, Callable[[Image], Image]] = {
    "BGR to RGB": lambda image: image[:, :, ::-1],
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "transposed": lambda image: image.transpose(1, 0, 2),
    "every other pixel": lambda image: image[::2, ::2],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("shape", [(64, 64), (128, 128), (70, 90)], ids=str)
def test_array_views_give_the_same_prediction_as_copies(view: Callable[[Image], Image], shape: tuple[int, int]) -> None:
    network, image = build_network(HEADS["SSDLite"], size=(64, 64)), view(make_noise(*shape))
    assert_same(network.predict(image), network.predict(np.ascontiguousarray(image)))


def test_predict_does_not_change_the_image() -> None:
    image = make_noise(*SIZE)
    before = image.copy()
    build_network(HEADS["SSDLite"]).train().predict(image)
    assert np.array_equal(image, before)


def test_unreadable_image_file_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    network = build_network(HEADS["Classifier"])
    (tmp_path / "text.jpg").write_text("not an image")
    for name, reason in (("text.jpg", "cannot be read"), ("nowhere.jpg", "does not exist")):
        with pytest.raises(ImageError) as caught:
            network.predict(tmp_path / name)
        assert_one_sentence(caught.value, tmp_path / name, reason)


# building


BROKEN: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "neither role nor maps": (lambda: Network(MobileNetV2(0.35), SSDLite, CLASSES, Preprocessing()), ("role",)),
    "unknown role": (lambda: build_network(Kind(SSDLite, "nonsense")), ("MobileNetV2", "nonsense", "final")),
    "unknown map": (
        lambda: Network(MobileNetV2(0.35), SSDLite, CLASSES, Preprocessing(), feature_maps=["c9"]),
        ("MobileNetV2", "'c9'", "c5"),
    ),
    "no maps": (
        lambda: Network(MobileNetV2(0.35), SSDLite, CLASSES, Preprocessing(), feature_maps=[]),
        ("map",),
    ),
    "no classes": (
        lambda: Network(MobileNetV2(0.35), SSDLite, (), Preprocessing(), role="detection"),
        ("SSDLite", "class"),
    ),
    "maps of another head": (
        lambda: Network(MobileNetV2(0.35), LRASPP, CLASSES, Preprocessing(), role="classification"),
        ("LRASPP", "final"),
    ),
    "one side": (lambda: Preprocessing((320,)), ("size", "320")),
    "too small": (lambda: Preprocessing((320, 31)), ("size", "31")),
    "unknown fit": (lambda: Preprocessing((64, 64), "fill"), ("fit", "fill")),
    "two means": (lambda: Preprocessing((64, 64), mean=(0.5, 0.5)), ("mean",)),
    "a std of 0": (lambda: Preprocessing((64, 64), std=(0.5, 0.0, 0.5)), ("std", "0.0")),
}


@pytest.mark.parametrize(("make", "mentioned"), BROKEN.values(), ids=BROKEN)
def test_parts_that_do_not_fit_are_refused(
    make: Callable[[], object], mentioned: tuple[str, ...], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is checked below
        make()
    assert_one_sentence(caught.value, *mentioned)


# preprocessing


@FITS
@SHAPES
@pytest.mark.parametrize("size", [(64, 96), (320, 320), (97, 65)], ids=str)
def test_boxes_survive_the_way_into_the_input_and_back(fit: Any, shape: tuple[int, int], size: tuple[int, int]) -> None:
    geometry = Preprocessing(size, fit).geometry(*shape)
    corners = torch.rand(200, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sort(1).values
    boxes = (corners * torch.tensor([shape[1], shape[0]])).flatten(1)
    across, down = geometry.columns / shape[1], geometry.rows / shape[0]
    inside = boxes * boxes.new_tensor([across, down] * 2) + boxes.new_tensor([geometry.left, geometry.top] * 2)
    assert (inside >= 0).all() and (inside <= torch.tensor([size[1], size[0]] * 2)).all()
    torch.testing.assert_close(geometry.to_image(inside), boxes, rtol=0, atol=1e-9)
    beyond = torch.tensor([-9.0, -9, size[1] + 9, size[0] + 9])
    assert geometry.to_image(beyond).tolist() == [0, 0, shape[1], shape[0]]
    if fit == "pad":
        assert across == pytest.approx(down, abs=0.5 / min(shape) + 1e-9)
        assert geometry.rows == size[0] or geometry.columns == size[1]


@FITS
@SHAPES
def test_preprocessing_places_the_image_as_the_geometry_says(fit: Any, shape: tuple[int, int]) -> None:
    preprocessing, image = Preprocessing(SIZE, fit, mean=(1.0, 0.5, 0.0)), make_noise(*shape)
    canvas, geometry = preprocessing.apply(image), preprocessing.geometry(*shape)
    assert canvas.shape == (*SIZE, 3) and canvas.dtype == np.uint8
    shown = canvas[geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns]
    assert np.array_equal(shown, resize_image(image, (geometry.rows, geometry.columns)))
    for beyond in (canvas[geometry.rows :], canvas[:, geometry.columns :]):
        assert (beyond == (255, 128, 0)).all()
    if fit == "stretch" or shape == SIZE:
        assert shown.shape == canvas.shape


# from a run


def test_run_loads_its_best_or_else_its_last_checkpoint(tmp_path: Path) -> None:
    folder, image = tmp_path / "run", make_noise(*SIZE)
    networks = {name: build_network(HEADS["Classifier"]) for name in ("last", "best")}
    torch.nn.init.normal_(networks["best"].head.layers[-1].bias)
    for name, network in networks.items():
        save(network, folder / "checkpoints" / f"{name}.ckpt")
        for run in (folder, str(folder)):
            assert_same(litmobile.load(run).predict(image), network.predict(image))
    assert not torch.equal(networks["best"].predict(image).scores, networks["last"].predict(image).scores)


def test_other_entries_of_a_checkpoint_are_ignored(tmp_path: Path) -> None:
    network = build_network(HEADS["Classifier"])
    path = save(network, tmp_path / "some.ckpt", optimizer_states=[{"lr": 0.1}])
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["average.weight"] = torch.zeros(3)
    torch.save(checkpoint, path)
    assert_same(load(path).predict(make_noise(*SIZE)), network.predict(make_noise(*SIZE)))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.ckpt", "empty"])
def test_missing_checkpoint_is_named(tmp_path: Path, name: str, assert_one_sentence: OneSentence) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        load(tmp_path / name)
    assert_one_sentence(caught.value, tmp_path / name)


class Harmful:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def save_foreign_config(path: Path, marker: Path) -> None:
    torch.save({"network": {"conv.weight": torch.zeros(2)}, "state_dict": {}}, path)


def save_truncated(path: Path, marker: Path) -> None:
    save(build_network(HEADS["Classifier"]), path)
    path.write_bytes(path.read_bytes()[:-500])


def save_with_foreign_code(path: Path, marker: Path) -> None:
    checkpoint = torch.load(save(build_network(HEADS["Classifier"]), path), weights_only=True)
    checkpoint["network"]["backbone"] = {
        "class_path": "subprocess.Popen",
        "init_args": {"args": ["touch", str(marker)]},
    }
    torch.save(checkpoint, path)


def save_with_missing_code(path: Path, marker: Path) -> None:
    checkpoint = torch.load(save(build_network(HEADS["Classifier"]), path), weights_only=True)
    checkpoint["network"]["head"]["class_path"] = "package_that_is_not_there.Head"
    torch.save(checkpoint, path)


FOREIGN: dict[str, Callable[[Path, Path], Any]] = {
    "text": lambda path, marker: path.write_text("not a checkpoint"),
    "an empty file": lambda path, marker: path.write_bytes(b""),
    "a truncated checkpoint": save_truncated,
    "a list": lambda path, marker: torch.save([1, 2], path),
    "a state_dict": lambda path, marker: torch.save({"conv.weight": torch.zeros(2)}, path),
    "another project's network": save_foreign_config,
    "a number for a network": lambda path, marker: torch.save({"network": 5, "state_dict": {}}, path),
    "a harmful pickle": lambda path, marker: path.write_bytes(pickle.dumps(Harmful(marker))),
    "a harmful checkpoint": lambda path, marker: torch.save({"network": Harmful(marker), "state_dict": {}}, path),
    "foreign code": save_with_foreign_code,
    "absent code": save_with_missing_code,
}


@pytest.mark.parametrize("write", FOREIGN.values(), ids=FOREIGN)
def test_foreign_file_is_refused_and_runs_no_code(
    write: Callable[[Path, Path], Any], tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    path, marker = tmp_path / "foreign.ckpt", tmp_path / "harm"
    write(path, marker)
    try:
        with pytest.raises(WeightsError) as caught:
            load(path)
    finally:
        assert not marker.exists(), "code from the file was run"
    assert_one_sentence(caught.value, path)
