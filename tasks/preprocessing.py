"""Preprocessing from image to network input, the same in training, validation, prediction and export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ..backbones.contract import Normalisation, check_choice
from ..errors import UserError, check_range
from ..heads.predictions import ResizeGeometry
from .images import Image, ImageSource, Region, crop_image, resize_image
from .images.files import MAX_PIXELS


@dataclass(frozen=True)
class Preprocessing:
    """How images are resized to the network's input and normalised.

    Attributes:
        size: (height, width) of the input in pixels.
        fit: how an image of another aspect ratio is fitted. "stretch" distorts it, as in SSDLite's training. "pad"
            keeps the ratio and fills the rest at the right or bottom with the mean colour. "crop" keeps the ratio and
            cuts off what does not fit, as in the evaluation of classifiers.
        crop_pct: with "crop", share of the shorter side that the centre crop keeps, e.g. 0.875 for 224 of 256 pixels.
        mean: mean of each channel, 0 … 1. Pretrained weights need the mean and std that they were trained with.
        std: standard deviation of each channel, 0 … 1.
    """

    size: tuple[int, int] = (320, 320)
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    crop_pct: float = 0.875

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 32:
            raise UserError(f"preprocessing.size must be (height, width) of at least 32 pixels each, not {self.size}.")
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise UserError(f"preprocessing.size must have at most {MAX_PIXELS:,} pixels, not {self.size}.")
        check_choice("preprocessing.fit", self.fit, ("stretch", "pad", "crop"))
        check_range("preprocessing.crop_pct", self.crop_pct, gt=0, le=1)
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UserError(f"preprocessing needs three means and three positive stds, not {self.mean} and {self.std}.")

    @property
    def normalisation(self) -> Normalisation:
        """Mean and std together."""
        return Normalisation(self.mean, self.std)

    def check_not_cropped(self, user: str) -> None:
        """Raises UserError if preprocessing cuts off image borders, which ``user`` (named in the error) needs."""
        if self.fit == "crop":
            raise UserError(f"preprocessing.fit is crop, which cuts off borders that {user} needs; use stretch or pad.")

    def geometry(self, height: int, width: int) -> ResizeGeometry:
        """Returns the position of an image of ``height``×``width`` pixels in the input."""
        rows, columns = self.size
        if self.fit == "stretch":
            return ResizeGeometry(height, width, 0, 0, rows, columns)
        if self.fit == "pad":
            scale = min(rows / height, columns / width)
            return ResizeGeometry(height, width, 0, 0, max(1, round(height * scale)), max(1, round(width * scale)))
        scale = max(rows / height, columns / width) / self.crop_pct
        high, wide = max(rows, round(height * scale)), max(columns, round(width * scale))
        return ResizeGeometry(height, width, -round((high - rows) / 2), -round((wide - columns) / 2), high, wide)

    @property
    def fill(self) -> tuple[int, int, int]:
        """Mean colour, 0 … 255, which normalisation maps to zero."""
        red, green, blue = (round(255 * channel) for channel in self.mean)
        return red, green, blue

    def apply(self, image: Image) -> Image:
        """Image ``[h, w, 3]`` uint8 → input ``[H, W, 3]`` uint8."""
        return self.apply_geometry(image, self.geometry(*image.shape[:2]))

    def apply_geometry(self, image: Image, geometry: ResizeGeometry) -> Image:
        """Resizes ``image`` and puts it at the position that ``geometry`` gives; crops or pads as needed."""
        resized = resize_image(image, geometry.rows, geometry.columns)
        (rows, columns), (top, left) = self.size, (geometry.top, geometry.left)
        if (geometry.rows, geometry.columns) == (rows, columns):
            return resized
        shown = resized[max(0, -top) : max(0, rows - top), max(0, -left) : max(0, columns - left)]
        above, before = max(0, top), max(0, left)
        below, after = rows - above - shown.shape[0], columns - before - shown.shape[1]
        if not (above or before or below or after):
            return np.ascontiguousarray(shown)
        # ten times as fast as filling an array with a colour
        padded = cv2.copyMakeBorder(shown, above, below, before, after, cv2.BORDER_CONSTANT, value=self.fill)
        return np.asarray(padded, dtype=np.uint8)

    def crop(self, image: ImageSource, region: Region, geometry: ResizeGeometry) -> tuple[Image, Region]:
        """Resizes ``region`` of ``image`` and puts it at the position that ``geometry`` gives.

        A JPEG file is decoded at a reduced scale that still has at least the pixels that ``geometry`` asks for.

        Returns:
            The input ``[H, W, 3]`` uint8, and the region that it shows; see :meth:`.images.EncodedImage.crop`.
        """
        pixels, shown = crop_image(image, region, geometry.rows, geometry.columns)
        return self.apply_geometry(pixels, geometry), shown
