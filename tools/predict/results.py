"""Writes the files of `litmobile predict`: COCO's JSON, CSV or label maps, each entry as soon as it is predicted."""

from __future__ import annotations

import csv
import io
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TextIO

import numpy as np
import PIL.Image

from ...errors import UserError
from ...tasks.atomic import DAY, remove_old_parts, replace_file, write_bytes
from ...tasks.data.files import normalise_path
from ...tasks.detection.formats.coco import (
    UNKNOWN_SIZE,
    get_records,
    parse_class_names,
    parse_file_name,
    parse_ids,
    parse_size,
)
from ...tasks.detection.formats.parsing.json_files import read_json
from ...tasks.drawing import make_colour_table
from ...tasks.images import Image
from ...tasks.network import Predictor
from ...tasks.prediction import ImageClassification, ImageDetections, ImageResult, ImageSegmentation
from ...tasks.prediction.result import DEFAULT_MIN_SCORE
from ...tasks.segmentation.colours import class_colours
from ...tasks.segmentation.data_sets.known_classes import LABEL_IDS
from ...tasks.segmentation.masks import MAX_CLASSES as MAX_LABELS
from ..task_tools import TASK_TOOLS, import_tool
from .options import PredictOptions
from .sources import MediaFrame, MediaSource, assign_paths, name_label_map

MAX_CLASSES = 5  # written for each image
INFERENCE_FLAGS = "--window, --scales and --flip"
FRAME_DIGITS = 6  # minimum number of digits in the file names of frames' label maps
PNG_LEVEL = 3  # takes a third of the default level's time, for files a quarter larger


class PredictionJob(NamedTuple):
    """The input of a writer.

    Attributes:
        classes: names of the network's classes.
        folder: folder for the results; created if it does not exist.
        options: options of the command; some apply only to certain kinds of networks.
        sources: the files to predict on.
        drawn_paths: paths of drawn images in the folder, which no other result may use.
    """

    classes: Sequence[str]
    folder: Path
    options: PredictOptions
    sources: Sequence[MediaSource] = ()
    drawn_paths: Collection[Path] = ()

    @property
    def min_score(self) -> float:
        """Lowest score, 0 … 1, of the boxes and class names that are drawn; the files contain lower scores too."""
        return DEFAULT_MIN_SCORE if self.options.score is None else self.options.score


class ResultWriter(ABC):
    """Writes predictions to files and draws them; as a context manager, it creates and completes the files.

    An interruption leaves complete rows and label maps. Nothing is written before the context is entered, and a file of
    rows gets its name when it is completed, so that a killed command leaves no file that looks complete.

    Attributes:
        result_type: type of the network's result for an image.
        network_type: name of such a network in messages.
        flags: options of the command that apply to such networks, but not to all networks.
        sources: the files to read, with the size that each image must have.
    """

    result_type: ClassVar[type[ImageResult]]
    network_type: ClassVar[str]
    flags: ClassVar[tuple[str, ...]]

    def __init__(self, job: PredictionJob) -> None:
        self.job = job
        self.sources = job.sources
        self._open_files = ExitStack()

    def __enter__(self) -> Self:
        self.job.folder.mkdir(parents=True, exist_ok=True)
        remove_old_parts(self.job.folder, "predictions*", DAY)
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        with self._open_files:
            self.close()

    def open_text(self, name: str) -> TextIO:
        """Opens the text file ``name`` of the results, which replaces an earlier one when the context is left."""
        part = self._open_files.enter_context(replace_file(self.job.folder / name))
        return self._open_files.enter_context(open_text(part))

    @abstractmethod
    def open(self) -> None:
        """Creates the files."""

    @abstractmethod
    def write(self, result: Any, frame: MediaFrame) -> None:
        """Writes the result for ``frame``."""

    def draw(self, frame: MediaFrame, result: ImageResult) -> Image:
        """Draws the result on the image of ``frame``, ``[H, W, 3]``; frames of a video get drawings of one size."""
        return result.draw(self.job.min_score, is_frame=frame.timestamp is not None)

    def close(self) -> None:  # noqa: B027 — most files need no end
        """Writes the end of the files, also after an interruption."""


