"""The demo's server refuses what is not an image of its own page, in one sentence, and goes on."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import zlib
from importlib.resources import files
from typing import cast

import pytest

import litmobile.tools.demo
from litmobile.errors import UserError
from litmobile.tasks.network import Network
from litmobile.tools.demo.predictor import DemoPredictor
from litmobile.tools.demo.server import MAX_BYTES, PAGE_FILES, DemoServer, is_own_host
from support.pages import Page
from support.predicting import make_noise
from support.serving import Answer, encode_image, read_answer, request, serve_network

PNG = encode_image(make_noise(40, 60))


def check_refusal(answer: Answer, status: int, *words: str) -> None:
    """Check that an answer is one sentence with ``words``."""
    sentence = answer.values["error"]
    assert answer.status == status, sentence
    assert sentence.endswith(".") and "\n" not in sentence and ". " not in sentence
    for word in words:
        assert word in sentence


def make_bomb() -> bytes:
    """A PNG whose header promises 400 megapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return PNG[:8] + chunk + PNG[8 + 25 :]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jpg", b"", "a.jpg cannot be read as an image: it is empty."),
        ("b.png", b"hello", "b.png cannot be read as an image: its format is unknown"),
        ("c.png", PNG[: len(PNG) // 2], "c.png cannot be read as an image"),
        ("d.png", make_bomb(), "d.png has 20000×20000 pixels; at most 178,956,970 can be read."),
        ("e.heic", PNG, "e.heic cannot be read, as no .heic file can: convert it to JPEG or PNG."),
        ("f%0A.pdf", b"%PDF-1.7", "it is a PDF document"),
        ("%3Cb%3E", b"x", "<b> cannot be read as an image"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/preview"])
def test_bad_images_are_one_sentence(path: str, name: str, data: bytes, words: str, demo: DemoServer) -> None:
    check_refusal(request(demo, "POST", f"{path}?name={name}", data), 422, words)
    assert request(demo, "POST", "/predict", PNG).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::1", "a b"])
def test_foreign_hosts_are_refused(host: str, demo: DemoServer) -> None:
    for method, path, body in (("GET", "/", None), ("GET", "/network.json", None), ("POST", "/predict", PNG)):
        answer = request(demo, method, path, body, {"Host": host})
        assert answer.status == 421
        assert b"127.0.0.1" in answer.content


def test_own_hosts_are_accepted(demo: DemoServer) -> None:
    for host in (
        "127.0.0.1",
        f"localhost:{demo.server_port}",
        "[::1]:80",
        "192.168.1.20:7860",
        socket.gethostname(),
        f"{socket.gethostname()}.local",
    ):
        assert request(demo, "GET", "/network.json", headers={"Host": host}).status == 200
    assert is_own_host("cells.local:80", "cells.local")
    assert not is_own_host("cells.local:80", "127.0.0.1")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_other_websites_may_not_send_images(origin: str, demo: DemoServer) -> None:
    answer = request(demo, "POST", "/predict", PNG, {"Origin": origin})
    check_refusal(answer, 403, "Only the demo's own page may send images.")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_the_page_itself_may_send_images(demo: DemoServer) -> None:
    headers = {"Host": f"localhost:{demo.server_port}", "Origin": f"http://localhost:{demo.server_port}"}
    assert request(demo, "POST", "/predict", PNG, headers).status == 200


def test_wrong_paths_and_methods_are_refused(demo: DemoServer) -> None:
    for path in ("/nothing", "/../server.py", "/page/index.html", "/predict", "//etc/passwd", "/%2e%2e/server.py"):
        check_refusal(request(demo, "GET", path), 404, "The demo has no page")
    for path in ("/", "/network.json", "/predict/"):
        check_refusal(request(demo, "POST", path, PNG), 404, "The demo takes images at /predict")
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        check_refusal(request(demo, method, "/predict", PNG), 501, method)


def test_large_requests_are_refused_unread(demo: DemoServer) -> None:
    for length in (str(MAX_BYTES + 1), "9" * 5000):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", demo.server_port, timeout=60)) as connection:
            connection.putrequest("POST", "/predict")
            connection.putheader("Content-Length", length)
            connection.endheaders()
            check_refusal(read_answer(connection), 413, "Files may have at most 64 MiB.")


def test_a_large_file_gets_its_refusal(demo: DemoServer) -> None:
    check_refusal(request(demo, "POST", "/predict", b"x" * (MAX_BYTES + 1)), 413, "Files may have at most 64 MiB.")


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "-1"}, {"Content-Length": "²"}, {"Content-Length": "1_0"}])
def test_a_body_needs_its_length(headers: dict[str, str], demo: DemoServer) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", demo.server_port, timeout=60)) as connection:
        connection.putrequest("POST", "/predict")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        check_refusal(read_answer(connection), 411, "how long the image file is")


