"""`litmobile predict`: applies a run's network to images and videos, draws the predictions and writes them to files."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from ...errors import UserError
from ...tasks.network import Network, load
from ...tasks.segmentation.inference import Inference
from .media_writer import MediaWriter
from .results import DEFAULT_MIN_SCORE, INFERENCE_FLAGS, PredictionJob, ResultWriter, check_flags, find_writer
from .sources import (
    MediaSource,
    UnreadableSource,
    assign_paths,
    count_frames,
    find_sources,
    name_drawing,
    prefetch,
    read_frames,
)


def predict(
    run: Path,
    paths: Sequence[Path],
    out: Path | None,
    min_score: float | None,
    annotations: Path | None,
    label_ids: str | None,
    inference: Inference | None,
    draw: bool,
    device: str,
) -> None:
    """Carries out ``litmobile predict``.

    Args:
        run: a run's folder or a checkpoint file.
        paths: images, videos and folders of them.
        out: folder for the results. Default: ``run/predictions``.
        min_score: see :class:`.results.PredictionJob`. Default: 0.3.
        annotations: see there; for detectors only.
        label_ids: see there; for segmentation networks only.
        inference: windows, scales and flips, for segmentation networks only; None shows the network whole images.
        draw: whether to write drawn images and videos.
        device: device of the network, e.g. "cuda".

    Raises:
        UserError: the options contradict each other, the network or the files, or no file can be read.
    """
    if min_score is not None and not 0 <= min_score <= 1:
        raise UserError(f"--score must be between 0 and 1, not {min_score}.")
    network = move_network(load(run), device)
    writer_class = find_writer(network)
    flags = {"--score": min_score, "--annotations": annotations, "--label-ids": label_ids, INFERENCE_FLAGS: inference}
    check_flags([flag for flag, value in flags.items() if value is not None], writer_class, run)
    folder = choose_result_folder(run, out, paths)
    sources = find_sources(paths, leave_out=folder)
    drawn_paths = assign_paths(sources, folder, name_drawing) if draw else {}
    min_score = DEFAULT_MIN_SCORE if min_score is None else min_score
    job = PredictionJob(network.classes, folder, sources, drawn_paths.values(), min_score, annotations, label_ids)
    predict_sources(network, writer_class(job), inference, drawn_paths)


def predict_sources(
    network: Network, writer: ResultWriter, inference: Inference | None, drawn_paths: Mapping[Path, Path]
) -> None:
    """Predicts on all sources of ``writer``, draws those that have a path for it, and prints a summary.

    Raises:
        UserError: no source can be read.
    """
    counts: Counter[MediaSource] = Counter()  # predicted images and frames
    skipped: list[Path] = []
    with contextlib.ExitStack() as stack:
        stack.callback(print_summary, writer.job.folder, counts, skipped)
        media_writer = stack.enter_context(contextlib.closing(MediaWriter()))
        frames = stack.enter_context(contextlib.closing(prefetch(read_frames(writer.sources))))
        number = count_frames(writer.sources)
        for frame in stack.enter_context(tqdm(frames, total=number, unit=" images", dynamic_ncols=True)):
            path = frame.source.path
            if isinstance(frame, UnreadableSource):
                tqdm.write(frame.reason, file=sys.stderr)
                skipped.append(path)
                continue
            prediction = network.predict(frame.image, inference)
            if not counts:
                stack.enter_context(writer)  # creates the files; there are none if nothing can be read
            writer.write(prediction, frame)
            if path in drawn_paths:
                media_writer.write(writer.draw(frame.image, prediction), drawn_paths[path], frame.timestamp)
            counts[frame.source] += 1
    if not counts:
        raise UserError(f"None of the {len(skipped)} files could be read.")


def move_network(network: Network, device: str) -> Network:
    """Moves ``network`` to ``device``.

    Raises:
        UserError: this machine has no such device.
    """
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's errors for an unknown name and for an absent device
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"--device {device} cannot be used here: {reason}.") from error


def choose_result_folder(run: Path, out: Path | None, paths: Sequence[Path]) -> Path:
    """Returns the folder for the results.

    Raises:
        UserError: it is needed and not given, is a file, or is one of the input ``paths``.
    """
    if out is None and not run.is_dir():
        raise UserError(f"--out must name a folder for the results, because {run} is a file.")
    folder = run / "predictions" if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, but the results need a folder.")
    if any(path.is_dir() and path.resolve() == folder.resolve() for path in paths):
        raise UserError(f"--out {folder} contains the images to predict on; pass another folder.")
    return folder


def print_summary(folder: Path, counts: Counter[MediaSource], skipped: Sequence[Path]) -> None:
    """Prints how many images and frames were predicted and which files were skipped, unless nothing was predicted."""
    if not counts:
        return
    frames = [count for source, count in counts.items() if source.is_video]
    images = len(counts) - len(frames)
    done = [format_count(images, "image")] if images else []
    if frames:
        done.append(f"{format_count(sum(frames), 'frame')} of {format_count(len(frames), 'video')}")
    print(f"Predicted {' and '.join(done)}. The results are in {folder}.")
    if skipped:
        names = ", ".join(map(str, skipped))
        print(f"Not read, or not to the end: {format_count(len(skipped), 'file')} ({names}).")


def format_count(number: int, noun: str) -> str:
    """Formats a number with its noun in the singular or plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
