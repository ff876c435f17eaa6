"""Draws detections, class scores, label maps, confusion matrices and contact sheets."""

from __future__ import annotations

import bisect
import colorsys
import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

from ..heads.predictions import IGNORED, BoxTargets, Detections
from .data.images import Image, resize_image

Colour = tuple[int, int, int]
Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont
LabelMap = NDArray[np.uint8]

IGNORED_COLOUR: Colour = (255, 255, 255)  # white, which no known data set uses for a class
RIGHT_COLOUR, WRONG_COLOUR, CAPTION_COLOUR = (30, 120, 50), (190, 40, 40), (40, 40, 40)
TONES = ((0.85, 1.0), (0.9, 0.6), (0.4, 1.0), (0.45, 0.65))  # saturation and value of a palette's colours
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in the perceived brightness

#: font files of Linux, macOS and Windows, those with the most glyphs first
SYSTEM_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
MISSING_CHARACTER = "\ufffe"  # no font has a glyph for it

GAP = 8  # white pixels between the cells of a contact sheet
DETECTION_CELL, CLASSIFICATION_CELL, SEGMENTATION_CELL = 320, 192, 480  # longer side of an image on a contact sheet
MAX_PAIRS, PAIR_COLUMNS = 8, 2
MAX_CELLS, CELL_COLUMNS = 24, 6
MIN_SHEET_SCORE = 0.3  # of detections on a contact sheet
PAIR_CAPTION = "Left of each pair: the mask. Right: the prediction. Pale pixels have no class."
MATRIX_AXES = ("down: true class", "across: predicted")

MIN_CAPTION_WIDTH, MIN_LEGEND_WIDTH = 128, 160  # pixels in which a score and most class names can be read
SHEET_FONT, MATRIX_FONT, MIN_LEGEND_FONT = 14, 13, 12
MAX_LEGEND_NAMES, MAX_MATRIX_NAMES = 64, 60
MAX_NAME_WIDTH = 200  # pixels of a class name beside a matrix
MATRIX_SIZE = 1200  # pixels of a matrix without names
OVERLAY_OPACITY = 0.55


