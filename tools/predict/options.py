"""The options of `litmobile predict`. This module does not import torch, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...class_paths import allow_code
from ...errors import UserError
from ..options.parser import Parser, expand_users

DESCRIPTION = (
    "Applies a run or an exported file to images and videos, draws the predictions and writes them to files: "
    "predictions.json in COCO's result format for a detector, predictions.csv with the five most probable classes for "
    "a classifier; for a segmentation network, PNG label maps in labels/, and classes.csv with the names and colours "
    "of the classes."
)


@dataclass(frozen=True)
class PredictOptions:
    """Options of a prediction.

    Attributes:
        run: folder of a run, or a checkpoint file.
        model: file that litmobile export wrote, to predict with instead of a run, e.g. cells.onnx.
        engine: engine that runs the exported file, e.g. openvino. Default: the first for its format.
        out: folder for the results. Default: predictions/ in the run's folder; required for files.
        score: lowest score of the boxes and class names that are drawn, e.g. 0.5; the files contain lower scores too.
            Default: 0.3.
        annotations: COCO file that describes these images, for detectors. Results get its image ids (by file name) and
            category ids (by class name), so that they can be evaluated against it. An image is rotated if that gives
            the size in this file, as in training. Default: images are numbered from 1, and a category id is 1 + the
            class index.
        label_ids: values of label maps, for networks with Cityscapes' classes: "cityscapes" for its label ids, without
            a palette, as its benchmark server requires. Default: class indices from 0.
        window: (height, width) of sliding windows in pixels of the input, e.g. [512,1024], for segmentation networks.
            Default: the whole image.
        overlap: smallest share of a window that the next one overlaps. Default: 1/3.
        scales: sizes at which a segmentation network sees the image, relative to its input, e.g. [0.75,1,1.25].
        flip: whether a segmentation network also sees the mirrored image, which takes twice as long.
        draw: whether to draw the predictions; otherwise only their files are written.
        device: device of the network, e.g. cuda. Default: auto, a CUDA GPU if there is one, else the CPU.
    """

    run: Path | None = None
    model: Path | None = None
    engine: str | None = None
    out: Path | None = None
    score: float | None = None
    annotations: Path | None = None
    label_ids: Literal["cityscapes"] | None = None
    window: tuple[int, int] | None = None
    overlap: float | None = None
    scales: tuple[float, ...] | None = None
    flip: bool = False
    draw: bool = True
    device: str = "auto"

    @property
    def source(self) -> Path:
        """The run or the exported file.

        Raises:
            UserError: neither or both are given.
        """
        given = [path for path in (self.run, self.model) if path is not None]
        if len(given) != 1:
            raise UserError("litmobile predict needs one of --run FOLDER and --model FILE.")
        return given[0]

    def inference(self) -> dict[str, Any]:
        """Arguments of :class:`litmobile.tasks.segmentation.Inference` that differ from its defaults."""
        values = {name: getattr(self, name) for name in ("window", "overlap", "scales", "flip")}
        return {name: value for name, value in values.items() if value is not None and value is not False}


def parse_options(words: Sequence[str]) -> tuple[list[Path], PredictOptions]:
    """Parses the paths and the options of ``litmobile predict``.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    parser = Parser(prog="litmobile predict", description=DESCRIPTION)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="an image, a video, or a folder of them")
    code_help = "folder of your own modules that the run's network needs; their code is run"
    parser.add_argument("--allow-code", action="append", default=[], metavar="FOLDER", help=code_help)
    parser.add_class_arguments(PredictOptions)
    options = expand_users(parser.parse_words(words).as_dict())
    for folder in options.pop("allow_code"):
        allow_code(Path(folder))
    return options.pop("paths"), PredictOptions(**options)
