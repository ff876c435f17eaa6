"""The command `litmobile`: what it can do, and the way to the part that does it. Heavy imports wait until needed."""

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
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)  # a file system denies these to users

HELP = """usage: litmobile COMMAND [OPTIONS]

commands:
  fit          train a network, or go on with a run
  validate     evaluate on the validation split
  test         evaluate on the test split
  predict      use a run on pictures, folders and videos: drawn results and files of them
  inspect      look at the data of a training: objects, classes, pixels, copies, broken files, anchors that suit
  backbones    look at the networks on offer: what they cost, their maps and weights; or at one layer by layer
  sample-data  generate a small detection data set to try things on

examples:
  litmobile sample-data
  litmobile fit --config detection/ssdlite_shapes
  litmobile fit --config detection/ssdlite_coco --data.root ~/coco
  litmobile fit --config detection/ssdlite_coco --model.backbone=MobileNetV2 --model.backbone.width=0.5
  litmobile inspect --config detection/ssdlite_coco --data.root ~/coco
  litmobile backbones MobileNetV2 --width 0.5 --size 320
  litmobile validate --run runs/NAME
  litmobile predict --run runs/NAME photos/ street.mp4

`litmobile COMMAND --help` lists the options of a command. Shipped configurations:
  {configs}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with 1 and one sentence if the user has to change something."""
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
    """Ends the program with ``message``; with its traceback if LITMOBILE_TRACEBACK is set."""
    if os.environ.get("LITMOBILE_TRACEBACK"):
        raise error
    sys.exit(f"litmobile: {message}")


def sample_data(words: Sequence[str]) -> None:
    """``litmobile sample-data``."""
    parser = CommandParser(
        "litmobile sample-data", "Generates a detection data set of textured shapes in COCO's layout."
    )
    parser.add_argument("--root", default="data/shapes", help="folder to write (default: %(default)s)")
    parser.add_argument("--train", type=int, default=2000, help="training images (default: %(default)s)")
    parser.add_argument("--val", type=int, default=300, help="validation images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other images (default: %(default)s)")
    options = parser.parse_args(words)

    from .sample_data import write_shapes

    summary = write_shapes(options.root, options.train, options.val, options.seed)
    for split, images in summary.images.items():
        print(f"{summary.root}/{split}: {images} images, {summary.boxes[split]} boxes")


def predict(words: Sequence[str]) -> None:
    """``litmobile predict``."""
    parser = CommandParser(
        "litmobile predict",
        "Uses a run on pictures and videos. Leaves drawn pictures and videos, and files: of a detector "
        "predictions.json, a list in COCO's result format; of a classifier predictions.csv, the five most probable "
        "classes of every picture or frame with their scores; of a segmentation network labels/, a PNG file with the "
        "class of every pixel for each picture or frame, and classes.csv, what its values and colours stand for.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture, a video, or a folder of them")
    parser.add_argument("--run", required=True, type=Path, help="a run's folder, or a checkpoint file")
    parser.add_argument("--out", type=Path, help="folder for the results (default: predictions in the run's folder)")
    parser.add_argument(
        "--score",
        type=float,
        help="least score of boxes that are drawn, or of classes that are written below a picture; the file holds "
        "lower ones as well (default: 0.3)",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        help="for a detector: a COCO file with these pictures; image ids are taken from it by file name, category ids "
        "by class name, so that the results can be evaluated against it; without it images are numbered from 1 in the "
        "order of reading, and category ids are 1 + the place of the class in the network's",
    )
    parser.add_argument(
        "--label-ids",
        choices=("cityscapes",),
        help="for a segmentation network of Cityscapes' classes: label maps hold Cityscapes' label ids, as its "
        "benchmark server takes them, and no palette; without it they hold the place of the class in the network's, "
        "from 0",
    )
    maps = parser.add_argument_group("how label maps are computed (default: the whole picture at once)")
    maps.add_argument(
        "--window", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"), help="slide windows of that many pixels over it"
    )
    maps.add_argument("--overlap", type=float, help="least share of a window that the next shows again (default: 1/3)")
    maps.add_argument(
        "--scales", type=factors, metavar="A,B,…", help="look at it at these times its size, 0.75,1,1.25 say"
    )
    maps.add_argument("--flip", action="store_true", help="look at its mirror image as well")
    parser.add_argument("--no-pictures", action="store_true", help="draw nothing, write the files only")
    parser.add_argument("--device", default="cpu", help="where the network runs, cuda say (default: %(default)s)")
    options = parser.parse_args(words)

    from .predict.command import predict

    draw = not options.no_pictures
    predict(
        options.run,
        options.paths,
        options.out,
        options.score,
        options.annotations,
        options.label_ids,
        inference_of(options),
        draw,
        options.device,
    )


def factors(text: str) -> tuple[float, ...]:
    """Numbers between commas, in brackets or not, as in the options of ``litmobile validate``."""
    try:
        return tuple(map(float, text.strip("[]()").split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes numbers between commas, not {text}") from None


def inference_of(options: argparse.Namespace) -> Inference | None:
    """How label maps are to be computed; None where nothing is said of it."""
    said = {
        "window": options.window and tuple(options.window),
        "overlap": options.overlap,
        "scales": options.scales,
        "flip": options.flip or None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    if "overlap" in given and "window" not in given:
        raise UserError("--overlap is of windows: give their size with --window.")
    if not given:
        return None

    from ..tasks.segmentation.inference import Inference

    return Inference(**given)


def train(command: str, words: list[str]) -> None:
    """``litmobile fit | validate | test``."""
    announce_imports(words)

    from .training import run

    run(command, words)


def inspect(words: list[str]) -> None:
    """``litmobile inspect``."""
    announce_imports(words)

    from .inspect.command import inspect

    inspect(words)


def backbones(words: list[str]) -> None:
    """``litmobile backbones``."""
    from .backbones.command import show

    try:
        show(words)
        sys.stdout.flush()
    except BrokenPipeError:  # head, say, has read enough of the JSON; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def announce_imports(words: Sequence[str]) -> None:
    """Says why help is slow to come where the options are those of other libraries."""
    if any(word == "--help" or word.startswith("--help") for word in words):
        print("Importing torch and lightning, whose options these are, takes some seconds …", file=sys.stderr)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "sample-data": sample_data,
    "predict": predict,
    "inspect": inspect,
    "backbones": backbones,
}
