"""Demos of small networks, served by a thread of the test, and requests to them."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from litmobile.tasks.network import Predictor
from litmobile.tools.demo.predictor import DemoPredictor
from litmobile.tools.demo.server import DemoServer


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def values(self) -> dict[str, Any]:
        """The content as JSON."""
        assert self.headers["Content-Type"] == "application/json", self.content[:200]
        return json.loads(self.content)


@contextlib.contextmanager
def serve_network(network: Predictor, name: str = "tiny", score: float | None = None) -> Iterator[DemoServer]:
    """Serve the demo of ``network`` on a free port."""
    with DemoServer("127.0.0.1", 0) as server, DemoPredictor(network, name, "a test", score) as predictor:
        server.predictor = predictor
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def request(
    server: DemoServer, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        return read_answer(connection)


def read_answer(connection: http.client.HTTPConnection) -> Answer:
    """Read the answer to what was sent."""
    answer = connection.getresponse()
    return Answer(answer.status, dict(answer.getheaders()), answer.read())


def encode_image(image: NDArray[np.uint8], kind: str = "PNG", orientation: int = 1) -> bytes:
    """Encode ``image`` ``[H, W, 3]`` with an EXIF orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    encoded = io.BytesIO()
    PIL.Image.fromarray(image).save(encoded, kind, **({"exif": exif} if orientation > 1 else {}))
    return encoded.getvalue()
