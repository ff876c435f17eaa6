"""The demo's page in headless Chromium: files, drops and the camera are predicted on and drawn."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from litmobile.heads import Segmentation
from litmobile.heads.predictions import Classification, Detections
from litmobile.tasks.images import read_image
from litmobile.tasks.network import Network
from litmobile.tools.demo.server import DemoServer
from support.browser import Browser
from support.exporting import CLASSES
from support.serving import encode_image

pytestmark = pytest.mark.slow

GREY = cv2.resize(np.random.default_rng(3).integers(60, 200, (9, 12), np.uint8), (360, 240))
IMAGE = np.repeat(np.asarray(GREY, np.uint8)[:, :, None], 3, axis=2)  # without the colours of any class
READ_CANVAS = """(() => {
  const canvas = document.getElementById("canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let k = 0; k < pixels.length; k += 30000) text += String.fromCharCode(...pixels.subarray(k, k + 30000));
  return [canvas.height, canvas.width, btoa(text)];
})()"""
DROP = """(() => {
  const content = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([content], "dropped.png"));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def open_demo(browser: Browser, demos: dict[str, DemoServer]) -> Iterator[Any]:
    """Open a demo's page; afterwards, check that it reported no error and loaded nothing but its own files."""

    def open_demo(kind: str) -> Browser:
        browser.resize(1000, 800)
        browser.open(demos[kind].url)
        browser.wait_for("document.title.startsWith('tiny') && document.readyState === 'complete'")
        return browser

    browser.events.clear()
    yield open_demo
    browser.evaluate("1")
    urls = [event["params"]["request"]["url"] for event in browser.events if "request" in event.get("params", {})]
    own = (*(server.url for server in demos.values()), "data:", "blob:")
    assert urls
    assert [url for url in urls if not url.startswith(own)] == []
    assert [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"] == []
    assert "Content Security Policy" not in str(browser.events)


def read_canvas(browser: Browser) -> NDArray[np.uint8]:
    """Read what the page has drawn, ``[H, W, 3]``."""
    height, width, text = browser.evaluate(READ_CANVAS)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[:, :, :3]


def choose(browser: Browser, path: Path, data: bytes) -> None:
    """Choose a file and wait for its prediction."""
    path.write_bytes(data)
    browser.choose_files("#files", path)
    browser.wait_for(f"document.getElementById('status').textContent.startsWith('{path.name}: ')")


def set_slider(browser: Browser, name: str, value: float) -> None:
    """Move a slider."""
    script = "const field = document.getElementById('{}'); field.value = {}; field.dispatchEvent(new Event('input'))"
    browser.evaluate(f"(() => {{ {script.format(name, value)} }})()")


def get_colours(browser: Browser) -> list[list[int]]:
    """Ask the demo for the colours of its classes."""
    colours = browser.evaluate("fetch('network.json').then((answer) => answer.json()).then((it) => it.colours)")
    return [list(bytes.fromhex(colour[1:])) for colour in colours]


def count_requests(browser: Browser) -> int:
    """Count what the page has asked for so far."""
    browser.evaluate("1")  # receives the events before it
    return sum(event["method"] == "Network.requestWillBeSent" for event in browser.events)


def count_pixels(image: NDArray[np.uint8], colours: list[list[int]]) -> int:
    """Count the pixels that have one of some colours."""
    return sum(int((image == colour).all(-1).sum()) for colour in colours)


def test_boxes_are_drawn_where_they_are(open_demo: Any, networks: dict[str, Network], tmp_path: Path) -> None:
    browser = open_demo("detection")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE))
    expected = networks["detection"].predict(IMAGE).prediction
    assert isinstance(expected, Detections)
    threshold = float(expected.scores[:2].mean())  # one box is left
    set_slider(browser, "score", round(threshold, 2))
    number = int((expected.scores >= round(threshold, 2)).sum())
    assert browser.evaluate("document.getElementById('status').textContent").startswith(f"a.png: {number} object")
    browser.evaluate("document.getElementById('names').click()")
    drawn = read_canvas(browser)
    scale = drawn.shape[1] / IMAGE.shape[1]
    assert drawn.shape[0] == pytest.approx(scale * IMAGE.shape[0], abs=1)
    colour = get_colours(browser)[int(expected.labels[0])]
    rows, columns = np.nonzero((drawn == colour).all(-1))
    left, top, right, bottom = (scale * expected.boxes[0]).tolist()
    assert (columns.min(), columns.max()) == (pytest.approx(left, abs=3), pytest.approx(right, abs=3))
    assert (rows.min(), rows.max()) == (pytest.approx(top, abs=3), pytest.approx(bottom, abs=3))


def test_the_threshold_slider_does_not_ask_the_server(open_demo: Any, tmp_path: Path) -> None:
    browser = open_demo("detection")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE))
    colours = get_colours(browser)
    set_slider(browser, "score", 0)
    assert count_pixels(read_canvas(browser), colours) > 100
    before = count_requests(browser)
    set_slider(browser, "score", 1)
    assert count_pixels(read_canvas(browser), colours) == 0
    assert browser.evaluate("document.getElementById('status').textContent") == "a.png: 0 objects"
    assert count_requests(browser) == before > 0


