"""The options of `litmobile export`. This module does not import torch, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...class_paths import allow_code
from ...errors import UserError, check_range
from ..options.parser import Parser, expand_users
from ..options.sizes import add_size_option, parse_size
from .formats import DEFAULT_OPSET

DESCRIPTION = (
    "Writes the network of a run to a file for programs without PyTorch, evaluates file and run on the same images, "
    "and prints the difference with its 95 % interval. The suffix of --to chooses the format: .onnx (ONNX Runtime, "
    "OpenVINO, TensorRT), .pte (ExecuTorch), .tflite (LiteRT), .mlpackage (Core ML), .pt2 (torch.export)."
)


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        run: folder of a run, whose best checkpoint is exported, or else the last.
        to: file to write, e.g. cells.onnx; its suffix chooses the format.
        int8: whether to quantise weights and activations to int8; needs ``calibrate``.
        calibrate: folder of images, or one image, from which the ranges of activations come; 100 to 500 images like
            those of the task suffice. They need no annotations.
        calibration_images: maximum number of calibration images, evenly spaced over the folder.
        size: (height, width) of the input in pixels. Default: the size of the run.
        segmentation: what the file of a segmentation network outputs: "labels", one class index per pixel, or "logits".
        opset: version of ONNX's operators, 18 to 23; raise it only if your engine asks for it.
        split: split on which file and run are evaluated, "val" or "test"; "none" skips it, e.g. without the data.
        tolerance: largest loss of the main figure (AP, mIoU, top-1) that is accepted, e.g. 0.01; a larger one ends the
            command with status 1.
        engine: engine that evaluates the file. Default: the first for its format, e.g. onnxruntime.
        data: root folder of the data, if it has moved since the training.
    """

    run: Path
    to: Path
    int8: bool = False
    calibrate: Path | None = None
    calibration_images: int = 128
    size: tuple[int, int] | None = None
    segmentation: Literal["labels", "logits"] = "labels"
    opset: int = DEFAULT_OPSET
    split: Literal["val", "test", "none"] = "val"
    tolerance: float = 0.01
    engine: str | None = None
    data: Path | None = None

    def check(self) -> None:
        """Raises UserError if options contradict each other or are out of range."""
        if self.run.is_file() and self.split != "none":
            raise UserError(f"{self.run} is a file, so its data are unknown; pass the run's folder, or --split=none.")
        check_range("--tolerance", self.tolerance, ge=0, le=1)
        check_range("--calibration_images", self.calibration_images, ge=1)
        if self.int8 and self.calibrate is None:
            raise UserError("--int8 needs --calibrate FOLDER, a folder of images like those that the network will see.")
        if self.calibrate is not None and not self.int8:
            raise UserError("--calibrate is for --int8; add --int8, or leave --calibrate out.")


def parse_options(words: Sequence[str]) -> ExportOptions:
    """Parses the options of ``litmobile export``.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    parser = Parser(prog="litmobile export", description=DESCRIPTION)
    code_help = "folder of your own modules that the run's network needs; their code is run"
    parser.add_argument("--allow-code", action="append", default=[], metavar="FOLDER", help=code_help)
    parser.add_class_arguments(ExportOptions, skip={"int8", "size"})
    add_size_option(parser, "that of the run")
    # without a value, unlike other options of yes or no
    parser.add_argument("--int8", action="store_true", help="quantise weights and activations; needs --calibrate")
    options = parser.parse_words(words).as_dict()
    options["size"] = options["size"] and parse_size(options["size"])
    for folder in options.pop("allow_code"):
        allow_code(Path(folder))
    return ExportOptions(**expand_users(options))
