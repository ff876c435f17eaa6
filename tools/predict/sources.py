"""Pictures and videos as a user names them: found in folders, read ahead of their use, damaged ones with the reason."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from ...errors import ImageError, UserError
from ...tasks.images import SUFFIXES, Image, read_image

VIDEOS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv")
USUAL_RATE = 25.0  # frames a second of a video that does not tell

Item = TypeVar("Item")


class Source(NamedTuple):
    """A file to read.

    Attributes:
        path: of the picture or video.
        name: the same from the folder on that it was found in.
        size: (height, width) that a picture has to be read with; see :func:`read_image`.
    """

    path: Path
    name: str
    size: tuple[int, int] | None = None

    @property
    def is_video(self) -> bool:
        """Whether it is read frame by frame."""
        return self.path.suffix.lower() in VIDEOS


class Moment(NamedTuple):
    """Where a frame stands in its video: its number from 0, its time in seconds, and the video's frames a second."""

    frame: int
    seconds: float
    rate: float


class VideoFrame(NamedTuple):
    """A picture, or a frame of a video with its ``moment``: ``image`` ``[H, W, 3]`` uint8 RGB."""

    source: Source
    image: Image
    moment: Moment | None = None


class Unreadable(NamedTuple):
    """A file that was given up, and the sentence why."""

    source: Source
    reason: str


def find(paths: Iterable[Path], leave_out: Path) -> list[Source]:
    """Pictures and videos among ``paths`` and in the folders among them, sorted within each folder, every file once.

    Args:
        paths: files, taken whatever their name, and folders, searched with all folders in them.
        leave_out: a folder that is not searched when it lies in one of ``paths``: earlier results are no pictures to
            predict on.

    Raises:
        ValueError: one of ``paths`` does not exist, or is a folder without pictures and videos.
    """
    sources: dict[Path, Source] = {}
    for path in paths:
        if path.is_dir():
            inside = leave_out.resolve()
            found = [
                Source(file, file.relative_to(path).as_posix())
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in (*SUFFIXES, *VIDEOS)
                and inside not in file.resolve().parents
                and not file.is_dir()
            ]
            if not found:
                raise UserError(f"{path} holds no pictures and no videos.")
        elif path.exists():
            found = [Source(path, path.name)]
        else:
            raise UserError(f"There is no file or folder {path}.")
        for source in found:
            sources.setdefault(source.path.resolve(), source)
    return list(sources.values())


def count(sources: Iterable[Source]) -> int:
    """How many pictures and frames there will be, as far as the videos tell."""
    return sum(max(0, frames_told(cv2.VideoCapture(str(s.path)))) if s.is_video else 1 for s in sources)


def frames_told(video: cv2.VideoCapture) -> int:
    """Frames of ``video`` by its header, which may be an estimate; not positive where it does not tell."""
    return int(video.get(cv2.CAP_PROP_FRAME_COUNT))


def read(sources: Iterable[Source]) -> Iterator[VideoFrame | Unreadable]:
    """Reads pictures whole and videos frame by frame; nothing that is wrong with a file stops it."""
    for source in sources:
        if source.is_video:
            yield from read_video(source)
            continue
        try:
            yield VideoFrame(source, read_image(source.path, source.size))
        except ImageError as error:
            yield Unreadable(source, str(error))


def read_video(source: Source) -> Iterator[VideoFrame | Unreadable]:
    """The frames of a video, turned as its camera noted; what is wrong with it comes last."""
    video = cv2.VideoCapture(str(source.path))
    rate = video.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate < 1000 else USUAL_RATE
    number = 0
    while (read := video.read())[0]:
        seconds = round(video.get(cv2.CAP_PROP_POS_MSEC) / 1000, 6)
        image = np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), dtype=np.uint8)
        yield VideoFrame(source, image, Moment(number, seconds, rate))
        number += 1
    if not number:
        yield Unreadable(source, f"{source.path} cannot be read as a video.")
    elif number < 0.9 * frames_told(video):  # headers estimate
        yield Unreadable(source, f"{source.path} breaks off after {number} of {frames_told(video)} frames.")


def ahead(items: Iterator[Item], most: int = 4) -> Generator[Item]:
    """Takes from ``items`` in a background thread, so that ``most`` of them are ready when they are asked for."""
    with ThreadPoolExecutor(1) as reader:
        waiting = deque(reader.submit(next, items, None) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(reader.submit(next, items, None))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)


def targets(sources: Sequence[Source], folder: Path) -> dict[Path, Path]:
    """For every source a file in ``folder`` of its own to draw into: by its name, numbered where that is taken.

    JPEG and PNG pictures stay what they are, others become JPEG; videos become MP4. No source is ever written to.
    """

    def name(source: Source) -> str:
        kept, other = ((".mp4",), ".mp4") if source.is_video else ((".jpg", ".jpeg", ".png"), ".jpg")
        return source.name if source.path.suffix.lower() in kept else source.name + other

    return apart(sources, [folder / name(source) for source in sources], ())


def map_targets(sources: Sequence[Source], folder: Path, drawings: Collection[Path]) -> dict[Path, Path]:
    """For every source a place in ``folder`` of its own for label maps: by its name, numbered where that is taken.

    Pictures have a PNG file, videos a folder for those of their frames; none of them is one of ``drawings``.
    """

    def name(source: Source) -> str:
        # as data sets pair masks with images, by the name but for the kind of file
        return source.name if source.is_video else Path(source.name).with_suffix(".png").as_posix()

    return apart(sources, [folder / name(source) for source in sources], drawings)


def apart(sources: Sequence[Source], wanted: Sequence[Path], taken: Collection[Path]) -> dict[Path, Path]:
    """For every source the place that is wanted for it, numbered where it is ``taken``, a source's or a folder's."""

    def key(path: Path) -> str:
        return str(path.resolve()).casefold()  # some file systems do not tell a.JPG from A.jpg

    files = [*taken, *(source.path for source in sources)]
    direct = {path.parent for path in (*wanted, *files)}
    folders = {folder for path in direct for folder in (path, *path.parents)}
    occupied = {key(path) for path in (*files, *folders)}
    chosen: dict[Path, Path] = {}
    for source, target in zip(sources, wanted, strict=True):
        first, number = target, 1
        while key(target) in occupied:
            number += 1
            target = first.with_stem(f"{first.stem}-{number}")
        occupied.add(key(target))
        chosen[source.path] = target
    return chosen
