"""What users get for an image: the prediction with its classes and its image, which it draws, saves and describes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import PIL.Image

from ...errors import UserError, check_range
from ..atomic import save_image, write_text
from ..images import Image
from ..images.inputs import InputImage
from .html import build_html

DEFAULT_MIN_SCORE = 0.3  # of what is drawn and named
MAX_NAMED = 5  # entries in a text
DRAWING_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class Entry(NamedTuple):
    """What a result says about one object or class: its name, and a figure as text, e.g. "0.93"."""

    name: str
    figure: str


class ImageResult(ABC):
    """The prediction for one image.

    Attributes:
        prediction: plain tensors, as the head returns them, in pixels of the image.
        classes: names of the network's classes.
        size: (height, width) of the image.
        min_score: lowest score of what is drawn and named, 0 … 1.
        takes_score: whether the score of :meth:`Predictor.predict` applies.
    """

    takes_score: ClassVar[bool] = True
    prediction: Any

    def __init__(
        self,
        prediction: Any,
        classes: Sequence[str],
        source: InputImage,
        size: tuple[int, int],
        score: float | None = None,
    ) -> None:
        self.prediction = prediction
        self.classes = tuple(classes)
        self.size = size
        self.min_score = DEFAULT_MIN_SCORE if score is None else score
        self._source = source

    @property
    def path(self) -> Path | None:
        """The file; None for an image in memory."""
        return self._source.path

    @property
    def image(self) -> Image:
        """The image ``[h, w, 3]`` uint8 RGB, read again from its file, or from the object that was passed.

        Raises:
            ImageError: the file no longer exists.
        """
        return self._source.read()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def entries(self) -> list[Entry]:
        """Returns what :func:`repr` and the table in a notebook list, the most important first."""

    @abstractmethod
    def draw(self, score: float | None = None, is_frame: bool = False) -> Image:
        """Draws the prediction on the image, as an array ``[H, W, 3]`` uint8 RGB.

        Args:
            score: lowest score of what is drawn, 0 … 1. Default: that of the prediction, or 0.3.
            is_frame: whether this is a frame of a video, all of whose frames get drawings of one size.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""

    @abstractmethod
    def to_supervision(self) -> Any:
        """Returns the result for the package ``supervision``.

        Raises:
            UserError: the package is not installed.
        """

    @abstractmethod
    def headline(self) -> str:
        """Returns what the result counts, e.g. "2 objects"."""

    def plot(self, score: float | None = None) -> PIL.Image.Image:
        """Draws the prediction on the image.

        Small images are enlarged, and a legend can be added, so that labels can be read.

        Args:
            score: lowest score of what is drawn, 0 … 1. Default: that of the prediction, or 0.3.
        """
        return PIL.Image.fromarray(self.draw(score))

    def save(self, path: str | Path, score: float | None = None) -> Path:
        """Writes the drawing of :meth:`plot` to an image file, or :meth:`to_dict` to a ``.json`` file.

        Args:
            path: the file; its folder is created.
            score: lowest score of what is drawn.

        Returns:
            The file.

        Raises:
            UserError: the suffix is of another kind, or the file cannot be written.
        """
        target = Path(path).expanduser()
        if target.suffix.lower() not in (*DRAWING_SUFFIXES, ".json"):
            raise UserError(f"{target} must end in .jpg, .png or .json to say how the result is saved.")
        try:
            if target.suffix.lower() == ".json":
                write_text(target, json.dumps(self.to_dict(), indent=1) + "\n")
            else:
                save_image(self.draw(score), target)
        except OSError as error:
            raise UserError(f"{target} cannot be written: {error.strerror or error}.") from error
        return target

    def resolve_score(self, score: float | None) -> float:
        """Returns ``score``, or that of the prediction.

        Raises:
            UserError: it is not in 0 … 1.
        """
        if score is None:
            return self.min_score
        check_range("score", score, ge=0, le=1)
        return score

    def describe_source(self) -> dict[str, Any]:
        """Returns path, height and width as plain values."""
        height, width = self.size
        return {"path": None if self.path is None else str(self.path), "height": height, "width": width}

    def __repr__(self) -> str:
        entries = self.entries()
        words = [" ".join(filter(None, entry)) for entry in entries[:MAX_NAMED]]
        more = [f"{len(entries) - MAX_NAMED} more"] if len(entries) > MAX_NAMED else []
        named = ", ".join(words + more)
        height, width = self.size
        where = f"an image of {width}×{height} pixels" if self.path is None else self.path.name
        return f"{self.headline()} in {where}" + (f": {named}" if named else "")

    def _repr_html_(self) -> str:
        """Shows the drawing, unless the image can no longer be read, and a table in a notebook."""
        try:
            drawing = self.draw()
        except UserError:
            drawing = None
        return build_html(repr(self), drawing, self.entries())