def test_a_client_that_leaves_does_no_harm(demo: DemoServer, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", demo.server_port)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    assert request(demo, "POST", "/predict", PNG).status == 200
    assert capfd.readouterr().err == ""


def test_a_bug_is_one_sentence_and_a_traceback(
    demo: DemoServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str, data: bytes) -> None:
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setattr(demo.predictor, "predict", fail)
    check_refusal(request(demo, "POST", "/predict", PNG), 500, "The prediction failed (out of memory).")
    assert "RuntimeError: out of memory" in capsys.readouterr().err


def test_a_request_at_the_end_leaves_no_traceback(
    networks: dict[str, Network], capfd: pytest.CaptureFixture[str]
) -> None:
    with serve_network(networks["classification"]) as server:
        with cast("DemoPredictor", server.predictor):
            assert request(server, "POST", "/predict", PNG).status == 200
        with pytest.raises(http.client.RemoteDisconnected):  # the page says that the demo does not answer
            request(server, "POST", "/predict", PNG)
    assert capfd.readouterr().err == ""


def test_a_connection_serves_several_requests(demo: DemoServer) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", demo.server_port, timeout=60)) as connection:
        for body, status in ((PNG, 200), (b"no image", 422), (PNG, 200)):
            connection.request("POST", "/predict", body)
            assert read_answer(connection).status == status
            assert connection.sock is not None


def test_head_gets_the_headers_of_get(demo: DemoServer) -> None:
    whole, head = (request(demo, method, "/") for method in ("GET", "HEAD"))
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(whole.content) > 0


def test_a_taken_port_is_one_sentence(demo: DemoServer) -> None:
    with pytest.raises(UserError, match=rf"^Port {demo.server_port} of 127\.0\.0\.1 is taken; .*--port=0"):
        DemoServer("127.0.0.1", demo.server_port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_foreign_address_is_one_sentence(host: str) -> None:
    with pytest.raises(UserError, match=f"^--host={host} is not an address of this machine"):
        DemoServer(host, 0)


def test_every_page_file_is_served_with_its_policy(demo: DemoServer) -> None:
    names = {file.name for file in (files(litmobile.tools.demo) / "page").iterdir()}
    assert names == {name for name, _ in PAGE_FILES.values()}
    for path, (_, content_type) in PAGE_FILES.items():
        answer = request(demo, "GET", path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
        rules = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.content.decode())


def test_the_page_has_names_for_all_controls(demo: DemoServer) -> None:
    page = Page(request(demo, "GET", "/").content.decode())
    loaded = {f"loads {name.removeprefix('/')}" for name in PAGE_FILES}
    assert [problem for problem in page.problems if problem not in loaded] == []
    labels = {label["for"] for label in page.find("label") if "for" in label}
    inputs = {field["id"] for field in page.find("input") if field["type"] != "checkbox"}
    assert labels == inputs
    assert not [attributes for _, attributes in page.elements if "style" in attributes or "onclick" in attributes]


def test_json_has_no_infinite_numbers(demo: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.predictor, "predict", lambda name, data: {"score": float("nan")})
    answer = request(demo, "POST", "/predict", PNG)
    assert answer.status == 500
    assert json.loads(answer.content, parse_constant=lambda name: pytest.fail(name))["error"]
