"""The demo's answers are the predictions of `network.predict`."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litmobile.heads import Segmentation
from litmobile.heads.predictions import Classification, Detections
from litmobile.tasks.images import rotate_image
from litmobile.tasks.network import Network
from litmobile.tools.demo.answers import MAX_LABEL_SIDE, encode_mask
from litmobile.tools.demo.server import DemoServer
from litmobile.tools.engines.network import load_exported
from support.exporting import CLASSES, export_onnx
from support.predicting import make_noise
from support.serving import encode_image, request, serve_network

IMAGE = make_noise(70, 110)


def read_mask(url: str) -> PIL.Image.Image:
    kind, _, content = url.partition(",")
    assert kind == "data:image/png;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(content)))


def test_boxes_are_those_of_predict(demos: dict[str, DemoServer], networks: dict[str, Network]) -> None:
    answer = request(demos["detection"], "POST", "/predict?name=a.png", encode_image(IMAGE)).values
    expected = networks["detection"].predict(IMAGE).prediction
    assert isinstance(expected, Detections)
    assert len(expected.boxes) > 10
    assert answer["size"] == [110, 70]
    for key, values in zip(("box", "score", "label"), expected, strict=True):
        assert [row[key] for row in answer["detections"]] == values.tolist()


def test_mask_has_the_labels_of_predict(demos: dict[str, DemoServer], networks: dict[str, Network]) -> None:
    answer = request(demos["segmentation"], "POST", "/predict", encode_image(IMAGE)).values
    expected = networks["segmentation"].predict(IMAGE).prediction
    assert isinstance(expected, Segmentation)
    labels = expected.labels.numpy()
    assert len(np.unique(labels)) > 1
    np.testing.assert_array_equal(np.asarray(read_mask(answer["mask"])), labels)
    shares = {row["label"]: row["share"] for row in answer["shares"]}
    assert shares == {int(k): pytest.approx(float((labels == k).mean())) for k in np.unique(labels)}
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_mask_has_the_colours_of_the_classes(demos: dict[str, DemoServer]) -> None:
    answer = request(demos["segmentation"], "POST", "/predict", encode_image(IMAGE)).values
    colours = request(demos["segmentation"], "GET", "/network.json").values["colours"]
    mask = read_mask(answer["mask"])
    labels, pixels = np.asarray(mask), np.asarray(mask.convert("RGBA"))
    for label in np.unique(labels):
        assert (pixels[labels == label] == [*bytes.fromhex(colours[label][1:]), 255]).all()


def test_background_is_transparent() -> None:
    labels = np.array([[0, 1, 2]], np.uint8)
    mask = read_mask(encode_mask(labels, ["sky", "background", "road"], ["#010203", "#040506", "#070809"]))
    assert np.asarray(mask.convert("RGBA"))[0].tolist() == [[1, 2, 3, 255], [4, 5, 6, 0], [7, 8, 9, 255]]


def test_large_masks_are_reduced() -> None:
    labels = (np.arange(3 * MAX_LABEL_SIDE) % 3).astype(np.uint8)[None].repeat(8, 0)
    mask = read_mask(encode_mask(labels, CLASSES, ["#010203"] * 3))
    np.testing.assert_array_equal(np.asarray(mask), labels[::3, ::3])


def test_scores_are_those_of_predict(demos: dict[str, DemoServer], networks: dict[str, Network]) -> None:
    answer = request(demos["classification"], "POST", "/predict", encode_image(IMAGE)).values
    expected = networks["classification"].predict(IMAGE).prediction
    assert isinstance(expected, Classification)
    order = expected.scores.argsort(descending=True).tolist()
    assert [row["label"] for row in answer["scores"]] == order
    assert [row["score"] for row in answer["scores"]] == [float(expected.scores[k]) for k in order]


@pytest.mark.parametrize("kind", ["detection", "segmentation", "classification"])
def test_network_is_described(kind: str, demos: dict[str, DemoServer]) -> None:
    values = request(demos[kind], "GET", "/network.json").values
    assert (values["name"], values["kind"], values["classes"]) == ("tiny", kind, list(CLASSES))
    assert len(values["colours"]) == len(CLASSES)
    assert values["score"] == 0.3


@pytest.mark.slow
def test_exported_files_answer_like_their_run(networks: dict[str, Network], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    exported = load_exported(export_onnx(networks["classification"], tmp_path / "a.onnx"))
    with serve_network(exported) as server:
        answer = request(server, "POST", "/predict", encode_image(IMAGE)).values
    expected = networks["classification"].predict(IMAGE).prediction
    assert isinstance(expected, Classification)
    found = {row["label"]: row["score"] for row in answer["scores"]}
    assert found == {k: pytest.approx(score, abs=1e-4) for k, score in enumerate(expected.scores.tolist())}
    assert 0 < answer["milliseconds"]["network"] < answer["milliseconds"]["server"]


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_is_applied(orientation: int, demo: DemoServer, networks: dict[str, Network]) -> None:
    answer = request(demo, "POST", "/predict", encode_image(IMAGE, orientation=orientation)).values
    rotated = rotate_image(IMAGE, orientation)
    assert answer["size"] == [rotated.shape[1], rotated.shape[0]]
    expected = networks["detection"].predict(rotated).prediction
    assert isinstance(expected, Detections)
    assert [row["box"] for row in answer["detections"]] == expected.boxes.tolist()


def test_requests_at_the_same_time_get_their_own_answers(demo: DemoServer) -> None:
    sizes = [(40 + 8 * k, 64) for k in range(6)]
    with ThreadPoolExecutor(len(sizes)) as pool:
        images = [encode_image(make_noise(*size)) for size in sizes]
        answers = list(pool.map(lambda data: request(demo, "POST", "/predict", data).values, images))
    assert [answer["size"] for answer in answers] == [[width, height] for height, width in sizes]


def test_preview_is_the_image_as_a_jpeg(demo: DemoServer) -> None:
    answer = request(demo, "POST", "/preview", encode_image(make_noise(300, 4100), "TIFF"))
    with PIL.Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("JPEG", (2048, 150))
        assert np.abs(np.asarray(image.convert("RGB"), int).mean((0, 1)) - make_noise(300, 4100).mean((0, 1))).max() < 3