class DetectionWriter(ResultWriter):
    """Writes detections in COCO's result format, ``predictions.json``.

    ``bbox`` is x, y, width, height in pixels of the image.

    Raises:
        UserError: the annotations do not have an image or a class, or two sources match one image.
    """

    result_type = ImageDetections
    network_type = "detector"
    flags = ("--score", "--annotations")

    def __init__(self, job: PredictionJob) -> None:
        super().__init__(job)
        self.image_keys: dict[Path, dict[str, Any]] = {}
        self.category_ids: list[int | str] = list(range(1, len(job.classes) + 1))
        if job.options.annotations is not None:
            content = read_json(job.options.annotations)
            self.sources, self.image_keys = match_images(job.sources, content, job.options.annotations)
            self.category_ids = match_classes(job.classes, content, job.options.annotations)
        self._image_ids = itertools.count(1)

    def open(self) -> None:
        self._file = self.open_text("predictions.json")
        self._separator = "[\n"

    def write(self, result: ImageDetections, frame: MediaFrame) -> None:
        path, timestamp = frame.source.path, frame.timestamp
        keys = self.image_keys.get(path) or {"image_id": next(self._image_ids), "file_name": path.as_posix()}
        if timestamp is not None:
            keys = {**keys, "frame": timestamp.frame, "timestamp": timestamp.seconds}
        rows = [json.dumps({**keys, **row}) for row in result.to_coco(self.category_ids)]
        if rows:
            self._file.write(self._separator + ",\n".join(rows))  # in one call: an interruption leaves complete rows
            self._separator = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")


def match_images(
    sources: Sequence[MediaSource], content: dict[str, Any], file: Path
) -> tuple[list[MediaSource], dict[Path, dict[str, Any]]]:
    """Matches every source with an image of a COCO ``file``, whose name must be the end of the source's path.

    If several names match, the longest is used.

    Returns:
        The sources with the sizes in the file, and the image id and file name of each path.

    Raises:
        UserError: a source matches no image, or two sources match the same image.
    """
    images = get_records(content, "images", file)
    ids = list(parse_ids(images, "image", file).positions)
    by_name = {normalise_path(parse_file_name(row, file)): (key, row) for key, row in zip(ids, images, strict=True)}
    sized: list[MediaSource] = []
    paths: dict[str, Path] = {}
    for source in sources:
        parts = normalise_path(source.path.absolute().as_posix()).split("/")
        name = next((name for k in range(len(parts)) if (name := "/".join(parts[k:])) in by_name), None)
        if name is None:
            raise UserError(f"{source.path} is not one of the images of {file}.")
        if name in paths:
            raise UserError(f"{paths[name]} and {source.path} are both the image {name} of {file}; pass one of them.")
        paths[name] = source.path
        row = by_name[name][1]
        size = parse_size(row, file)
        sized.append(source._replace(size=size if size != UNKNOWN_SIZE else None))
    keys = {path: by_name[name] for name, path in paths.items()}
    return sized, {path: {"image_id": key, "file_name": row["file_name"]} for path, (key, row) in keys.items()}


def match_classes(classes: Sequence[str], content: dict[str, Any], file: Path) -> list[int | str]:
    """Returns the category ids that ``classes`` have in a COCO ``file``.

    Raises:
        UserError: the file does not have one of the classes.
    """
    categories = get_records(content, "categories", file)
    ids = list(parse_ids(categories, "category", file).positions)
    by_name = dict(zip(parse_class_names(categories, file), ids, strict=True))
    for name in classes:
        if name not in by_name:
            raise UserError(f"{file} has no category {name!r}, which the network predicts.")
    return [by_name[name] for name in classes]


class ClassificationWriter(ResultWriter):
    """Writes the most probable classes of every image and frame as a row of ``predictions.csv``.

    The columns are file_name, frame, seconds, then class_1, score_1 … class_5, score_5 with the most probable class
    first, or fewer if the network has fewer classes. Frame, counted from 0, and seconds are empty for an image. Scores
    have six significant digits.
    """

    result_type = ImageClassification
    network_type = "classifier"
    flags = ("--score",)

    def open(self) -> None:
        self.number = min(MAX_CLASSES, len(self.job.classes))
        self._rows = csv.writer(self.open_text("predictions.csv"), lineterminator="\n")
        columns = [f"{what}_{rank}" for rank in range(1, self.number + 1) for what in ("class", "score")]
        self._rows.writerow(["file_name", "frame", "seconds", *columns])

    def write(self, result: ImageClassification, frame: MediaFrame) -> None:
        position = ["", ""] if frame.timestamp is None else map(str, frame.timestamp[:2])
        row = [frame.source.path.as_posix(), *position]
        for _, name, score in result.top(self.number):
            row += [name, f"{score:.6g}"]
        self._rows.writerow(row)