def make_palette(number: int) -> list[Colour]:
    """Chooses ``number`` colours that differ in hue, and in tone after every eight of them."""
    colours: list[Colour] = []
    for k in range(number):
        hue = (0.05 + k * 0.61803) % 1  # golden ratio: neighbours differ most, and the ninth is close to the first
        saturation, value = TONES[k // 8 % len(TONES)]
        red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
        colours.append((red, green, blue))
    return colours


def make_colour_table(colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Builds a look-up table ``[256, 3]`` from labels to ``colours``; labels without a class are white."""
    table = np.full((IGNORED + 1, 3), IGNORED_COLOUR, dtype=np.uint8)
    table[: len(colours)] = np.array(colours).reshape(-1, 3)
    return table


def choose_text_colour(background: Colour) -> str:
    """Returns "black" on a bright ``background`` and "white" on a dark one."""
    return "black" if np.dot(LUMA, background) > 128 else "white"


@functools.lru_cache(maxsize=64)  # bounded, because every video frame has a text of its own
def load_font(size: int, text: str = "") -> Font:
    """Loads Pillow's built-in font, or a system font if the built-in one lacks characters of ``text``.

    The built-in font is the same on every machine but covers ASCII only. If no font covers the whole text, the one that
    lacks the fewest characters is used.
    """
    built_in = PIL.ImageFont.load_default(size)
    if text.isascii():
        return built_in
    return min((built_in, *load_system_fonts(size)), key=lambda font: count_missing(font, text))


def load_system_fonts(size: int) -> Iterator[Font]:
    """Loads those of :data:`SYSTEM_FONTS` that are installed."""
    for name in SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            yield PIL.ImageFont.truetype(name, size)


def count_missing(font: Font, text: str) -> int:
    """Counts the distinct characters of ``text`` that ``font`` has no glyph for."""

    def draw_glyph(character: str) -> bytes:
        return bytes(font.getmask(character))  # pyright: ignore[reportArgumentType] — Pillow's stub does not say it can

    return [draw_glyph(character) for character in set(text)].count(draw_glyph(MISSING_CHARACTER))


def shorten_text(text: str, font: Font, width: float) -> str:
    """Returns ``text``, with its end replaced by "…" if it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    end = bisect.bisect_right(range(len(text)), width, key=lambda end: font.getlength(text[:end] + "…"))
    return text[: max(0, end - 1)] + "…"


def draw_text_lines(lines: Sequence[str], width: int, font_size: int, background: Colour) -> Image:
    """Draws ``lines`` of text below each other, ``[h, width, 3]``; lines that are too long are shortened."""
    font = load_font(font_size, "".join(lines))
    line_height = round(font.getbbox("Äg")[3]) + 3
    canvas = PIL.Image.new("RGB", (width, line_height * len(lines) + 3), background)
    pen = PIL.ImageDraw.Draw(canvas)
    for k, line in enumerate(lines):
        position = (4, 1 + k * line_height)
        pen.text(position, shorten_text(line, font, width - 8), fill=choose_text_colour(background), font=font)
    return np.array(canvas)


def fit_image(image: Image, longer_side: int) -> Image:
    """Resizes ``image`` so that its longer side has ``longer_side`` pixels."""
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    return resize_image(image, round(height * scale), round(width * scale))


def stack_images(*images: Image) -> Image:
    """Puts ``images`` below each other; narrow ones get a white margin on the right."""
    width = max(image.shape[1] for image in images)
    margins = [((0, 0), (0, width - image.shape[1]), (0, 0)) for image in images]
    return np.concatenate([np.pad(*pair, constant_values=255) for pair in zip(images, margins, strict=True)])


def images_to_arrays(images: Tensor) -> NDArray[np.uint8]:
    """Converts a batch ``[N, 3, H, W]`` to arrays ``[N, H, W, 3]``."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())


def contact_sheet(cells: Iterable[Image], columns: int) -> Image:
    """Arranges images of one size in rows of ``columns``, with a white gap to the right of and below each."""
    padded = (np.pad(cell, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for cell in cells)
    grid = make_grid([torch.from_numpy(cell).permute(2, 0, 1) for cell in padded], columns, padding=0, pad_value=255)
    return grid.permute(1, 2, 0).numpy()


def draw_boxes(image: Image, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]) -> Image:
    """Draws ``boxes`` in the colours of their classes, each with its text; the last text is on top.

    Lines and text grow with the image, so that both stay visible when a large image is scaled to a screen.

    Args:
        image: ``[H, W, 3]`` uint8; not modified.
        boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels.
        labels: ``[K]`` class indices.
        texts: K texts.
        classes: names of all classes.
    """
    line = max(2, round(max(image.shape) / 400))
    palette = make_palette(len(classes))
    colours = [palette[label] for label in labels.tolist()]
    canvas = torch.from_numpy(image.copy()).permute(2, 0, 1)
    if len(boxes):  # torchvision warns about an empty list
        # a box ends with its last pixel; a box without area is drawn as a point
        last_pixels = torch.maximum(boxes[:, 2:] - 1, boxes[:, :2])
        corners = torch.cat((boxes[:, :2], last_pixels), dim=1)
        canvas = draw_bounding_boxes(canvas, corners, colors=list(colours), width=line)
    # torchvision's own labels need a font file to grow, cover the object, and are cut off at the image border
    labelled = PIL.Image.fromarray(canvas.permute(1, 2, 0).numpy())
    pen = PIL.ImageDraw.Draw(labelled)
    font = load_font(max(11, round(max(image.shape) / 55)), "".join(texts))
    height = pen.textbbox((0, 0), "Äg", font=font)[3] + line  # one height for all texts
    for (x1, y1, _, _), colour, text in zip(boxes.tolist(), colours, texts, strict=True):
        width = pen.textlength(text, font=font) + 2 * line
        left = max(0, min(x1, labelled.width - width))
        top = y1 - height if y1 >= height else y1
        pen.rectangle((left, top, left + width, top + height), fill=colour)
        pen.text((left + line, top), text, fill=choose_text_colour(colour), font=font)
    return np.array(labelled)


def draw_detections(image: Image, detections: Detections, classes: Sequence[str], min_score: float) -> Image:
    """Draws the ``detections`` in ``image`` ``[H, W, 3]`` whose score is at least ``min_score``, the best on top."""
    boxes, scores, labels = (x.cpu()[detections.scores.cpu() >= min_score].flip(0) for x in detections)
    texts = [f"{classes[k]} {score:.2f}" for k, score in zip(labels.tolist(), scores.tolist(), strict=True)]
    return draw_boxes(image, boxes.float(), labels, texts, classes)


def draw_detection_sheet(
    images: Tensor, targets: BoxTargets, detections: Sequence[Detections], classes: Sequence[str]
) -> Image:
    """Draws the first eight images of a batch with their objects, each beside its detections.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        targets: objects of the images.
        detections: N predictions; scores below 0.3 are left out.
        classes: names of the classes.
    """
    scale = DETECTION_CELL / max(images.shape[2:])

    def draw_pair(image: Image, boxes: Tensor, labels: Tensor, predicted: Detections) -> Image:
        image = fit_image(image, DETECTION_CELL)
        boxes, labels = boxes[labels >= 0], labels[labels >= 0]
        truth = draw_boxes(image, boxes * scale, labels, [classes[int(k)] for k in labels], classes)
        predicted = predicted._replace(boxes=predicted.boxes.float() * scale)
        return np.concatenate((truth, draw_detections(image, predicted, classes, MIN_SHEET_SCORE)), axis=1)

    pairs = map(draw_pair, images_to_arrays(images[:MAX_PAIRS]), targets.boxes.cpu(), targets.labels.cpu(), detections)
    return contact_sheet(pairs, PAIR_COLUMNS)


def add_caption(image: Image, lines: Sequence[str], background: Colour = CAPTION_COLOUR) -> Image:
    """Adds ``lines`` of text below ``image`` ``[H, W, 3]``; an image too narrow for text gets a white margin."""
    height, width = image.shape[:2]
    font_size = max(11, round(min(width, 2 * height) / 22))
    return stack_images(image, draw_text_lines(lines, max(width, MIN_CAPTION_WIDTH), font_size, background))


def draw_class_scores(
    image: Image, scores: Tensor, classes: Sequence[str], min_score: float = 0.0, number: int = 3
) -> Image:
    """Adds the most probable classes and their scores below ``image``.

    Args:
        image: ``[H, W, 3]`` uint8.
        scores: ``[C]`` in 0 … 1.
        classes: names of the classes.
        min_score: lines of classes with lower scores stay empty, so that all frames of a video have one size.
        number: number of lines.
    """
    best = scores.topk(min(number, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return add_caption(image, [f"{score:.2f} {classes[k]}" if score >= min_score else "" for k, score in pairs])


def draw_classification_sheet(images: Tensor, labels: Tensor, scores: Tensor, classes: Sequence[str]) -> Image:
    """Draws the first 24 images of a batch, each above its true and its predicted class, on green or red.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        labels: ``[N]`` class indices.
        scores: ``[N, C]``.
        classes: names of the classes.
    """

    def draw_cell(image: Image, label: int, row: Tensor) -> Image:
        predicted = int(row.argmax())
        lines = [classes[label], f"{float(row.max()):.2f} {classes[predicted]}"]
        background = RIGHT_COLOUR if predicted == label else WRONG_COLOUR
        return add_caption(fit_image(image, CLASSIFICATION_CELL), lines, background)

    cells = map(draw_cell, images_to_arrays(images[:MAX_CELLS]), labels.tolist(), scores.cpu())
    return contact_sheet(cells, CELL_COLUMNS)


def colour_labels(labels: LabelMap, colours: Sequence[Colour]) -> Image:
    """Replaces labels ``[H, W]`` by the colours of their classes, ``[H, W, 3]``; labels without a class are white."""
    channels = cv2.merge([labels] * 3)  # OpenCV's look-up takes a quarter of NumPy's time
    return np.asarray(cv2.LUT(channels, make_colour_table(colours)[None]), dtype=np.uint8)


def overlay_labels(image: Image, labels: LabelMap, colours: Sequence[Colour]) -> Image:
    """Blends ``image`` ``[H, W, 3]`` with the colours of its labels ``[H, W]``."""
    # torchvision's draw_segmentation_masks takes 30 times as long, because it draws one mask after the other
    blend = cv2.addWeighted(image, 1 - OVERLAY_OPACITY, colour_labels(labels, colours), OVERLAY_OPACITY, 0)
    return np.asarray(blend, dtype=np.uint8)


def draw_legend(classes: Sequence[str], colours: Sequence[Colour], width: int, font_size: int = SHEET_FONT) -> Image:
    """Draws class names beside their colours in columns, ``[h, width, 3]``.

    Args:
        classes: names; long ones are shortened, and those after the 64th are only counted.
        colours: one for each class.
        width: in pixels.
        font_size: in pixels.
    """
    more = len(classes) - MAX_LEGEND_NAMES
    names = [*classes[:MAX_LEGEND_NAMES], *([f"and {more} more"] if more > 0 else [])]
    font = load_font(font_size, "".join(names))
    gap, line_height = font_size // 2, round(1.5 * font_size)
    margins = font_size + 3 * gap  # of a name: its colour and the space around both
    widest = max((font.getlength(name) for name in names), default=0)
    columns = min(len(names), max(1, int((width - gap) // (widest + margins))))
    step = min((width - gap) / columns, widest + margins + 2 * font_size)
    canvas = PIL.Image.new("RGB", (width, line_height * -(-len(names) // columns) + gap), "white")
    pen = PIL.ImageDraw.Draw(canvas)
    for k, name in enumerate(names):
        row, column = divmod(k, columns)
        left, middle = gap + round(column * step), gap // 2 + row * line_height + line_height // 2
        if k < MAX_LEGEND_NAMES:
            top = middle - font_size // 2
            pen.rectangle((left, top, left + font_size, top + font_size), fill=colours[k], outline="black")
        text = shorten_text(name, font, width - left - font_size - 2 * gap)
        pen.text((left + font_size + gap, middle), text, fill="black", font=font, anchor="lm")
    return np.array(canvas)


def draw_label_map(image: Image, labels: LabelMap, classes: Sequence[str], colours: Sequence[Colour]) -> Image:
    """Blends ``image`` with the colours of its labels and adds a legend below, whose text grows with the image.

    Args:
        image: ``[H, W, 3]`` uint8; an image too narrow for a legend gets a white margin.
        labels: ``[H, W]`` uint8 class indices; 255 where a pixel has no class.
        classes: names of the classes.
        colours: one for each class.
    """
    height, width = image.shape[:2]
    font_size = max(MIN_LEGEND_FONT, round(min(width, 2 * height) / 55))
    legend = draw_legend(classes, colours, max(width, MIN_LEGEND_WIDTH), font_size)
    return stack_images(overlay_labels(image, labels, colours), legend)


def draw_segmentation_sheet(
    images: Tensor, truth: Tensor, predicted: Tensor, classes: Sequence[str], colours: Sequence[Colour]
) -> Image:
    """Draws the first eight images of a batch with their masks, each beside its prediction, and a legend below.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        truth: ``[N, H, W]`` class indices; 255 where a pixel has no class.
        predicted: predicted class indices ``[N, H, W]``.
        classes: names of the classes.
        colours: one for each class.
    """

    def draw_pair(image: Image, *label_maps: Tensor) -> Image:
        overlays = [overlay_labels(image, labels.numpy().astype(np.uint8), colours) for labels in label_maps]
        return np.concatenate([fit_image(overlay, SEGMENTATION_CELL) for overlay in overlays], axis=1)

    pairs = list(map(draw_pair, images_to_arrays(images[:MAX_PAIRS]), truth.cpu(), predicted.cpu()))
    pairs += [np.full_like(pairs[0], 255)] * (len(pairs) % PAIR_COLUMNS)  # one pair would be too narrow for a legend
    sheet = contact_sheet(pairs, PAIR_COLUMNS)
    width = sheet.shape[1]
    caption = draw_text_lines([PAIR_CAPTION], width, SHEET_FONT, background=(255, 255, 255))
    return stack_images(sheet, caption, draw_legend(classes, colours, width))


def draw_confusion_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> Image:
    """Draws a confusion matrix ``[C, C]`` as ``[H, W, 3]``: true classes down, predicted classes across.

    A cell's shade is the square root of its share of the row, so that rare mistakes are visible. Names and counts are
    written for up to 60 classes.
    """
    shares = np.sqrt(matrix / np.maximum(1, matrix.sum(1, keepdims=True)))
    shades = (255 * (1 - shares[:, :, None] * (1 - np.array([0.05, 0.25, 0.55])))).astype(np.uint8)
    if len(classes) > MAX_MATRIX_NAMES:
        side = max(1, MATRIX_SIZE // len(classes))
        return shades.repeat(side, axis=0).repeat(side, axis=1)
    font = load_font(MATRIX_FONT, "".join(classes))
    names = [shorten_text(name, font, MAX_NAME_WIDTH) for name in classes]
    digits = max(len(str(matrix.max())), 2)
    side = max(24, round(digits * MATRIX_FONT * 0.62) + 8)
    margin = round(max(font.getlength(text) for text in (*names, *MATRIX_AXES))) + 16
    size = margin + side * len(classes) + 8
    middles = [margin + side * k + side // 2 for k in range(len(classes))]
    canvas = PIL.Image.new("RGB", (size, size), "white")
    canvas.paste(PIL.Image.fromarray(shades.repeat(side, axis=0).repeat(side, axis=1)), (margin, margin))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, text in enumerate(reversed(MATRIX_AXES)):
        pen.text((8, margin - 8 - 18 * k), text, fill="grey", font=font, anchor="ls")
    for name, y in zip(names, middles, strict=True):
        pen.text((margin - 8, y), name, fill="black", font=font, anchor="rm")
    for i, j in np.argwhere(matrix).tolist():
        fill = "white" if shares[i, j] > 0.6 else "black"
        pen.text((middles[j], middles[i]), str(matrix[i, j]), fill=fill, font=font, anchor="mm")
    # names of columns run upwards: they are written on the rotated image
    canvas = canvas.rotate(-90)
    pen = PIL.ImageDraw.Draw(canvas)
    for name, y in zip(names, middles, strict=True):
        pen.text((size - margin + 8, y), name, fill="black", font=font, anchor="lm")
    return np.array(canvas.rotate(90))


def confusion_table(matrix: NDArray[np.int64], classes: Sequence[str]) -> list[list[object]]:
    """Arranges a confusion matrix ``[C, C]`` as rows of a table with class names."""
    header: list[object] = ["class \\ predicted", *classes]
    return [header, *([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))]


def format_figure(value: float | None, digits: int = 4) -> str:
    """Formats a figure with ``digits`` digits after the point, or as a dash if it is None."""
    return "–" if value is None else f"{value:.{digits}f}"
