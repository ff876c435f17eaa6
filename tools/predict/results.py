"""The files that `litmobile predict` leaves: COCO's JSON, CSV, label maps, all of them written as they come."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import PIL.Image
import torch

from ...errors import UserError
from ...heads.predictions import Classification, Detections, Segmentation
from ...tasks.classification.pictures import draw_classes
from ...tasks.detection.pictures import draw_detections
from ...tasks.images import Image
from ...tasks.network import Network
from ...tasks.segmentation.colours import colour_table
from ...tasks.segmentation.masks import MOST_CLASSES as MOST_LABELS
from ...tasks.segmentation.pictures import draw_labels
from .sources import Moment

MOST_CLASSES = 5  # that are written of a picture
FRAME_DIGITS = 6  # at least, in the names of label maps of frames
PNG_LEVEL = 3  # a third of the usual level's time, for files a quarter larger


class Name(NamedTuple):
    """What a picture is called in a file of results."""

    image_id: int
    file_name: str


class Results(ABC):
    """Results in files, open as long as the context; an interruption leaves whole rows and whole label maps."""

    @abstractmethod
    def add(self, prediction: Any, name: Name, moment: Moment | None) -> None:
        """Writes what was predicted for a picture, or for a frame at its ``moment``."""

    @abstractmethod
    def drawn(self, image: Image, prediction: Any, least_score: float) -> Image:
        """The picture ``[H, W, 3]`` with what was predicted; pictures of one size give drawings of one size."""

    @abstractmethod
    def close(self) -> None:
        """Ends the file, after an interruption as well."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class DetectionResults(Results):
    """Detections in COCO's result format, ``predictions.json``.

    Args:
        folder: made if it is not there.
        classes: names of the network's classes.
        category_ids: their ids in the file.
    """

    def __init__(self, folder: Path, classes: Sequence[str], category_ids: Sequence[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.category_ids = category_ids
        self._file = (folder / "predictions.json").open("w", encoding="utf-8")
        self._before = "[\n"

    def add(self, prediction: Detections, name: Name, moment: Moment | None) -> None:
        """Writes one picture's detections, ``bbox`` as x, y, width, height in its pixels."""
        found = prediction
        where = name._asdict() | ({} if moment is None else {"frame": moment.frame, "timestamp": moment.seconds})
        boxes = torch.cat((found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]), dim=1)
        rows = [
            json.dumps(where | {"category_id": self.category_ids[label], "bbox": box, "score": score})
            for box, score, label in zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        ]
        if rows:
            self._file.write(self._before + ",\n".join(rows))  # at once: an interruption leaves no half row
            self._before = ",\n"

    def drawn(self, image: Image, prediction: Detections, least_score: float) -> Image:
        return draw_detections(image, prediction, self.classes, least_score)

    def close(self) -> None:
        self._file.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._file.close()


class ClassificationResults(Results):
    """The most probable classes of every picture, ``predictions.csv``, a row each.

    The columns are file_name, frame, seconds, then class_1, score_1 … class_5, score_5, the most probable class first;
    fewer where there are fewer classes. Frame, counted from 0, and seconds are always there and empty for a picture.
    Scores have six significant digits.

    Args:
        folder: made if it is not there.
        classes: names of the network's classes.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.count = min(MOST_CLASSES, len(classes))
        path = folder / "predictions.csv"
        # every row leaves at once; a file name that is no text keeps its bytes
        self._file = path.open("w", buffering=1, encoding="utf-8", errors="surrogateescape", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        columns = [f"{what}_{rank}" for rank in range(1, self.count + 1) for what in ("class", "score")]
        self._rows.writerow(["file_name", "frame", "seconds", *columns])

    def add(self, prediction: Classification, name: Name, moment: Moment | None) -> None:
        where = ["", ""] if moment is None else [str(moment.frame), str(moment.seconds)]
        best = prediction.scores.topk(self.count)
        row = [name.file_name, *where]
        for label, score in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            row += [self.classes[label], f"{score:.6g}"]
        self._rows.writerow(row)

    def drawn(self, image: Image, prediction: Classification, least_score: float) -> Image:
        return draw_classes(image, prediction.scores, self.classes, least_score)

    def close(self) -> None:
        self._file.close()


class SegmentationResults(Results):
    """A label map of every picture and frame, and ``classes.csv`` with value, name, red, green and blue of each class.

    Label maps are PNG files of one channel of eight bits, of the picture's size. Where the values are 0, 1, …,
    ``classes.txt`` names the classes in their order, as data sets of folders read it. Frames of an earlier video of the
    same name go.

    Args:
        folder: of classes.csv and classes.txt; made if it is not there.
        classes: names of the network's classes.
        values: what label maps hold for them.
        targets: for the path of every picture its label map, and of every video the folder of its frames'.
        palette: whether label maps carry the colours of the classes, by which viewers show them. What reads the numbers
            themselves leaves it aside: Pillow, torchvision, cityscapesScripts. OpenCV reads the colours.

    Raises:
        ValueError: there are too many classes.
    """

    def __init__(
        self, folder: Path, classes: Sequence[str], values: Sequence[int], targets: Mapping[Path, Path], palette: bool
    ) -> None:
        if len(classes) > MOST_LABELS:
            raise UserError(f"label maps can hold {MOST_LABELS} classes, not {len(classes)}.")
        folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.targets = targets
        self.values = np.array(values, dtype=np.uint8)
        table = colour_table(classes)
        self.palette = table.tobytes() if palette else None
        with (folder / "classes.csv").open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["value", "name", "red", "green", "blue"])
            for value, name, colour in zip(values, classes, table[: len(classes)].tolist(), strict=True):
                rows.writerow([value, name, *colour])
        listing = folder / "classes.txt"
        listing.unlink(missing_ok=True)
        if list(values) == list(range(len(classes))):
            names = "".join(f"{name}\n" for name in classes)
            listing.write_text(names, encoding="utf-8", errors="surrogateescape")
        for target in targets.values():
            for frame in target.glob("[0-9]" * FRAME_DIGITS + ".png"):
                frame.unlink()

    def add(self, prediction: Segmentation, name: Name, moment: Moment | None) -> None:
        target = self.targets[Path(name.file_name)]
        file = target if moment is None else target / f"{moment.frame:0{FRAME_DIGITS}}.png"
        picture = PIL.Image.fromarray(self.values[prediction.labels.cpu().numpy()])
        if self.palette is not None:
            picture.putpalette(self.palette)
        encoded = io.BytesIO()  # so that the file is written at once
        picture.save(encoded, "PNG", compress_level=PNG_LEVEL)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded.getvalue())

    def drawn(self, image: Image, prediction: Segmentation, least_score: float) -> Image:
        return draw_labels(image, prediction.labels.cpu().numpy().astype(np.uint8), self.classes)

    def close(self) -> None:
        """Nothing is open."""


#: what networks predict that can be written
KINDS = (Detections, Classification, Segmentation)


def kind_of(network: Network) -> type:
    """What ``network`` predicts, as a blank picture tells: a head of one's own may be of no role.

    Raises:
        ValueError: nothing here writes it.
    """
    kind = type(network.predict(np.zeros((*network.preprocessing.size, 3), dtype=np.uint8)))
    if kind not in KINDS:
        known = ", ".join(kind.__name__ for kind in KINDS[:-1])
        raise UserError(
            f"litmobile predict can write {known} and {KINDS[-1].__name__}, but this network predicts {kind.__name__}."
        )
    return kind
