"""The command `litmobile`: dispatches to the commands and parses the options of those that do not train.

Modules that import torch are imported by the command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .options import CommandParser

if TYPE_CHECKING:
    from ..tasks.segmentation.inference import Inference

TRAINING = ("fit", "validate", "test")
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)  # users can act on these

HELP = """usage: litmobile COMMAND [OPTIONS]

commands:
  fit          train a network, or resume a run
  validate     evaluate a run on the validation split
  test         evaluate a run on the test split
  predict      apply a run to images and videos; draws the predictions and writes them to files
  inspect      check a data set before training: classes, objects, duplicates, invalid files, anchors
  backbones    list the networks with cost, feature maps and weights, or show one layer by layer
  sample-data  generate a small detection data set

examples:
  litmobile sample-data
  litmobile fit --config detection/ssdlite_shapes
  litmobile fit --config detection/ssdlite_coco --data.root ~/coco
  litmobile fit --config detection/ssdlite_coco --model.backbone=MobileNetV2 --model.backbone.norm_momentum=0.03
  litmobile inspect --config detection/ssdlite_coco --data.root ~/coco
  litmobile backbones MobileNetV2 --width 0.5 --size 320
  litmobile validate --run runs/NAME
  litmobile predict --run runs/NAME photos/ street.mp4

`litmobile COMMAND --help` lists the options of a command.

recipes for --config:
  {configs}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line. A `UserError` ends it with its message and exit status 1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else "--help"
    try:
        if command in ("-h", "--help", "help"):
            from .configurations import list_shipped

            print(HELP.format(configs="\n  ".join(list_shipped())), end="")
        elif command == "--version":
            from .. import __version__

            print(f"litmobile {__version__}")
        elif command in COMMANDS:
            COMMANDS[command](words[1:])
        elif command in TRAINING:
            train(command, words[1:])
        else:
            sys.exit(f"litmobile: there is no command {command!r}; litmobile --help lists the commands.")
    except KeyboardInterrupt:
        print("litmobile: interrupted", file=sys.stderr)
        sys.exit(130)  # as shells do
    except UserError as error:
        exit_with(str(error), error)
    except OSError as error:
        if error.errno not in DENIED or not error.filename:
            raise
        exit_with(f"{error.filename} cannot be read or written: {error.strerror}.", error)


def exit_with(message: str, error: Exception) -> None:
    """Ends the program with ``message``, or with a traceback if the variable LITMOBILE_TRACEBACK is set."""
    if os.environ.get("LITMOBILE_TRACEBACK"):
        raise error
    sys.exit(f"litmobile: {message}")


def sample_data(words: Sequence[str]) -> None:
    """Runs ``litmobile sample-data WORDS``."""
    parser = CommandParser(
        "litmobile sample-data",
        "Generates a detection data set in COCO format: images of textured shapes in six classes.",
    )
    parser.add_argument("--root", default="data/shapes", help="folder to create (default: %(default)s)")
    parser.add_argument("--train", type=int, default=2000, help="number of training images (default: %(default)s)")
    parser.add_argument("--val", type=int, default=300, help="number of validation images (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed; each seed gives other images (default: %(default)s)"
    )
    options = parser.parse_args(words)

    from .sample_data import write_shapes

    summary = write_shapes(options.root, options.train, options.val, options.seed)
    for split, images in summary.images.items():
        print(f"{summary.root}/{split}: {images} images, {summary.boxes[split]} boxes")


