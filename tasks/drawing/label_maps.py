"""Draws label maps over their images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from torch import Tensor

from ..images import Image
from .canvas import MAX_PAIRS, PAIR_COLUMNS, contact_sheet, draw_pair, fit_image, images_to_arrays, stack_images
from .colours import Colour, make_colour_table
from .legend import MAX_LEGEND_NAMES, LabelMap, draw_legend, rank_classes

SEGMENTATION_CELL = 480  # longer side of an image on a contact sheet
MIN_LEGEND_WIDTH = 160  # pixels in which most class names can be read
MIN_LEGEND_FONT = 12
OVERLAY_OPACITY = 0.55


def colour_labels(labels: LabelMap, colours: Sequence[Colour]) -> Image:
    """Replaces labels ``[H, W]`` by the colours of their classes, ``[H, W, 3]``; labels without a class are white."""
    channels = cv2.merge([labels] * 3)  # OpenCV's look-up takes a quarter of NumPy's time
    return np.asarray(cv2.LUT(channels, make_colour_table(colours)[None]), dtype=np.uint8)


def overlay_labels(image: Image, labels: LabelMap, colours: Sequence[Colour]) -> Image:
    """Blends ``image`` ``[H, W, 3]`` with the colours of its labels ``[H, W]``."""
    # torchvision's draw_segmentation_masks takes 30 times as long, because it draws one mask after the other
    blend = cv2.addWeighted(image, 1 - OVERLAY_OPACITY, colour_labels(labels, colours), OVERLAY_OPACITY, 0)
    return np.asarray(blend, dtype=np.uint8)


def draw_label_map(
    image: Image, labels: LabelMap, classes: Sequence[str], colours: Sequence[Colour], is_frame: bool = False
) -> Image:
    """Blends ``image`` with the colours of its labels and adds a legend below, whose text grows with the image.

    The legend lists the classes that the label map contains, those with the most pixels first.

    Args:
        image: ``[H, W, 3]`` uint8; an image too narrow for a legend gets a white margin.
        labels: ``[H, W]`` uint8 class indices; 255 where a pixel has no class.
        classes: names of the classes.
        colours: one for each class.
        is_frame: whether this is a frame of a video. All its frames then get legends of one size, which list all
            classes in their order if they fit, so that the legend does not flicker.
    """
    height, width = image.shape[:2]
    font_size = max(MIN_LEGEND_FONT, round(min(width, 2 * height) / 55))

    def draw_names(indices: Sequence[int]) -> Image:
        names, shown_colours = [classes[k] for k in indices], [colours[k] for k in indices]
        return draw_legend(names, shown_colours, max(width, MIN_LEGEND_WIDTH), font_size)

    if not is_frame:
        return stack_images(overlay_labels(image, labels, colours), draw_names(rank_classes([labels], len(classes))))
    legend = draw_names(range(len(classes)))
    if len(classes) > MAX_LEGEND_NAMES:
        shown = draw_names(rank_classes([labels], len(classes)))[: len(legend)]
        legend[:] = 255
        legend[: len(shown)] = shown
    return stack_images(overlay_labels(image, labels, colours), legend)


def draw_segmentation_sheet(
    images: Tensor, truth: Tensor, predicted: Tensor, classes: Sequence[str], colours: Sequence[Colour]
) -> Image:
    """Draws the first eight images of a batch with their masks, each beside its prediction, and a legend below.

    The legend lists the classes of these masks and predictions, those with the most pixels first.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        truth: ``[N, H, W]`` class indices; 255 where a pixel has no class.
        predicted: predicted class indices ``[N, H, W]``.
        classes: names of the classes.
        colours: one for each class.
    """
    masks, predictions = (labels[:MAX_PAIRS].cpu().numpy().astype(np.uint8) for labels in (truth, predicted))

    def draw_cell(image: Image, *label_maps: LabelMap) -> Image:
        left, right = (fit_image(overlay_labels(image, labels, colours), SEGMENTATION_CELL) for labels in label_maps)
        return draw_pair(left, right)

    pairs = list(map(draw_cell, images_to_arrays(images[:MAX_PAIRS]), masks, predictions))
    pairs += [np.full_like(pairs[0], 255)] * (len(pairs) % PAIR_COLUMNS)  # one pair would be too narrow for a legend
    sheet = contact_sheet(pairs, PAIR_COLUMNS)
    width = sheet.shape[1]
    shown = rank_classes((masks, predictions), len(classes))
    legend = draw_legend([classes[k] for k in shown], [colours[k] for k in shown], width)
    return stack_images(sheet, legend)
