"""Draws label maps over their images, which stay visible where they show the background."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from torch import Tensor

from ...heads.predictions import IGNORED
from ..images import Image
from .canvas import MAX_PAIRS, PAIR_COLUMNS, contact_sheet, draw_pair, fit_image, images_to_arrays, stack_images
from .colours import IGNORED_COLOUR, Colour, make_colour_table
from .legend import (
    MAX_LEGEND_NAMES,
    MIN_LEGEND_WIDTH,
    SHEET_FONT,
    LabelMap,
    choose_legend_font,
    draw_legend,
    rank_classes,
)

SEGMENTATION_CELL = 480  # longer side of an image on a contact sheet
OVERLAY_OPACITY = 0.55
BACKGROUND_NAMES = ("background", "bg")
NO_CLASS = "no class"  # in a legend, of the pale pixels


def find_background(classes: Sequence[str]) -> list[int]:
    """Returns the indices of the classes called background, bg, ``_background_`` or ``__background__``, in any case."""
    return [k for k, name in enumerate(classes) if name.strip(" _").lower() in BACKGROUND_NAMES]


def find_foreground(classes: Sequence[str]) -> list[int]:
    """Returns the indices of the other classes."""
    background = find_background(classes)
    return [k for k in range(len(classes)) if k not in background]


def colour_labels(labels: LabelMap, colours: Sequence[Colour]) -> Image:
    """Replaces labels ``[H, W]`` by the colours of their classes, ``[H, W, 3]``; labels without a class are white."""
    channels = cv2.merge([labels] * 3)  # OpenCV's look-up takes a quarter of NumPy's time
    return np.asarray(cv2.LUT(channels, make_colour_table(colours)[None]), dtype=np.uint8)


def overlay_labels(image: Image, labels: LabelMap, colours: Sequence[Colour], clear: Collection[int] = ()) -> Image:
    """Blends ``image`` ``[H, W, 3]`` with the colours of its labels ``[H, W]``.

    Args:
        image: uint8; not modified.
        labels: uint8 class indices; pixels without a class become pale.
        colours: one for each class.
        clear: class indices whose pixels stay as they are, e.g. of :func:`find_background`.
    """
    # torchvision's draw_segmentation_masks takes 30 times as long, because it draws one mask after the other
    blend = cv2.addWeighted(image, 1 - OVERLAY_OPACITY, colour_labels(labels, colours), OVERLAY_OPACITY, 0)
    if clear:
        is_clear = np.zeros(IGNORED + 1, dtype=np.uint8)
        is_clear[list(clear)] = 1
        blend = cv2.copyTo(image, cv2.LUT(labels, is_clear), blend)
    return np.asarray(blend, dtype=np.uint8)


def draw_label_map(
    image: Image, labels: LabelMap, classes: Sequence[str], colours: Sequence[Colour], is_frame: bool = False
) -> Image:
    """Blends ``image`` with the colours of its labels and adds a legend below, whose text grows with the image.

    The legend lists the classes that the label map contains, those with the most pixels first, and "no class" if some
    pixels have none. A background class is neither coloured nor listed.

    Args:
        image: ``[H, W, 3]`` uint8; an image too narrow for a legend gets a white margin.
        labels: ``[H, W]`` uint8 class indices; 255 where a pixel has no class.
        classes: names of the classes.
        colours: one for each class.
        is_frame: whether this is a frame of a video. All its frames then get legends of one size, which list all
            classes in their order if they fit, so that the legend does not flicker.
    """
    font_size, legend_width = choose_legend_font(image), max(image.shape[1], MIN_LEGEND_WIDTH)
    overlay = overlay_labels(image, labels, colours, find_background(classes))
    if not is_frame:
        return stack_images(overlay, draw_shown_classes([labels], classes, colours, legend_width, font_size))
    foreground = find_foreground(classes)
    names, shown_colours = [classes[k] for k in foreground], [colours[k] for k in foreground]
    legend = draw_legend(names, shown_colours, legend_width, font_size)
    if len(foreground) > MAX_LEGEND_NAMES:
        shown = draw_shown_classes([labels], classes, colours, legend_width, font_size)[: len(legend)]
        legend[:] = 255
        legend[: len(shown)] = shown
    return stack_images(overlay, legend)


def draw_shown_classes(
    label_maps: Sequence[LabelMap], classes: Sequence[str], colours: Sequence[Colour], width: int, font_size: int
) -> Image:
    """Draws a legend of the classes in ``label_maps`` except the background, those with the most pixels first.

    If some pixels have no class, the legend ends with "no class".
    """
    foreground = find_foreground(classes)
    shown = [k for k in rank_classes(label_maps, len(classes)) if k in foreground]
    names, shown_colours = [classes[k] for k in shown], [colours[k] for k in shown]
    if any(labels.max() >= len(classes) for labels in label_maps):
        names, shown_colours = [*names, NO_CLASS], [*shown_colours, IGNORED_COLOUR]
    return draw_legend(names, shown_colours, width, font_size)


def draw_segmentation_sheet(
    images: Tensor, truth: Tensor, predicted: Tensor, classes: Sequence[str], colours: Sequence[Colour]
) -> Image:
    """Draws the first eight images of a batch with their masks, each beside its prediction, and a legend below.

    The legend lists the classes of these masks and predictions, those with the most pixels first, and "no class" if
    some pixels have none. A background class is neither coloured nor listed.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        truth: ``[N, H, W]`` class indices; 255 where a pixel has no class.
        predicted: predicted class indices ``[N, H, W]``.
        classes: names of the classes.
        colours: one for each class.
    """
    masks, predictions = (labels[:MAX_PAIRS].cpu().numpy().astype(np.uint8) for labels in (truth, predicted))
    clear = find_background(classes)

    def draw_cell(image: Image, *label_maps: LabelMap) -> Image:
        overlays = (overlay_labels(image, labels, colours, clear) for labels in label_maps)
        left, right = (fit_image(overlay, SEGMENTATION_CELL) for overlay in overlays)
        return draw_pair(left, right)

    sheet = contact_sheet(map(draw_cell, images_to_arrays(images[:MAX_PAIRS]), masks, predictions), PAIR_COLUMNS)
    legend = draw_shown_classes((masks, predictions), classes, colours, sheet.shape[1], SHEET_FONT)
    return stack_images(sheet, legend)
