"""Drawn pictures and videos as files."""

from __future__ import annotations

from pathlib import Path

import cv2

from ...tasks.drawing import save_picture
from ...tasks.images import Image
from .sources import Moment


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
