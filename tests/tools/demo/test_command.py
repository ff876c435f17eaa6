"""`litmobile demo` starts, ends at Ctrl-C, and refuses wrong options in one sentence."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

import litmobile
from litmobile.tasks.network import Network
from litmobile.tools.cli import main
from litmobile.tools.demo.options import DemoOptions, parse_options
from litmobile.tools.demo.server import DemoServer
from support.cli import get_refusal
from support.predicting import make_noise, save_network
from support.serving import encode_image


@pytest.fixture(scope="module")
def checkpoints(networks: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each network."""
    folder = tmp_path_factory.mktemp("runs")
    return {kind: save_network(network, folder / f"{kind}.ckpt") for kind, network in networks.items()}


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    return lambda *words: get_refusal("demo", *map(str, words), capsys=capsys)


def test_ctrl_c_ends_the_demo(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    words = ["demo", f"--run={checkpoints['detection']}", "--port=0", "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "litmobile", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    url = next(word for word in process.stdout.readline().split() if word.startswith("http://127.0.0.1:"))
    data = encode_image(make_noise(40, 60))
    with urllib.request.urlopen(urllib.request.Request(f"{url}predict", data), timeout=60) as answer:
        assert json.load(answer)["size"] == [60, 40]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest.strip(), errors) == (0, "The demo has ended.", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opens_browser", [True, False])
def test_the_browser_is_opened_unless_told_not_to(
    opens_browser: bool,
    checkpoints: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened, done = [], threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda url: (opened.append(url), done.set()))

    def serve_forever(server: DemoServer) -> None:
        done.wait(30 if opens_browser else 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(DemoServer, "serve_forever", serve_forever)
    words = ["demo", f"--run={checkpoints['classification']}", "--port=0", "--host=0.0.0.0"]
    main(words if opens_browser else [*words, "--no-browser"])
    out = capsys.readouterr().out
    assert "Everybody who reaches this machine at 0.0.0.0 can use it." in out
    assert len(opened) == opens_browser
    assert all(url.startswith("http://127.0.0.1:") and url in out for url in opened)


def test_wrong_options_are_refused(
    checkpoints: dict[str, Path], tmp_path: Path, refuse: Callable[..., str], demo: DemoServer
) -> None:
    run = f"--run={checkpoints['detection']}"
    (tmp_path / "a.onnx").write_bytes(b"")
    exported = f"--run={tmp_path / 'a.onnx'}"
    for words, sentence in (
        ([], "litmobile demo needs one of --run FOLDER and --model FILE."),
        ([run, f"--model={tmp_path / 'a.onnx'}"], "litmobile demo needs one of --run FOLDER and --model FILE."),
        ([f"--run={tmp_path / 'none'}"], "none does not exist; pass the folder of a run, or a file of litmobile"),
        ([f"--run={tmp_path}"], "is not the folder of a run: it has no checkpoint"),
        ([run, "--score=1.5"], "--score must be at least 0 and at most 1, not 1.5."),
        ([f"--run={checkpoints['segmentation']}", "--score=0.5"], "--score is for detectors"),
        ([run, "--port=70000"], "--port must be at least 0 and at most 65535, not 70000."),
        ([run, "--port=x"], "--port takes a whole number, not x."),
        ([run, f"--port={demo.server_port}"], f"Port {demo.server_port} of 127.0.0.1 is taken"),
        ([run, "--engine=onnxruntime"], "--engine=onnxruntime is for exported files"),
        ([run, "--device=tpu9"], "--device tpu9 cannot be used here"),
        ([exported, "--device=cuda"], "--device=cuda is for runs; exported files run on the CPU."),
        ([exported], "a.onnx"),
        ([run, "--prot=1"], "--prot is not an option; did you mean --port?"),
    ):
        message = refuse(*words, *([] if any("--port" in word for word in words) else ["--port=0"]))
        assert sentence in message
        assert message.count("\n") <= 1


def test_a_taken_port_is_found_before_torch_is_imported(demo: DemoServer, tmp_path: Path) -> None:
    script = (
        "import sys; from litmobile.tools.cli import main\n"
        f"try: main(['demo', '--run', {str(tmp_path)!r}, '--port', '{demo.server_port}'])\n"
        "except SystemExit as error: assert 'is taken' in str(error.code), error\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_exported_files_are_accepted_under_both_options() -> None:
    for option in ("run", "model"):
        options, opens_browser = parse_options([f"--{option}", "cells.onnx"])
        assert options.source == Path("cells.onnx")
        assert options.is_exported and opens_browser
    assert not DemoOptions(run=Path("runs/NAME")).is_exported


def test_documented_commands_are_understood() -> None:
    text = (Path(litmobile.__file__).parent / "docs" / "demo.md").read_text(encoding="utf-8")
    commands = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("litmobile demo ")]
    assert len(commands) >= 5
    for words in commands:
        options, _ = parse_options(words[2:])
        assert options.source.name in ("NAME", "cells.onnx")


def test_ipv6_addresses_work() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    with DemoServer("::1", 0) as server:
        assert server.url == f"http://[::1]:{server.server_port}/"
