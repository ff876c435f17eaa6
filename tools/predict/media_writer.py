"""Writes drawn images, and drawn video frames as videos."""

from __future__ import annotations

from pathlib import Path

import cv2

from ...tasks.atomic import save_image
from ...tasks.images import Image
from .sources import Timestamp


class MediaWriter:
    """Writes image files, and one video at a time."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._video: cv2.VideoWriter | None = None

    def write(self, image: Image, path: Path, timestamp: Timestamp | None) -> None:
        """Writes ``image`` ``[H, W, 3]`` to ``path``: as an image file, or as the next frame of a video.

        Raises:
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if timestamp is None:
            save_image(image, path)
            return
        height, width = image.shape[:2]
        if path != self._path:
            self.close()
            # the only codec for MP4 that every build of OpenCV can write
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._path, self._video = path, cv2.VideoWriter(str(path), codec, timestamp.fps, (width, height))
        if self._video is None or not self._video.isOpened():
            raise OSError(f"{path} cannot be written as a video of {width}×{height} pixels.")
        self._video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Completes the open video, which could not be played otherwise."""
        if self._video is not None:
            self._video.release()