class SegmentationWriter(ResultWriter):
    """Writes a label map of every image and frame, and ``classes.csv`` with the value, name and colour of each class.

    Label maps are PNG files with one channel of eight bits and the size of the image. They carry the class colours as a
    palette, which viewers and OpenCV show; Pillow, torchvision and cityscapesScripts read the values. If the values are
    class indices, ``classes.txt`` lists the names for ``FolderSegmentation``. The label maps of an earlier
    video with the same name are deleted.

    Raises:
        UserError: the network has too many classes, or does not have the classes that the option ``label_ids`` needs.
    """

    result_type = ImageSegmentation
    network_type = "segmentation network"
    flags = ("--label_ids", INFERENCE_FLAGS)

    def __init__(self, job: PredictionJob) -> None:
        super().__init__(job)
        if len(job.classes) > MAX_LABELS:
            raise UserError(f"A network for label maps can have {MAX_LABELS} classes, not {len(job.classes)}.")
        self.values = np.array(choose_label_values(job.classes, job.options.label_ids), dtype=np.uint8)
        self.colours = class_colours(job.classes)
        self.palette = None if job.options.label_ids else make_colour_table(self.colours).tobytes()
        self.paths = assign_paths(job.sources, job.folder / "labels", name_label_map, job.drawn_paths)

    def open(self) -> None:
        values = self.values.tolist()
        with replace_file(self.job.folder / "classes.csv") as part, open_text(part) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["value", "name", "red", "green", "blue"])
            for value, name, colour in zip(values, self.job.classes, self.colours, strict=True):
                rows.writerow([value, name, *colour])
        names = self.job.folder / "classes.txt"
        names.unlink(missing_ok=True)
        if values == list(range(len(self.job.classes))):
            with replace_file(names) as part, open_text(part) as file:
                file.writelines(f"{name}\n" for name in self.job.classes)
        for path in self.paths.values():
            for label_map in path.glob("[0-9]" * FRAME_DIGITS + ".png"):
                label_map.unlink()

    def write(self, result: ImageSegmentation, frame: MediaFrame) -> None:
        path = self.paths[frame.source.path]
        if frame.timestamp is not None:
            path = path / f"{frame.timestamp.frame:0{FRAME_DIGITS}}.png"
        label_map = PIL.Image.fromarray(self.values[result.labels.numpy()])
        if self.palette is not None:
            label_map.putpalette(self.palette)
        encoded = io.BytesIO()
        label_map.save(encoded, "PNG", compress_level=PNG_LEVEL)
        write_bytes(path, encoded.getvalue())


def open_text(path: Path) -> TextIO:
    """Opens a text file for writing; a file name that is not valid text keeps its bytes."""
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")


def choose_label_values(classes: Sequence[str], label_ids: str | None) -> list[int]:
    """Returns the value of each class in label maps.

    Raises:
        UserError: the classes are not those that ``label_ids`` needs.
    """
    if label_ids is None:
        return list(range(len(classes)))
    unknown = [name for name in classes if name not in LABEL_IDS]
    missing = [name for name in LABEL_IDS if name not in classes]
    if unknown or missing:
        wrong = f"has {unknown[0]!r}" if unknown else f"lacks {missing[0]!r}"
        raise UserError(f"--label_ids {label_ids} needs its {len(LABEL_IDS)} classes, but the network {wrong}.")
    return [LABEL_IDS[name] for name in classes]


def list_writers() -> list[type[ResultWriter]]:
    """Lists the writer classes of all kinds of task."""
    return [import_tool(tools.result_writer) for tools in TASK_TOOLS.values()]


def find_writer(network: Predictor) -> type[ResultWriter]:
    """Finds the writer for what ``network`` predicts on a blank image, because a user's own head may have no role.

    Raises:
        UserError: no writer supports such predictions.
    """
    result = network.predict(np.zeros((*network.preprocessing.size, 3), dtype=np.uint8))
    for writer in list_writers():
        if isinstance(result, writer.result_type):
            return writer
    raise UserError(
        f"litmobile predict writes detections, classes and label maps, not the {type(result).__name__} of this network."
    )


def check_flags(options: PredictOptions, writer: type[ResultWriter]) -> None:
    """Checks that every given option applies to the network of the run.

    Raises:
        UserError: an option does not apply; the message names the networks that it applies to.
    """
    given = {
        "--score": options.score is not None,
        "--annotations": options.annotations is not None,
        "--label_ids": options.label_ids is not None,
        INFERENCE_FLAGS: bool(options.inference()),
    }
    for flag, is_given in given.items():
        if is_given and flag not in writer.flags:
            networks = " or a ".join(other.network_type for other in list_writers() if flag in other.flags)
            raise UserError(
                f"{flag} can only be used with a {networks}, but {options.source} is a {writer.network_type}."
            )
