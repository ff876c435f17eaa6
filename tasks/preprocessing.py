"""From an image to the network's input: one object for training, validation, prediction and export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..backbones.published import Normalisation
from ..heads.predictions import Frame
from .images import Image, resized


@dataclass(frozen=True)
class Preprocessing:
    """How images are laid into the network's input and normalised.

    Attributes:
        size: (height, width) of the input in pixels.
        fit: "stretch" fills the input and lets the aspect ratio go, as SSDLite is trained; "pad" keeps it and fills
            what is left at the right and bottom with the mean colour; "crop" keeps it, too, and lets go what is beyond
            the middle, as classifiers are evaluated.
        crop_share: with "crop", the input's share of what the shorter side is resized to: 224 of 256 pixels.
        mean: of the channels, in 0 … 1. Weights are bound to the mean and std that they were trained with.
        std: of the channels, in 0 … 1.
    """

    size: tuple[int, int] = (320, 320)
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    crop_share: float = 0.875

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 32:
            raise ValueError(f"preprocessing.size must be (height, width) of at least 32 pixels each, not {self.size}.")
        if self.fit not in ("stretch", "pad", "crop"):
            raise ValueError(f"preprocessing.fit must be stretch, pad or crop, not {self.fit!r}.")
        if not 0 < self.crop_share <= 1:
            raise ValueError(f"preprocessing.crop_share must be in 0 … 1, 0 not included, not {self.crop_share}.")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"preprocessing needs three means and three positive stds, not {self.mean} and {self.std}."
            )

    @property
    def normalisation(self) -> Normalisation:
        """Mean and std together."""
        return Normalisation(self.mean, self.std)

    def check_uncut(self, user: str) -> None:
        """Raises ValueError where images are cut at their borders, which ``user`` needs."""
        if self.fit == "crop":
            raise ValueError(
                f"preprocessing.fit is crop, which cuts off image borders that {user} needs: give stretch or pad."
            )

    def frame(self, height: int, width: int) -> Frame:
        """Where an image of ``height``×``width`` pixels lies in the input."""
        rows, columns = self.size
        if self.fit == "stretch":
            return Frame(height, width, 0, 0, rows, columns)
        if self.fit == "pad":
            scale = min(rows / height, columns / width)
            return Frame(height, width, 0, 0, max(1, round(height * scale)), max(1, round(width * scale)))
        scale = max(rows / height, columns / width) / self.crop_share
        high, wide = max(rows, round(height * scale)), max(columns, round(width * scale))
        return Frame(height, width, -round((high - rows) / 2), -round((wide - columns) / 2), high, wide)

    @property
    def fill(self) -> tuple[int, int, int]:
        """The mean colour, 0 … 255, which normalisation turns to nothing."""
        red, green, blue = (round(255 * channel) for channel in self.mean)
        return red, green, blue

    def apply(self, image: Image) -> Image:
        """Image ``[h, w, 3]`` uint8 → input ``[H, W, 3]`` uint8."""
        frame = self.frame(*image.shape[:2])
        return self.place(image, frame)

    def place(self, image: Image, frame: Frame) -> Image:
        """Lays ``image`` into the input where ``frame`` says."""
        shown = resized(image, frame.rows, frame.columns)
        if (frame.rows, frame.columns) == self.size:
            return shown
        if frame.top < 0 or frame.left < 0:
            rows, columns = self.size
            return np.ascontiguousarray(shown[-frame.top :, -frame.left :][:rows, :columns])
        canvas = np.empty((*self.size, 3), dtype=np.uint8)
        canvas[:] = self.fill
        canvas[frame.top : frame.top + frame.rows, frame.left : frame.left + frame.columns] = shown
        return canvas
