"""Arranges and resizes images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import make_grid

from ..images import Image, resize_image
from .colours import Colour
from .text import draw_text_lines

CAPTION_COLOUR: Colour = (40, 40, 40)
MIN_CAPTION_WIDTH = 128  # pixels in which a score and most class names can be read
GAP = 8  # white pixels between the cells of a contact sheet
MAX_PAIRS, PAIR_COLUMNS = 8, 2  # of truth and prediction on a contact sheet
PAIR_GAP = 4  # white pixels between the two images of a pair
PAIR_TITLES = ("truth", "prediction")
MIN_TITLE_FONT = 14


def fit_image(image: Image, longer_side: int) -> Image:
    """Resizes ``image`` so that its longer side has ``longer_side`` pixels."""
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    return resize_image(image, max(1, round(height * scale)), max(1, round(width * scale)))


def shrink_image(image: Image, max_side: int) -> Image:
    """Resizes ``image`` so that its longer side has at most ``max_side`` pixels."""
    return image if max(image.shape[:2]) <= max_side else fit_image(image, max_side)


def stack_images(*images: Image) -> Image:
    """Puts ``images`` below each other; narrow ones get a white margin on the right."""
    width = max(image.shape[1] for image in images)
    margins = [((0, 0), (0, width - image.shape[1]), (0, 0)) for image in images]
    return np.concatenate([np.pad(*pair, constant_values=255) for pair in zip(images, margins, strict=True)])


def images_to_arrays(images: Tensor) -> NDArray[np.uint8]:
    """Converts a batch ``[N, 3, H, W]`` to arrays ``[N, H, W, 3]``."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())


def contact_sheet(cells: Iterable[Image], max_columns: int) -> Image:
    """Arranges images of one size in rows, with a white gap to the right of and below each.

    The rows are as few as ``max_columns`` permits, and about equally long: 7 images with 6 columns are 4 and 3.
    """
    padded = [np.pad(cell, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for cell in cells]
    rows = -(-len(padded) // max_columns)
    columns = -(-len(padded) // rows)
    grid = make_grid([torch.from_numpy(cell).permute(2, 0, 1) for cell in padded], columns, padding=0, pad_value=255)
    return grid.permute(1, 2, 0).numpy()


def add_caption(image: Image, lines: Sequence[str], background: Colour = CAPTION_COLOUR) -> Image:
    """Adds ``lines`` of text below ``image`` ``[H, W, 3]``; an image too narrow for text gets a white margin."""
    height, width = image.shape[:2]
    font_size = max(11, round(min(width, 2 * height) / 22))
    return stack_images(image, draw_text_lines(lines, max(width, MIN_CAPTION_WIDTH), font_size, background))


def draw_pair(truth: Image, prediction: Image, titles: tuple[str, str] = PAIR_TITLES) -> Image:
    """Puts two images of one size side by side, each under a strip with its title.

    The text grows with the images. Images too narrow for a title get a white margin on the right.

    Args:
        truth: ``[H, W, 3]`` uint8, on the left.
        prediction: ``[H, W, 3]`` uint8, on the right.
        titles: of the left and of the right image; long ones are shortened.
    """
    height, width = truth.shape[:2]
    font_size = max(MIN_TITLE_FONT, round(min(width, 2 * height) / 40))

    def add_title(image: Image, title: str) -> Image:
        return stack_images(draw_text_lines([title], max(width, MIN_CAPTION_WIDTH), font_size, CAPTION_COLOUR), image)

    left = np.pad(add_title(truth, titles[0]), ((0, 0), (0, PAIR_GAP), (0, 0)), constant_values=255)
    return np.concatenate((left, add_title(prediction, titles[1])), axis=1)
