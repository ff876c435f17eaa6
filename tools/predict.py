"""`litmobile predict`: a run's network on pictures and videos, leaving drawn pictures and a file of what was found."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import cv2
import torch
from tqdm import tqdm

from ..heads.predictions import Detections, Prediction
from ..tasks.detection.annotations import read_json
from ..tasks.detection.coco import column, records
from ..tasks.detection.pictures import draw_detections
from ..tasks.drawing import save_picture
from ..tasks.images import Image
from ..tasks.network import Network, load
from . import sources
from .sources import Moment, Shot, Source, Unreadable


class Name(NamedTuple):
    """What a picture is called in a file of results."""

    image_id: int
    file_name: str


def predict(
    run: Path,
    paths: Sequence[Path],
    out: Path | None,
    least_score: float,
    annotations: Path | None,
    draw: bool,
    device: str,
) -> None:
    """Carries out ``litmobile predict``.

    Args:
        run: a run's folder or a checkpoint file.
        paths: pictures, videos and folders of them.
        out: folder for the results; None takes ``run/predictions``.
        least_score: what is drawn has at least this score; the file of results holds everything.
        annotations: a COCO file whose ids are taken, and whose sizes say whether a picture is to be turned, as in
            training; None counts pictures and classes from 1 and turns pictures as the camera noted.
        draw: whether to write pictures and videos.
        device: where the network runs.

    Raises:
        ValueError: what was asked for contradicts itself or the files, or none of them can be read.
        FileNotFoundError: there is no such run.
    """
    if not 0 <= least_score <= 1:
        raise ValueError(f"--score must be between 0 and 1, not {least_score}.")
    network = placed(load(run), device)
    folder = result_folder(run, out)
    found = sources.find(paths, leave_out=folder)
    names, category_ids = {}, list(range(1, len(network.classes) + 1))
    if annotations is not None:
        content = read_json(annotations)
        found, names = match_images(found, content, annotations)
        category_ids = match_classes(network.classes, content, annotations)
    targets = sources.targets(found, folder) if draw else {}
    counted = itertools.count(1)
    tally = Tally(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(tally.tell)
        drawings = stack.enter_context(contextlib.closing(Drawings()))
        results = None
        shots = stack.enter_context(contextlib.closing(sources.ahead(sources.read(found))))
        for shot in stack.enter_context(tqdm(shots, total=sources.count(found), unit=" images", dynamic_ncols=True)):
            if isinstance(shot, Unreadable):
                tally.skip(shot)
                continue
            prediction: Any = network.predict(shot.image)  # its kind decides who writes it
            if results is None:
                results = stack.enter_context(kind_of(prediction)(folder, network.classes, category_ids))
            path = shot.source.path
            name = names.get(path) or Name(next(counted), path.as_posix())
            results.add(prediction, name, shot.moment)
            if draw:
                drawings.write(results.drawn(shot.image, prediction, least_score), targets[path], shot.moment)
            tally.add(shot)
    if results is None:
        raise ValueError(f"None of the {len(found)} files could be read.")


def placed(network: Network, device: str) -> Network:
    """Moves ``network`` to ``device``.

    Raises:
        ValueError: there is no such device here.
    """
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # of a name that means nothing, of a device that is not there
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"--device {device} cannot be used here: {reason}.") from error


def result_folder(run: Path, out: Path | None) -> Path:
    """Where the results go."""
    if out is None and not run.is_dir():
        raise ValueError(f"--out has to name a folder for the results, because {run} is a file.")
    folder = run / "predictions" if out is None else out
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, where a folder for the results is needed.")
    return folder


def match_images(found: Sequence[Source], content: dict[str, Any], file: Path) -> tuple[list[Source], dict[Path, Name]]:
    """Finds every source among the images of a COCO ``file``: the longest end of its path that is a file name there.

    Returns:
        The sources with the sizes that the file says, and names by path.

    Raises:
        ValueError: a source is none of the images, or two sources are the same.
    """
    images = records(content, "images", file)
    ids = column(images, "id", file, "images").tolist()
    by_name = {str(row.get("file_name")): (image_id, row) for image_id, row in zip(ids, images, strict=True)}
    sized: list[Source] = []
    owners: dict[Name, Path] = {}
    for source in found:
        parts = source.path.absolute().parts
        end = next((end for k in range(len(parts)) if (end := "/".join(parts[k:])) in by_name), None)
        if end is None:
            raise ValueError(f"{source.path} is none of the images of {file}.")
        image_id, row = by_name[end]
        name = Name(image_id, end)
        if name in owners:
            raise ValueError(f"{owners[name]} and {source.path} are both the image {end} of {file}.")
        owners[name] = source.path
        height, width = row.get("height"), row.get("width")
        known = isinstance(height, int) and isinstance(width, int)
        sized.append(source._replace(size=(height, width) if known else None))
    return sized, {path: name for name, path in owners.items()}


def match_classes(classes: Sequence[str], content: dict[str, Any], file: Path) -> list[int]:
    """The ids that ``classes`` have in a COCO ``file``.

    Raises:
        ValueError: the file lacks one of them.
    """
    categories = records(content, "categories", file)
    ids = column(categories, "id", file, "categories").tolist()
    by_name = {str(row.get("name", row["id"])): key for row, key in zip(categories, ids, strict=True)}
    lost = next((name for name in classes if name not in by_name), None)
    if lost is not None:
        raise ValueError(f"{file} has no category {lost!r}, which the network predicts.")
    return [by_name[name] for name in classes]


class DetectionResults:
    """Detections in COCO's result format, ``predictions.json``, written as they come.

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

    def add(self, found: Detections, name: Name, moment: Moment | None) -> None:
        """Writes one picture's detections, ``bbox`` as x, y, width, height in its pixels."""
        where = name._asdict() | ({} if moment is None else {"frame": moment.frame, "timestamp": moment.seconds})
        boxes = torch.cat((found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]), dim=1)
        rows = [
            json.dumps(where | {"category_id": self.category_ids[label], "bbox": box, "score": score})
            for box, score, label in zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        ]
        if rows:
            self._file.write(self._before + ",\n".join(rows))  # at once: an interruption leaves no half row
            self._before = ",\n"

    def drawn(self, image: Image, found: Detections, least_score: float) -> Image:
        """The picture ``[H, W, 3]`` with boxes, classes and scores."""
        return draw_detections(image, found, self.classes, least_score)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the file, after an interruption as well."""
        self._file.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._file.close()


#: what writes and draws each kind of prediction
RESULTS = {Detections: DetectionResults}


def kind_of(prediction: Prediction) -> type[DetectionResults]:
    """What writes and draws predictions such as this one."""
    kind = type(prediction)
    if kind not in RESULTS:
        known = ", ".join(kind.__name__ for kind in RESULTS)
        raise ValueError(f"litmobile predict can write {known}, but this network predicts {kind.__name__}.")
    return RESULTS[kind]


class Drawings:
    """Writes drawn pictures, and drawn frames as videos, of which one at a time is open."""

    def __init__(self) -> None:
        self._target: Path | None = None
        self._film: cv2.VideoWriter | None = None

    def write(self, image: Image, target: Path, moment: Moment | None) -> None:
        """Writes ``image`` ``[H, W, 3]`` as the picture ``target``, or as the next frame of the video ``target``.

        Raises:
            OSError: the file cannot be written.
        """
        if moment is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            save_picture(image, target)
            return
        if target != self._target:
            self._open(target, (image.shape[1], image.shape[0]), moment.rate)
        assert self._film is not None
        self._film.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def _open(self, target: Path, size: tuple[int, int], rate: float) -> None:
        self.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        # of MP4's codecs, the one that every build of OpenCV can write
        self._film = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        self._target = target
        if not self._film.isOpened():
            raise OSError(f"{target} cannot be written as a video of {size[0]}×{size[1]} pixels.")

    def close(self) -> None:
        """Ends the video that is open, without which it could not be played."""
        if self._film is not None:
            self._film.release()


class Tally:
    """Counts what is done and remembers what had to be skipped.

    Args:
        folder: where the results are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = 0
        self.frames = 0
        self.videos: set[Path] = set()
        self.skipped: list[Path] = []

    def add(self, shot: Shot) -> None:
        """Counts ``shot`` as done."""
        if shot.moment is None:
            self.pictures += 1
        else:
            self.frames += 1
            self.videos.add(shot.source.path)

    def skip(self, file: Unreadable) -> None:
        """Says on stderr what is wrong with a file."""
        tqdm.write(file.reason, file=sys.stderr)
        self.skipped.append(file.source.path)

    def tell(self) -> None:
        """Prints the summary, if anything was done."""
        done = [plural(self.pictures, "picture")] if self.pictures else []
        if self.videos:
            done.append(f"{plural(self.frames, 'frame')} of {plural(len(self.videos), 'video')}")
        if done:
            print(f"Predicted {' and '.join(done)}. The results are in {self.folder}.")
            if self.skipped:
                names = ", ".join(map(str, self.skipped))
                print(f"Skipped for damage, wholly or from there on: {plural(len(self.skipped), 'file')} ({names}).")


def plural(number: int, what: str) -> str:
    """The number with its noun."""
    return f"{number} {what}{'' if number == 1 else 's'}"
