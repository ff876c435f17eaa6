"""`litmobile predict`: a run's network on pictures and videos, leaving drawn pictures and files of what was found."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...errors import UserError
from ...heads.predictions import Classification, Detections, Segmentation
from ...tasks.detection.coco import column, records
from ...tasks.detection.split import read_json
from ...tasks.network import Network, load
from ...tasks.segmentation.cityscapes import LABEL_IDS
from ...tasks.segmentation.inference import Inference
from . import sources
from .drawings import Drawings
from .results import ClassificationResults, DetectionResults, Name, Results, SegmentationResults, kind_of
from .sources import Source, Unreadable, VideoFrame

LEAST_SCORE = 0.3  # of what is drawn


def predict(
    run: Path,
    paths: Sequence[Path],
    out: Path | None,
    least_score: float | None,
    annotations: Path | None,
    label_ids: str | None,
    inference: Inference | None,
    draw: bool,
    device: str,
) -> None:
    """Carries out ``litmobile predict``.

    Args:
        run: a run's folder or a checkpoint file.
        paths: pictures, videos and folders of them.
        out: folder for the results; None takes ``run/predictions``.
        least_score: boxes and names of classes that are drawn have at least this score, 0.3 where it is None; the
            file of results holds everything.
        annotations: for detections, a COCO file whose ids are taken, and whose sizes say whether a picture is to be
            turned, as in training; None counts pictures and classes from 1 and turns pictures as the camera noted.
        label_ids: for label maps, whose numbers they hold: "cityscapes" for its label ids by class name, without a
            palette, as its benchmark server takes them; None counts classes from 0.
        inference: for label maps, how scores are computed: windows, scales, mirror images; None shows the network all
            of a picture once.
        draw: whether to write pictures and videos.
        device: where the network runs.

    Raises:
        ValueError: what was asked for contradicts itself or the files, or none of them can be read.
        FileNotFoundError: there is no such run.
    """
    if least_score is not None and not 0 <= least_score <= 1:
        raise UserError(f"--score must be between 0 and 1, not {least_score}.")
    network = placed(load(run), device)
    kind = kind_of(network)
    if annotations is not None and kind is not Detections:
        raise UserError(f"--annotations names detections by the ids of a COCO file, and {run} predicts none.")
    if label_ids is not None and kind is not Segmentation:
        raise UserError(f"--label-ids is for label maps, and {run} predicts none.")
    if inference is not None and kind is not Segmentation:
        raise UserError(f"--window, --scales and --flip are for label maps, and {run} predicts none.")
    if least_score is not None and kind is Segmentation:
        raise UserError(f"--score is for boxes and names of classes, and {run} predicts label maps.")
    values = label_values(network.classes, label_ids, run)
    folder = result_folder(run, out)
    if any(path.is_dir() and path.resolve() == folder.resolve() for path in paths):
        raise UserError(f"--out {folder} holds the pictures, among which drawings do not belong: name another.")
    found = sources.find(paths, leave_out=folder)
    names, category_ids = {}, list(range(1, len(network.classes) + 1))
    if annotations is not None:
        content = read_json(annotations)
        found, names = match_images(found, content, annotations)
        category_ids = match_classes(network.classes, content, annotations)
    targets = sources.targets(found, folder) if draw else {}
    maps = sources.map_targets(found, folder / "labels", targets.values()) if kind is Segmentation else {}

    def opened() -> Results:
        if kind is Segmentation:
            return SegmentationResults(folder, network.classes, values, maps, palette=label_ids is None)
        if kind is Classification:
            return ClassificationResults(folder, network.classes)
        return DetectionResults(folder, network.classes, category_ids)

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
            prediction = network.predict(shot.image, inference)
            if results is None:
                results = stack.enter_context(opened())
            path = shot.source.path
            name = names.get(path) or Name(next(counted), path.as_posix())
            results.add(prediction, name, shot.moment)
            if draw:
                drawing = results.drawn(shot.image, prediction, LEAST_SCORE if least_score is None else least_score)
                drawings.write(drawing, targets[path], shot.moment)
            tally.add(shot)
    if results is None:
        raise UserError(f"None of the {len(found)} files could be read.")


def placed(network: Network, device: str) -> Network:
    """Moves ``network`` to ``device``.

    Raises:
        ValueError: there is no such device here.
    """
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # of a name that means nothing, of a device that is not there
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"--device {device} cannot be used here: {reason}.") from error


def result_folder(run: Path, out: Path | None) -> Path:
    """Where the results go."""
    if out is None and not run.is_dir():
        raise UserError(f"--out has to name a folder for the results, because {run} is a file.")
    folder = run / "predictions" if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, where a folder for the results is needed.")
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
            raise UserError(f"{source.path} is none of the images of {file}.")
        image_id, row = by_name[end]
        name = Name(image_id, end)
        if name in owners:
            raise UserError(f"{owners[name]} and {source.path} are both the image {end} of {file}.")
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
        raise UserError(f"{file} has no category {lost!r}, which the network predicts.")
    return [by_name[name] for name in classes]


def label_values(classes: Sequence[str], label_ids: str | None, run: Path) -> list[int]:
    """What label maps hold for ``classes``.

    Raises:
        ValueError: the classes are not those that ``label_ids`` numbers.
    """
    if label_ids is None:
        return list(range(len(classes)))
    unknown = [name for name in classes if name not in LABEL_IDS]
    lacking = [name for name in LABEL_IDS if name not in classes]
    if unknown or lacking:
        wrong = f"has {unknown[0]!r}" if unknown else f"lacks {lacking[0]!r}"
        raise UserError(f"--label-ids {label_ids} needs a network of its {len(LABEL_IDS)} classes, but {run} {wrong}.")
    return [LABEL_IDS[name] for name in classes]


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

    def add(self, shot: VideoFrame) -> None:
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
