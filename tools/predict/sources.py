"""Finds images and videos, reads them in advance, and assigns paths to their results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from ...errors import ImageError, UserError
from ...tasks.data.files import format_unreadable_images, is_image_file, is_unreadable_image, iterate_files
from ...tasks.images import VIDEO_SUFFIXES, Image, check_regular_file, read_image

DEFAULT_FPS = 25.0  # of a video whose header has no frame rate

Item = TypeVar("Item")


class MediaSource(NamedTuple):
    """An image or video file.

    Attributes:
        path: of the file.
        name: the path relative to the folder that was searched, or the file name of a file that was named.
        size: (height, width) that the image must have; see :func:`read_image`.
    """

    path: Path
    name: str
    size: tuple[int, int] | None = None

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


class Timestamp(NamedTuple):
    """Position of a frame in its video: index from 0, time in seconds, and the video's frame rate."""

    frame: int
    seconds: float
    fps: float


class MediaFrame(NamedTuple):
    """An image ``[H, W, 3]`` uint8 RGB: a file of its own, or the frame of a video at ``timestamp``."""

    source: MediaSource
    image: Image
    timestamp: Timestamp | None = None


class UnreadableSource(NamedTuple):
    """A file that cannot be read, or not to its end, and a sentence with the reason."""

    source: MediaSource
    reason: str


class FoundSources(NamedTuple):
    """Images and videos, and one sentence for each folder with images of kinds that cannot be read."""

    sources: list[MediaSource]
    notes: list[str]


def find_sources(paths: Iterable[Path], leave_out: Path) -> FoundSources:
    """Finds images and videos, sorted within each folder, each file once.

    Args:
        paths: files with any suffix, and folders, which are searched recursively as for training.
        leave_out: a folder that is not searched, such as the folder of earlier results.

    Raises:
        UserError: a path does not exist, or a folder contains no images or videos.
    """
    sources: dict[Path, MediaSource] = {}
    notes: list[str] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist; pass an image, a video or a folder of them.")
        found = search_folder(path, leave_out) if path.is_dir() else FoundSources([MediaSource(path, path.name)], [])
        if not found.sources:
            raise UserError(found.notes[0] if found.notes else f"{path} contains no images or videos.")
        for source in found.sources:
            sources.setdefault(resolve_path(source.path), source)
        notes += found.notes
    return FoundSources(list(sources.values()), notes)


def search_folder(folder: Path, leave_out: Path) -> FoundSources:
    """Finds images and videos in ``folder`` and its subfolders, except in ``leave_out``."""
    excluded = resolve_path(leave_out)
    sources: list[MediaSource] = []
    unreadable: list[str] = []
    for name in sorted(iterate_files(folder), key=lambda name: name.split("/")):
        file, last = folder / name, name.rpartition("/")[2]
        if excluded in resolve_path(file).parents:
            continue
        if is_image_file(last) or is_video_file(last):
            sources.append(MediaSource(file, name))
        elif is_unreadable_image(last):
            unreadable.append(name)
    return FoundSources(sources, [format_unreadable_images(folder, unreadable)] if unreadable else [])


def resolve_path(path: Path) -> Path:
    """Follows all links in ``path``; :meth:`Path.resolve` raises an error for a link to itself."""
    return Path(os.path.realpath(path))


def is_video_file(name: str) -> bool:
    """Whether the file name has the suffix of a video and does not start with a dot."""
    return name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")


def count_frames(sources: Sequence[MediaSource]) -> int:
    """Counts the images, and the frames of videos according to their headers."""
    videos = (s.path for s in sources if s.is_video and s.path.is_file())
    frames = sum(max(0, read_frame_count(cv2.VideoCapture(str(path)))) for path in videos)
    return frames + sum(not s.is_video for s in sources)


def read_frame_count(video: cv2.VideoCapture) -> int:
    """Returns the number of frames in the header of ``video``: an estimate; zero or negative if unknown."""
    return int(video.get(cv2.CAP_PROP_FRAME_COUNT))


def read_frames(sources: Iterable[MediaSource]) -> Iterator[MediaFrame | UnreadableSource]:
    """Reads images and the frames of videos; a damaged file does not end the iteration."""
    for source in sources:
        try:
            if source.is_video:
                check_regular_file(source.path)  # OpenCV would wait for a FIFO
                yield from read_video(source)
            else:
                yield MediaFrame(source, read_image(source.path, source.size))
        except ImageError as error:
            yield UnreadableSource(source, str(error))


def read_video(source: MediaSource) -> Iterator[MediaFrame | UnreadableSource]:
    """Reads the frames of a video in the orientation that the camera recorded; the reason for damage is last."""
    video = cv2.VideoCapture(str(source.path))
    fps = video.get(cv2.CAP_PROP_FPS)
    fps = fps if 0 < fps < 1000 else DEFAULT_FPS
    number = 0
    while (read := video.read())[0]:
        seconds = round(video.get(cv2.CAP_PROP_POS_MSEC) / 1000, 6)
        image = np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), dtype=np.uint8)
        yield MediaFrame(source, image, Timestamp(number, seconds, fps))
        number += 1
    if not number:
        yield UnreadableSource(source, f"{source.path} cannot be read as a video.")
    elif number < 0.9 * read_frame_count(video):  # headers hold estimates
        yield UnreadableSource(source, f"{source.path} ends after {number} of {read_frame_count(video)} frames.")


def prefetch(items: Iterator[Item], number: int = 4) -> Generator[Item]:
    """Reads up to ``number`` of ``items`` in advance, in a background thread."""
    with ThreadPoolExecutor(1) as reader:
        waiting = deque(reader.submit(next, items, None) for _ in range(number))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(reader.submit(next, items, None))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)


def name_drawing(source: MediaSource) -> str:
    """Names the drawn image or video: JPEG, PNG and MP4 files keep their name, others get ".jpg" or ".mp4" added."""
    kept, added = ((".mp4",), ".mp4") if source.is_video else ((".jpg", ".jpeg", ".png"), ".jpg")
    return source.name if source.path.suffix.lower() in kept else source.name + added


def name_label_map(source: MediaSource) -> str:
    """Names the label map of an image as data sets name its mask, or the folder of a video's label maps."""
    return source.name if source.is_video else Path(source.name).with_suffix(".png").as_posix()


def assign_paths(
    sources: Sequence[MediaSource], folder: Path, name: Callable[[MediaSource], str], taken: Collection[Path] = ()
) -> dict[Path, Path]:
    """Maps the path of each source to a path in ``folder``.

    A number is added to a name that is ``taken``, that another source has, or that belongs to a source file or folder.
    """

    def key(path: Path) -> str:
        return str(resolve_path(path)).casefold()  # some file systems do not distinguish a.JPG from A.jpg

    wanted = [folder / name(source) for source in sources]
    files = [*taken, *(source.path for source in sources)]
    parents = {path.parent for path in (*wanted, *files)}
    folders = {folder for path in parents for folder in (path, *path.parents)}
    occupied = {key(path) for path in (*files, *folders)}
    assigned: dict[Path, Path] = {}
    for source, first in zip(sources, wanted, strict=True):
        path, number = first, 1
        while key(path) in occupied:
            number += 1
            path = first.with_stem(f"{first.stem}-{number}")
        occupied.add(key(path))
        assigned[source.path] = path
    return assigned
