"""A headless Chromium that tests steer through its debugging pipe, as a person would use a page."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
    *("--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--remote-debugging-pipe"),
)
#: starts Chromium with the given pipes as the file descriptors from which it reads commands and to which it answers
STARTER = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]  # above those that they replace
for descriptor, pipe in zip((3, 4), pipes):
    os.dup2(pipe, descriptor)
    os.close(pipe)
os.execv(sys.argv[3], sys.argv[3:])
"""
TIMEOUT = 90.0  # seconds, of a machine that is busy


def find_chromium() -> str:
    """Return the path of Chromium; the test is skipped without it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"this test needs a browser: one of {', '.join(NAMES)}")
    return found


class Browser:
    """One page of Chromium; as a context manager, it ends the browser.

    Args:
        folder: empty folder for the browser's profile.

    Attributes:
        events: what the page reported: ``method`` and ``params``.
    """

    def __init__(self, folder: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        words = [sys.executable, "-c", STARTER, str(commands), str(answers), find_chromium(), *OPTIONS]
        self._process = subprocess.Popen(
            [*words, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.events: list[dict[str, Any]] = []
        self._received = b""
        self._number = 0
        self._session: dict[str, str] = {}
        self._attach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._session = {}
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self._receive()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, url: str) -> None:
        """Open a page; what it loads is not waited for."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true in the page, and return its value."""
        end = time.monotonic() + TIMEOUT
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} stayed false: {self.evaluate('document.body.innerText')}"
            time.sleep(0.1)
        return value

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files as a person does in the dialog of an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.absolute()) for path in paths])

    def resize(self, width: int, height: int, is_dark: bool = False, scale: float = 1) -> None:
        """Set the size of the window in pixels of the page, the number of pixels that each has, and the colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def press(self, key: str, code: int) -> None:
        """Press a key, e.g. "Tab" with its code 9."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def save_screenshot(self, path: Path) -> None:
        """Write what the whole page shows as a PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _attach(self) -> None:
        """Connect to the first page, and let it report its console and its requests."""
        end = time.monotonic() + TIMEOUT
        while not (pages := [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]):
            assert time.monotonic() < end
            time.sleep(0.1)
        answer = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = {"sessionId": answer["sessionId"]}
        for domain in ("Page", "Runtime", "DOM", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _receive(self) -> dict[str, Any]:
        """Read one message.

        Raises:
            EOFError: the browser has ended.
            TimeoutError: nothing came.
        """
        while b"\0" not in self._received:
            if not select.select([self._answers], [], [], TIMEOUT)[0]:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise EOFError("Chromium has ended")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)