def predict(words: Sequence[str]) -> None:
    """Runs ``litmobile predict WORDS``."""
    parser = CommandParser(
        "litmobile predict",
        "Applies a run to images and videos, draws the predictions and writes them to files. A detector writes "
        "predictions.json in COCO's result format. A classifier writes predictions.csv with the five most probable "
        "classes of every image or frame. A segmentation network writes a PNG label map of every image or frame to "
        "labels/, and the names and colours of the classes to classes.csv.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an image, a video, or a folder of them")
    parser.add_argument("--run", required=True, type=Path, help="folder of a run, or a checkpoint file")
    parser.add_argument("--out", type=Path, help="folder for the results (default: predictions/ in the run's folder)")
    parser.add_argument(
        "--score",
        type=float,
        help="lowest score of the boxes and class names that are drawn, e.g. 0.5; the files contain lower scores too "
        "(default: 0.3)",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        help="COCO file that describes these images, for detectors: results get its image ids (by file name) and "
        "category ids (by class name), so that they can be evaluated against it; without it, images are numbered "
        "from 1 and a category id is 1 + the class index",
    )
    parser.add_argument(
        "--label-ids",
        choices=("cityscapes",),
        help="values of label maps, for networks with Cityscapes' classes: its label ids, as its benchmark server "
        "requires, without a palette; without this option the values are class indices from 0",
    )
    maps = parser.add_argument_group("inference of segmentation networks (default: the whole image, once)")
    maps.add_argument(
        "--window",
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="size of sliding windows in pixels of the input, e.g. 512 1024",
    )
    maps.add_argument(
        "--overlap", type=float, help="smallest share of a window that the next one overlaps (default: 1/3)"
    )
    maps.add_argument(
        "--scales",
        type=parse_scales,
        metavar="A,B,…",
        help="sizes at which the network sees the image, relative to its input, e.g. 0.75,1,1.25",
    )
    maps.add_argument("--flip", action="store_true", help="add the mirrored image; takes twice as long")
    parser.add_argument("--no-images", action="store_true", help="draw nothing, write only the files of predictions")
    parser.add_argument("--device", default="cpu", help="device of the network, e.g. cuda (default: %(default)s)")
    options = parser.parse_args(words)

    from .predict.command import predict

    predict(
        options.run,
        options.paths,
        options.out,
        options.score,
        options.annotations,
        options.label_ids,
        make_inference(options),
        not options.no_images,
        options.device,
    )


def parse_scales(text: str) -> tuple[float, ...]:
    """Parses numbers separated by commas, with or without brackets as `litmobile validate` takes them."""
    try:
        return tuple(map(float, text.strip("[]()").split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes numbers separated by commas, not {text}") from None


def make_inference(options: argparse.Namespace) -> Inference | None:
    """Returns how scores are computed, or None if no option says it.

    Raises:
        UserError: an overlap is given without windows, or a value is out of range.
    """
    values = {
        "window": options.window and tuple(options.window),
        "overlap": options.overlap,
        "scales": options.scales,
        "flip": options.flip or None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    if "overlap" in given and "window" not in given:
        raise UserError("--overlap needs sliding windows: give their size with --window HEIGHT WIDTH.")
    if not given:
        return None

    from ..tasks.segmentation.inference import Inference

    return Inference(**given)


def train(command: str, words: list[str]) -> None:
    """Runs ``litmobile COMMAND WORDS``, where COMMAND is fit, validate or test."""
    announce_imports(words)

    from .training import run

    run(command, words)


def inspect(words: list[str]) -> None:
    """Runs ``litmobile inspect WORDS``."""
    announce_imports(words)

    from .inspect.command import inspect

    inspect(words)


def backbones(words: list[str]) -> None:
    """Runs ``litmobile backbones WORDS``."""
    from .backbones.command import show

    try:
        show(words)
        sys.stdout.flush()
    except BrokenPipeError:  # e.g. of `| head`; Python would report it again when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def announce_imports(words: Sequence[str]) -> None:
    """Prints a note that help takes seconds, because its options come from torch and lightning."""
    if any(word.startswith("--help") for word in words):
        print("Importing torch and lightning to list their options; this takes a few seconds …", file=sys.stderr)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "sample-data": sample_data,
    "predict": predict,
    "inspect": inspect,
    "backbones": backbones,
}
