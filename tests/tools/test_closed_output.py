"""A reader that ends early, such as `head`, ends a command without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from litmobile.tools import sample_data
from litmobile.tools.cli import main


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--version"], 128 + signal.SIGPIPE),
        (["--help"], 128 + signal.SIGPIPE),
        pytest.param(["backbones"], 128 + signal.SIGPIPE, marks=pytest.mark.slow),
        pytest.param(["compare", "--help"], 0, marks=pytest.mark.slow),  # argparse writes its help itself
    ],
)
def test_a_closed_output_ends_a_command_quietly(words: list[str], status: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run([sys.executable, "-m", "litmobile", *words], stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert ended.returncode == status
    assert "Error" not in ended.stderr.decode() and "Traceback" not in ended.stderr.decode()


def test_a_broken_pipe_to_another_process_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(sample_data, "write_shapes", fail)
    monkeypatch.setattr("litmobile.tools.cli.is_closed", lambda stream: False)
    with pytest.raises(BrokenPipeError):
        main(["sample-data"])