def test_classes_can_be_hidden(open_demo: Any, tmp_path: Path) -> None:
    browser = open_demo("detection")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE))
    set_slider(browser, "score", 0)
    browser.evaluate("document.querySelectorAll('.entries input').forEach((box) => box.checked && box.click())")
    assert count_pixels(read_canvas(browser), get_colours(browser)) == 0
    browser.evaluate("document.querySelector('.entries input').click()")
    assert count_pixels(read_canvas(browser), get_colours(browser)) > 100
    browser.evaluate("document.querySelector('details').open = true")
    browser.wait_for("document.querySelectorAll('tbody tr').length > 0")


def test_the_overlay_has_the_colours_of_labels(open_demo: Any, networks: dict[str, Network], tmp_path: Path) -> None:
    browser = open_demo("segmentation")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE))
    expected = networks["segmentation"].predict(IMAGE).prediction
    assert isinstance(expected, Segmentation)
    colours = np.array(get_colours(browser), np.uint8)[expected.labels.numpy()]
    set_slider(browser, "opacity", 1)
    drawn = read_canvas(browser)
    shown = cv2.resize(colours, drawn.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    assert (drawn == shown).all(-1).mean() > 0.97  # edges fall between pixels
    set_slider(browser, "opacity", 0)
    image = cv2.resize(IMAGE, drawn.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(read_canvas(browser).astype(int) - image).mean() < 2
    listed = browser.evaluate("document.querySelector('.entries').innerText").split()
    shares = [f"{100 * float((expected.labels == k).float().mean()):.1f}" for k in expected.labels.unique().tolist()]
    assert set(shares) <= set(listed)


def test_best_classes_are_bars(open_demo: Any, networks: dict[str, Network], tmp_path: Path) -> None:
    browser = open_demo("classification")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE))
    expected = networks["classification"].predict(IMAGE).prediction
    assert isinstance(expected, Classification)
    names = browser.evaluate("[...document.querySelectorAll('.bars .name')].map((name) => name.textContent)")
    widths = browser.evaluate("[...document.querySelectorAll('.bar')].map((bar) => parseFloat(bar.style.width))")
    order = expected.scores.argsort(descending=True).tolist()
    assert names == [CLASSES[k] for k in order]
    assert widths == pytest.approx([100 * float(expected.scores[k]) for k in order], abs=0.01)
    latency = browser.evaluate("document.getElementById('latency').innerText")
    assert all(words in latency for words in ("Network alone", "Round trip", " ms"))


