"""The options of `litmobile demo`. This module does not import torch, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...class_paths import allow_code
from ...errors import UserError, check_range
from ..engines.choice import is_exported
from ..options.parser import Parser, expand_users

DESCRIPTION = (
    "Serves a page on this machine that shows the predictions of a run or an exported file: drop images, choose files, "
    "paste them, or use the camera. The page needs no network, and nothing is written. Ctrl-C ends it."
)
MAX_PORT = 65_535


@dataclass(frozen=True)
class DemoOptions:
    """Options of a demo.

    Attributes:
        run: folder of a run, a checkpoint file, or an exported file.
        model: file that litmobile export wrote, e.g. cells.onnx; --run takes it as well.
        engine: engine that runs the exported file, e.g. openvino. Default: the first for its format.
        score: score at which the threshold slider of a detector starts, e.g. 0.5. Default: 0.3.
        device: device of the network, e.g. cuda or cpu; "auto" is a GPU if PyTorch finds one.
        host: address at which the page is served. With 0.0.0.0, everybody in your network can use it; the live camera
            then works on this machine only.
        port: port of the page; 0 takes a free one.
    """

    run: Path | None = None
    model: Path | None = None
    engine: str | None = None
    score: float | None = None
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 7860

    @property
    def source(self) -> Path:
        """The run or the exported file.

        Raises:
            UserError: neither or both are given.
        """
        given = [path for path in (self.run, self.model) if path is not None]
        if len(given) != 1:
            raise UserError("litmobile demo needs one of --run FOLDER and --model FILE.")
        return given[0]

    @property
    def is_exported(self) -> bool:
        """Whether the source is an exported file."""
        return self.model is not None or is_exported(self.source)

    def check(self) -> None:
        """Raises UserError if options contradict each other or are out of range, or if the source does not exist."""
        if not self.source.exists():
            raise UserError(f"{self.source} does not exist; pass the folder of a run, or a file of litmobile export.")
        if self.score is not None:
            check_range("--score", self.score, ge=0, le=1)
        check_range("--port", self.port, ge=0, le=MAX_PORT)
        if self.engine is not None and not self.is_exported:
            raise UserError(f"--engine={self.engine} is for exported files; runs are always run by PyTorch.")
        if self.is_exported and self.device not in ("auto", "cpu"):
            raise UserError(f"--device={self.device} is for runs; exported files run on the CPU.")


def parse_options(words: Sequence[str]) -> tuple[DemoOptions, bool]:
    """Parses the options of ``litmobile demo``.

    Returns:
        The options, and whether a browser is opened.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    parser = Parser(prog="litmobile demo", description=DESCRIPTION)
    code_help = "folder of your own modules that the run's network needs; their code is run"
    parser.add_argument("--allow-code", action="append", default=[], metavar="FOLDER", help=code_help)
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    parser.add_class_arguments(DemoOptions)
    options = expand_users(parser.parse_words(words).as_dict())
    for folder in options.pop("allow_code"):
        allow_code(Path(folder))
    no_browser = options.pop("no_browser")
    return DemoOptions(**options), not no_browser
