"""`litmobile predict`: applies a run's network to images and videos, draws the predictions and writes them to files."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from ...errors import UserError, format_count
from ...tasks.network import Predictor, load
from ...tasks.segmentation.inference import Inference
from ..engines.choice import is_exported
from ..engines.network import load_exported
from ..loading import move_network
from .media_writer import MediaWriter
from .options import PredictOptions
from .results import PredictionJob, ResultWriter, check_flags, find_writer
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


def predict(paths: Sequence[Path], options: PredictOptions) -> None:
    """Predicts on ``paths``: images, videos and folders of them.

    Raises:
        UserError: the options contradict each other, the network or the files, or no file can be read.
    """
    if not paths:
        raise UserError("litmobile predict needs images, videos or folders of them.")
    if options.score is not None and not 0 <= options.score <= 1:
        raise UserError(f"--score must be between 0 and 1, not {options.score}.")
    inference = Inference(**options.inference()) if options.inference() else None
    network = load_predictor(options)
    writer_class = find_writer(network)
    check_flags(options, writer_class)
    folder = choose_result_folder(options.source, options.out, paths)
    sources, notes = find_sources(paths, leave_out=folder)
    for note in notes:
        print(note, file=sys.stderr)
    drawn_paths = assign_paths(sources, folder, name_drawing) if options.draw else {}
    job = PredictionJob(network.classes, folder, options, sources, drawn_paths.values())
    predict_sources(network, writer_class(job), inference, drawn_paths)


def predict_sources(
    network: Predictor, writer: ResultWriter, inference: Inference | None, drawn_paths: Mapping[Path, Path]
) -> None:
    """Predicts on all sources of ``writer``, draws those in ``drawn_paths``, and prints a summary.

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
            result = network.predict(frame.image, inference)
            if not counts:
                stack.enter_context(writer)  # creates the files, so none exist if nothing can be read
            writer.write(result, frame)
            if path in drawn_paths:
                media_writer.write(writer.draw(frame, result), drawn_paths[path], frame.timestamp)
            counts[frame.source] += 1
    if not counts:
        raise UserError(f"None of the {len(skipped)} files could be read.")


def load_predictor(options: PredictOptions) -> Predictor:
    """Loads the network of the run, or the exported file.

    Raises:
        UserError: it cannot be loaded, or not onto the device.
    """
    if options.model is None:
        if options.engine is not None:
            raise UserError(f"--engine={options.engine} is for --model FILE; runs are always run by PyTorch.")
        if is_exported(options.source):
            raise UserError(f"{options.source} is an exported file; pass it as --model.")
        return move_network(load(options.source), options.device, "--device ")
    if options.device not in ("auto", "cpu"):
        raise UserError(f"--device={options.device} is for --run; exported files run on the CPU.")
    return load_exported(options.source, options.engine)


def choose_result_folder(run: Path, out: Path | None, paths: Sequence[Path]) -> Path:
    """Returns the folder for the results.

    Raises:
        UserError: the folder is required but not given, is a file, or is one of the input ``paths``.
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
    """Prints the numbers of predicted images and frames and the skipped files, unless nothing was predicted."""
    if not counts:
        return
    frames = [count for source, count in counts.items() if source.is_video]
    images = len(counts) - len(frames)
    done = [format_count(images, "images")] if images else []
    if frames:
        done.append(f"{format_count(sum(frames), 'frames')} of {format_count(len(frames), 'videos')}")
    print(f"Predicted {' and '.join(done)}. The results are in {folder}.")
    if skipped:
        names = ", ".join(map(str, skipped))
        print(f"Could not be read completely: {format_count(len(skipped), 'files')} ({names}).")