def test_a_saved_drawing_has_the_size_of_the_image(open_demo: Any, tmp_path: Path) -> None:
    browser = open_demo("detection")
    choose(browser, tmp_path / "a.png", encode_image(IMAGE.repeat(5, 0).repeat(5, 1)))
    set_slider(browser, "score", 0)
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.evaluate("document.getElementById('save').click()")
    path, end = tmp_path / "a-predicted.png", time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    drawn = read_image(path)
    assert drawn.shape == (1200, 1800, 3)
    assert count_pixels(drawn, get_colours(browser)) > 100


def test_dropped_images_are_predicted(open_demo: Any) -> None:
    browser = open_demo("detection")
    browser.evaluate(DROP % base64.b64encode(encode_image(IMAGE)).decode())
    browser.wait_for("document.getElementById('status').textContent.startsWith('dropped.png: ')")
    assert read_canvas(browser).size


def test_bad_files_are_one_sentence_on_the_page(open_demo: Any, tmp_path: Path) -> None:
    browser = open_demo("detection")
    (tmp_path / "bad.jpg").write_bytes(b"hello")
    (tmp_path / "good.png").write_bytes(encode_image(IMAGE))
    browser.choose_files("#files", tmp_path / "bad.jpg", tmp_path / "good.png")
    browser.wait_for("!document.getElementById('error').hidden")
    message = browser.evaluate("document.getElementById('error').textContent")
    assert message == "bad.jpg cannot be read as an image: its format is unknown, or its beginning is damaged."
    browser.wait_for("document.querySelectorAll('#thumbnails canvas').length === 1")
    browser.evaluate("document.querySelectorAll('#thumbnails button')[1].click()")
    browser.wait_for("document.getElementById('status').textContent.startsWith('good.png: ')")
    assert browser.evaluate("document.getElementById('error').hidden")


@pytest.mark.parametrize(("kind", "orientation"), [("TIFF", 1), ("JPEG", 6), ("PNG", 6)])
def test_images_are_shown_as_they_are_read(kind: str, orientation: int, open_demo: Any, tmp_path: Path) -> None:
    """A browser reads no TIFF file, and not every orientation."""
    browser = open_demo("detection")
    choose(browser, tmp_path / f"a.{kind.lower()}", encode_image(IMAGE, kind, orientation))
    set_slider(browser, "score", 1)
    drawn = read_canvas(browser)
    expected = cv2.rotate(IMAGE, cv2.ROTATE_90_CLOCKWISE) if orientation == 6 else IMAGE
    shown = cv2.resize(expected, drawn.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(drawn.astype(int) - shown).mean() < 4


def test_the_camera_runs_and_stops(open_demo: Any) -> None:
    browser = open_demo("classification")
    browser.evaluate("document.getElementById('camera').click()")
    browser.wait_for("document.getElementById('camera').textContent === 'Stop camera'")
    browser.wait_for("document.getElementById('latency').innerText.includes('Images a second')")
    assert read_canvas(browser).std() > 0
    browser.evaluate("document.getElementById('camera').click()")
    browser.wait_for("document.getElementById('status').textContent === 'The camera has stopped.'")
    assert browser.evaluate("document.getElementById('camera').textContent") == "Start camera"


def test_the_page_works_by_keyboard(open_demo: Any) -> None:
    browser = open_demo("detection")
    reached = []
    for _ in range(6):
        browser.press("Tab", 9)
        reached.append(browser.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached == ["skip", "files", "camera", "score", "names", ""]
    browser.evaluate("document.getElementById('score').focus()")
    browser.press("ArrowRight", 39)
    assert browser.evaluate("document.getElementById('score-value').textContent") == "0.31"


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_page_fits_a_phone(is_dark: bool, open_demo: Any, tmp_path: Path) -> None:
    browser = open_demo("detection")
    browser.resize(360, 640, is_dark)
    choose(browser, tmp_path / f"{'long' * 20}.png", encode_image(IMAGE))
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") != is_dark
