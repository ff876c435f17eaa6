"""Writes images and hyper-parameters of a training to TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] — generated
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue] — generated
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import hparams

from ..atomic import replace_file
from ..drawing import shrink_image
from ..images import Image

#: side in pixels and JPEG quality of images in event files, which keep all validations; PNG takes five times as much
MAX_LOGGED_SIDE, LOGGED_QUALITY = 1600, 85

#: sorts before the files of all other events: TensorBoard follows a growing file only if no later one exists
HYPERPARAMETERS = "events.out.tfevents.0.hparams"
EVENT_VERSION = "brain.Event:2"

PlainValue = bool | int | float | str


def log_image(loggers: Iterable[Logger], name: str, image: Image, step: int) -> None:
    """Adds ``image`` ``[H, W, 3]`` to TensorBoard under ``name``; a large image is shrunk to a side of 1600 pixels."""
    boards = [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
    if not boards:
        return
    shown = shrink_image(image, MAX_LOGGED_SIDE)
    quality = (cv2.IMWRITE_JPEG_QUALITY, LOGGED_QUALITY)
    _, content = cv2.imencode(".jpg", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR), quality)
    height, width = shown.shape[:2]
    encoded = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content.tobytes())
    for board in boards:
        summary = Summary(value=[Summary.Value(tag=name, image=encoded)])
        board.experiment._get_file_writer().add_summary(summary, step)  # PyTorch's own methods write PNG


def log_hyperparameters(loggers: Iterable[Logger], values: Mapping[str, PlainValue], metric: str) -> None:
    """Gives the hyper-parameters of a training to its loggers.

    TensorBoard's HPARAMS tab shows them beside the last value of ``metric``, e.g. "val/AP". TensorBoardLogger's own
    method would add a false point to the curve of that figure.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            write_hyperparameters(Path(logger.log_dir) / HYPERPARAMETERS, values, metric)
        else:
            logger.log_hyperparams(dict(values))


@rank_zero_only
def write_hyperparameters(file: Path, values: Mapping[str, PlainValue], metric: str) -> None:
    """Writes an event ``file`` with hyper-parameters; it replaces that of an earlier start of the run.

    TensorBoard reads the hyper-parameters of a run only once, so among the other events they would stay those of the
    first start.
    """
    # TensorBoard would show true and false as 1 and 0
    shown = {key: str(value).lower() if isinstance(value, bool) else value for key, value in values.items()}
    events = [Event(file_version=EVENT_VERSION), *(Event(summary=each) for each in hparams(shown, {metric: 0.0}))]
    with replace_file(file) as part, part.open("wb") as opened:
        writer = RecordWriter(opened)
        for event in events:
            event.wall_time = time.time()
            writer.write(event.SerializeToString())
