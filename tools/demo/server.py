"""Serves the demo's page and answers its requests. This module imports neither torch nor NumPy.

The page is for people at one machine. Other websites in the same browser are kept out: the Host header must not be a
foreign name (DNS rebinding), images must come from the page itself (Origin), and the page loads only its own files.
Nothing is written to disk.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import socket
import socketserver
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from ...errors import ImageError, UserError, first_line

MAX_BYTES = 1 << 26  # of an image file
TIMEOUT = 60.0  # seconds that a connection may be silent
LINGER = 2.0  # seconds in which the rest of a refused request is read
CHUNK = 1 << 16
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
#: addresses that mean all interfaces, and the one at which this machine reaches them
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
JSON, JPEG = "application/json", "image/jpeg"
#: file in page/ and its type, by path of the request
PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in ("demo.js", "drawing.js", "results.js")},
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in ("camera.js", "requests.js")},
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Answers(Protocol):
    """What the server needs of :class:`.predictor.DemoPredictor`."""

    def describe(self) -> dict[str, Any]:
        """Describes the network."""
        ...

    def predict(self, name: str, data: bytes) -> dict[str, Any]:
        """Predicts on the image file ``data``."""
        ...

    def preview(self, name: str, data: bytes) -> bytes:
        """Converts the image file ``data`` to JPEG."""
        ...


class Refusal(Exception):  # noqa: N818 — an answer, not an error of the program
    """A request that is not answered, with its status and the sentence for the page."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class DemoServer(ThreadingHTTPServer):
    """Listens from its creation on, and answers once :attr:`predictor` is set and ``serve_forever`` runs.

    Args:
        host: name or address of this machine.
        port: 0 takes a free one.

    Raises:
        UserError: the port is taken or not allowed, or the host is not an address of this machine.
    """

    daemon_threads = True
    predictor: Answers

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), DemoHandler)
        except OSError as error:
            raise UserError(explain_bind_failure(error, host, port)) from error

    def server_bind(self) -> None:
        """Binds the socket, without the slow search of a name that the base class makes."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of the page on this machine."""
        host = ANY_HOST.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints the traceback of a bug; a browser that left is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def explain_bind_failure(error: OSError, host: str, port: int) -> str:
    """Returns the sentence that says why the server cannot listen."""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken; pass another one as --port, or --port=0 for a free one."
    if error.errno == errno.EACCES:
        return f"Port {port} needs the rights of an administrator; pass one from 1024 on as --port."
    return f"--host={host} is not an address of this machine ({error.strerror}); leave it out, or pass 0.0.0.0 for all."


class DemoHandler(BaseHTTPRequestHandler):
    """Answers one connection. Errors are JSON with one sentence under "error"."""

    server: DemoServer  # pyright: ignore[reportIncompatibleVariableOverride] — only this server creates it
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "litmobile", ""
    timeout = TIMEOUT

    def do_GET(self) -> None:
        """Sends a file of the page, or the description of the network."""
        self.answer(self.get)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Predicts on the image in the body of the request, or converts it."""
        self.answer(self.post)

    def get(self) -> None:
        """Answers GET and HEAD.

        Raises:
            Refusal: the path does not exist.
        """
        path = urlsplit(self.path).path
        if path == "/network.json":
            self.send_json(HTTPStatus.OK, {**self.server.predictor.describe(), "max_bytes": MAX_BYTES})
        elif path in PAGE_FILES:
            name, content_type = PAGE_FILES[path]
            self.send(HTTPStatus.OK, content_type, read_page_file(name))
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, f"The demo has no page {path}.")

    def post(self) -> None:
        """Answers POST.

        Raises:
            Refusal: the request comes from another website, has a wrong path, or no body of a suitable size.
            UserError: the image cannot be predicted on.
        """
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{self.headers['Host']}":
            raise Refusal(HTTPStatus.FORBIDDEN, "Only the demo's own page may send images.")
        address = urlsplit(self.path)
        name = parse_qs(address.query).get("name", ["The image"])[0]
        if address.path == "/predict":
            self.send_json(HTTPStatus.OK, self.server.predictor.predict(name, self.read_body()))
        elif address.path == "/preview":
            self.send(HTTPStatus.OK, JPEG, self.server.predictor.preview(name, self.read_body()))
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, f"The demo takes images at /predict, not at {address.path}.")

    def answer(self, respond: Callable[[], None]) -> None:
        """Calls ``respond`` if the request was meant for this server, and sends what it raises as one sentence."""
        try:
            host = self.headers.get("Host", "")
            if not is_own_host(host, self.server.host):
                raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, f"This is not {host}; open {self.server.url} instead.")
            respond()
        except Refusal as refusal:
            self.refuse(refusal.status, str(refusal))
        except ImageError as error:
            self.send_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)})
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # a bug, or too little memory, ends neither the server nor the page
            if not isinstance(error, UserError):
                traceback.print_exc()
            sentence = str(error) if isinstance(error, UserError) else f"The prediction failed ({first_line(error)})."
            self.send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": sentence})

    def read_body(self) -> bytes:
        """Reads the body of the request.

        Raises:
            Refusal: its length is missing or too large.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request does not say how long the image file is.")
        if len(length) > 20 or int(length) > MAX_BYTES:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Files may have at most {MAX_BYTES >> 20} MiB.")
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise ConnectionAbortedError("the browser left before it had sent the image")
        return data

    def refuse(self, status: int, sentence: str) -> None:
        """Sends a sentence and closes the connection, because the body of the request was not read."""
        self.close_connection = True
        self.send_json(status, {"error": sentence})
        with contextlib.suppress(OSError):
            # what is not read would make the system discard the answer
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            for _ in range(4 * MAX_BYTES // CHUNK):
                if not self.connection.recv(CHUNK):
                    break

    def send_json(self, status: int, values: dict[str, Any]) -> None:
        """Sends plain values."""
        self.send(status, JSON, json.dumps(values, allow_nan=False).encode())

    def send(self, status: int, content_type: str, content: bytes) -> None:
        """Sends an answer; to HEAD only its headers."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends a refusal of the base class, e.g. of an unknown method, as JSON."""
        self.refuse(code, f"The demo does not understand the request ({message or HTTPStatus(code).phrase}).")

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing: a camera would print a line for every frame."""


def is_own_host(header: str, host: str) -> bool:
    """Whether the Host ``header`` names this machine: by address, which no foreign name server can give, or by name."""
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    own = socket.gethostname().lower()
    if name and name in (*LOCAL_HOSTS, host.lower(), own, f"{own}.local"):  # .local is not in public name servers
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def read_page_file(name: str) -> bytes:
    """Reads a file of the page."""
    return (files(__name__.rpartition(".")[0]) / "page" / name).read_bytes()
