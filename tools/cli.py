"""The command `litmobile`: runs the given command and prints user errors as one message without a traceback.

Modules that import torch are imported by the command that needs them, so that `litmobile --help` is quick.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

from ..errors import UserError
from ..tasks.data.start_methods import choose_start_method, start_fork_server
from .task_tools import import_tool

#: errors of the file system that users can correct
DENIED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.ESTALE),
)

#: import path inside `litmobile.tools` of the function that runs each command
COMMANDS = {
    "fit": "training.fit",
    "validate": "training.validate",
    "test": "training.test",
    "predict": "predict.main.run",
    "demo": "demo.main.run",
    "compare": "compare.command.run",
    "transfer": "transfer.main.run",
    "evaluate": "evaluate.command.run",
    "report": "report.command.run",
    "export": "export.main.run",
    "inspect": "inspect.command.inspect",
    "convert": "convert.command.convert",
    "backbones": "backbones.command.show",
    "profile": "profile.command.run",
    "sample-data": "sample_data.run",
}
#: commands that list their options without importing torch
QUICK_COMMANDS = ("sample-data", "predict", "demo", "compare", "export", "transfer")
#: commands whose workers the fork server starts
TRAINING_COMMANDS = ("fit", "validate", "test")

HELP = """usage: litmobile COMMAND [OPTIONS]

commands:
  fit          train a network, or resume a run
  validate     evaluate a run on the validation split
  test         evaluate a run on the test split
  predict      apply a run to images and videos; draws the predictions and writes them to files
  demo         try a run on images and the camera in a browser
  transfer     run a study: many trainings of several networks on several tasks, from a plan
  evaluate     compute COCO's figures of detections that any program wrote
  report       write a page about an evaluation of a run: figures, curves, errors, images
  compare      say which of several runs is better, with intervals over images and seeds
  export       write a run's network for other programs: ONNX, ExecuTorch, LiteRT, Core ML; in float or int8
  inspect      check a data set before training: classes, objects, duplicates, invalid files, anchors
  convert      write a detection data set as COCO, Pascal VOC or YOLO
  backbones    list the networks with cost, feature maps, accuracy and weights
  profile      say what networks cost: parameters, multiply-adds, memory, latency on several engines
  sample-data  generate a small detection data set

examples:
  litmobile sample-data
  litmobile fit --config detection/ssdlite_shapes
  litmobile fit --config detection/finetune --data.root ~/my_objects
  litmobile fit --config detection/ssdlite_coco --data.root ~/coco --model.backbone=MobileNetV2
  litmobile inspect --config detection/ssdlite_coco --data.root ~/coco
  litmobile convert ~/my_objects --to coco --out ~/my_objects_coco
  litmobile profile MobileNetV2 --width 0.5 --size 320
  litmobile profile runs/A runs/B --engines eager onnxruntime
  litmobile validate --run runs/NAME
  litmobile predict --run runs/NAME photos/ street.mp4
  litmobile demo --run runs/NAME
  litmobile compare runs/A runs/B
  litmobile transfer plan.yaml --to study --dry-run
  litmobile export --run runs/NAME --to cells.onnx
  litmobile export --run runs/NAME --to cells.int8.onnx --int8 --calibrate photos/

`litmobile COMMAND --help` lists the options of a command.

recipes for --config:
  {configs}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line. A `UserError` ends it with its message and exit status 1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            run_command(words)
        finally:
            if sys.stdout:  # None where a program starts without one
                sys.stdout.flush()  # at exit it would be too late to handle an error
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if stream and is_closed(stream)]
        if not closed:
            raise  # the pipe to another process broke
        for stream in closed:  # what is left to write goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(128 + signal.SIGPIPE)  # as shells do


def is_closed(stream: TextIO) -> bool:
    """Whether the program that reads ``stream`` has ended, as in ``litmobile backbones | head -1``."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def run_command(words: Sequence[str]) -> None:
    """Runs the command that ``words`` begin with."""
    command = words[0] if words else "--help"
    try:
        if command in ("-h", "--help", "help"):
            from .options.configurations import list_shipped

            print(HELP.format(configs="\n  ".join(list_shipped())), end="")
        elif command == "--version":
            from .. import __version__

            print(f"litmobile {__version__}")
        elif command in COMMANDS:
            if command not in QUICK_COMMANDS and any(word.startswith("--help") for word in words):
                print("Importing torch to list the options; this takes a few seconds …", file=sys.stderr)
            elif command in TRAINING_COMMANDS and choose_start_method() == "forkserver":
                start_fork_server()
            import_tool(COMMANDS[command])(words[1:])
        else:
            sys.exit(f"litmobile: there is no command {command!r}; litmobile --help lists the commands.")
    except (KeyboardInterrupt, SystemExit) as ended:
        if not isinstance(ended, KeyboardInterrupt) and not isinstance(ended.__context__, KeyboardInterrupt):
            raise  # Lightning turns an interruption into status 1
        print("litmobile: interrupted", file=sys.stderr)
        sys.exit(130)  # as shells do
    except UserError as error:
        exit_with(str(error), error)
    except (MemoryError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        if not isinstance(error, MemoryError) and not ("out of memory" in reason or "allocate memory" in str(error)):
            raise
        exit_with(f"There is not enough memory, so lower --data.batch_size or the input size ({reason}).", error)
    except OSError as error:
        if error.errno not in DENIED:
            raise
        # a full disk is reported without a name
        exit_with(f"{error.filename or 'A file'} cannot be read or written: {error.strerror}.", error)


def exit_with(message: str, error: Exception) -> None:
    """Ends the program with ``message``, or with a traceback if the variable LITMOBILE_TRACEBACK is set."""
    if os.environ.get("LITMOBILE_TRACEBACK"):
        raise error
    sys.exit(f"litmobile: {message}")
