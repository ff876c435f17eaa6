"""Generates "shapes", a small detection data set in COCO format, so that a first training needs no download.

Each image depends on (seed, split, number) alone, so a larger data set begins with the same images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..tasks.atomic import write_text
from .options.parser import Parser

Array = NDArray[np.float32]
Mask = NDArray[np.uint8]
Outline = NDArray[np.float64]

# The ids start at 0 and have gaps, as in real data sets, so that code that mistakes them for class indices fails.
CLASSES = {0: "disk", 1: "ring", 2: "square", 4: "triangle", 5: "star", 8: "cross"}
SPLITS = ("train", "val")
RECORD = "shapes.json"
GENERATOR = 1  # increase it whenever the images change, so that older data sets are not mistaken for current ones

EMPTY_FRACTION = 1 / 12  # of images without objects
GREY_FRACTION = 1 / 10  # of grey images
MAX_OBJECTS = 5
SIZES = (0.25, 0.75)  # range of object diameters, relative to the shorter side of the image
MAX_ANISOTROPY = 1.4
MIN_VISIBLE = 0.5  # fraction of an object's area; below it people would not agree on the class
MIN_SIDE = 8  # of a box, in pixels
MIN_CONTRAST = 35.0  # in luma (0 to 255) between an object and most of its surroundings, visible also in grey
LUMA = np.array([0.114, 0.587, 0.299], dtype=np.float32)  # weights of blue, green, red
BACKGROUNDS = ("gradient", "smooth", "stripes", "checker")
FILLS = ("plain", "gradient", "stripes", "speckle")


class ShapesSummary(NamedTuple):
    """A data set on disk.

    Attributes:
        root: its folder.
        images: number of images in each split ("train", "val").
        boxes: number of annotated objects in each split.
    """

    root: Path
    images: dict[str, int]
    boxes: dict[str, int]


class Scene(NamedTuple):
    """The objects of one image before they are coloured.

    Attributes:
        categories: category id of each object, from back to front.
        coverages: mask (height, width) of each object without the others: covered fraction of each pixel, 0 to 255.
        owner: (height, width), 1 + index of the object that is visible at a pixel, or 0 for the background.
    """

    categories: list[int]
    coverages: list[Mask]
    owner: Mask


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile sample-data WORDS``."""
    description = "Generates a detection data set in COCO format: images of textured shapes in six classes."
    parser = Parser(prog="litmobile sample-data", description=description)
    parser.add_function_arguments(write_shapes)
    summary = write_shapes(**parser.parse_words(words).as_dict())
    for split, images in summary.images.items():
        print(f"{summary.root}/{split}: {images} images, {summary.boxes[split]} boxes")


def write_shapes(root: str | Path = "data/shapes", train: int = 2000, val: int = 300, seed: int = 0) -> ShapesSummary:
    """Writes the data set, unless the same one already exists.

    The folder then holds ``train/000001.jpg`` …, ``val/000001.jpg`` …, ``annotations/instances_train.json``,
    ``annotations/instances_val.json`` and ``shapes.json``, which records the arguments. Images are 192 to 320 pixels
    wide and 160 to 288 high. Some are grey, and some have no objects. Boxes enclose the visible part of an object.

    Args:
        root: folder to write, e.g. data/shapes; it must be empty or not exist.
        train: number of training images, at least 1.
        val: number of validation images, at least 1.
        seed: random seed, at least 0; each seed gives different images.

    Raises:
        UserError: a number is out of range, or ``root`` holds other files or an unfinished data set.
    """
    root = Path(root)
    if train < 1 or val < 1 or seed < 0:
        raise UserError(f"shapes need train >= 1, val >= 1 and seed >= 0, not train={train}, val={val}, seed={seed}.")
    images = {"train": train, "val": val}
    arguments = {"generator": GENERATOR, "seed": seed, "images": images}
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        return ShapesSummary(root, images, _read_box_counts(root, arguments))

    annotations = root / "annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    boxes = {}
    for split, count in images.items():
        dataset = _write_split(root / split, count, seed, SPLITS.index(split))
        (annotations / f"instances_{split}.json").write_text(json.dumps(dataset), encoding="utf-8")
        boxes[split] = len(dataset["annotations"])

    # The record is written last and in one step, so a folder that has it is complete.
    write_text(root / RECORD, json.dumps({**arguments, "boxes": boxes}, indent=2) + "\n")
    return ShapesSummary(root, images, boxes)


def _read_box_counts(root: Path, arguments: dict[str, Any]) -> dict[str, int]:
    """Reads the number of boxes in ``root``, which must hold a data set that was made with the same arguments."""
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
        boxes = record.pop("boxes")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        problem = "exists but is not a finished shapes data set"
    else:
        if record == arguments:
            return boxes
        problem = f"holds shapes made with {record}, not with {arguments}"
    raise UserError(f"{root} {problem}: delete it or name another folder.")


def _write_split(folder: Path, count: int, seed: int, split_number: int) -> dict[str, Any]:
    """Writes the JPEG files of one split and returns its annotations as a COCO dictionary."""
    folder.mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, split_number, number])
        scene = _place_objects(rng)
        height, width = scene.owner.shape
        file_name = f"{number:06d}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(90, 96))]
        # imwrite would hide failed writes, and it cannot open every path on Windows
        (folder / file_name).write_bytes(cv2.imencode(".jpg", _render(scene, rng), quality)[1].tobytes())
        images.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for index, category_id in enumerate(scene.categories):
            visible = (scene.owner == index + 1).view(np.uint8)
            # pycocotools takes id 0 for "no match"
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": category_id}
            extent = {"bbox": list(cv2.boundingRect(visible)), "area": cv2.countNonZero(visible)}
            annotations.append({**ids, **extent, "iscrowd": 0, "segmentation": []})
    categories = [{"id": id_, "name": name, "supercategory": "shape"} for id_, name in CLASSES.items()]
    info = {"description": "litmobile shapes", "version": str(GENERATOR)}
    return {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


def _place_objects(rng: np.random.Generator) -> Scene:
    """Chooses an image size and objects; overlaps and the border leave enough of every object visible."""
    width, height = int(rng.integers(192, 321)), int(rng.integers(160, 289))
    scene = Scene([], [], np.zeros((height, width), np.uint8))
    if rng.random() < EMPTY_FRACTION:
        return scene
    areas: list[int] = []
    for _ in range(rng.integers(1, MAX_OBJECTS + 1)):
        category_id = int(rng.choice(list(CLASSES)))
        for _ in range(20):  # attempts; a crowded image gets no further object
            outlines = _random_outlines(CLASSES[category_id], width, height, rng)
            coverage = _fill(outlines, height, width)
            owner = np.where(coverage >= 128, np.uint8(len(areas) + 1), scene.owner)
            area = _count_pixels(outlines)
            if _are_visible(owner, [*areas, area]):
                areas.append(area)
                scene = Scene([*scene.categories, category_id], [*scene.coverages, coverage], owner)
                break
    return scene


def _fill(outlines: list[Array], height: int, width: int) -> Mask:
    """Fills polygons, of which a second one is a hole. Returns the coverage of each pixel, 0 to 255."""
    coverage = np.zeros((height, width), np.uint8)
    # shift=4: coordinates in sixteenths of a pixel
    cv2.fillPoly(coverage, [np.rint(outline * 16).astype(np.int32) for outline in outlines], 255, cv2.LINE_AA, shift=4)
    return coverage


def _count_pixels(outlines: list[Array]) -> int:
    """Counts the pixels of a whole object, including those outside the image."""
    corner = np.floor(outlines[0].min(axis=0)) - 2  # fillPoly's anti-aliased edges reach a little outside
    width, height = (np.ceil(outlines[0].max(axis=0)) + 3 - corner).astype(int).tolist()
    return int(np.count_nonzero(_fill([outline - corner for outline in outlines], height, width) >= 128))


def _are_visible(owner: Mask, areas: list[int]) -> bool:
    """Returns whether enough of every object is visible; ``areas`` are the pixel counts of the whole objects."""
    for index, area in enumerate(areas):
        visible = (owner == index + 1).view(np.uint8)
        if cv2.countNonZero(visible) < MIN_VISIBLE * area or min(cv2.boundingRect(visible)[2:]) < MIN_SIDE:
            return False
    return True


def _random_outlines(name: str, width: int, height: int, rng: np.random.Generator) -> list[Array]:
    """Draws a random size, position, rotation and anisotropy for a shape. Returns polygons (points, 2) in pixels."""
    shorter = min(width, height)
    diameter = math.exp(rng.uniform(math.log(SIZES[0] * shorter), math.log(SIZES[1] * shorter)))
    stretch = math.sqrt(rng.uniform(1, MAX_ANISOTROPY))
    angle = rng.uniform(0, 2 * math.pi)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    inset = 0.2 * diameter  # so that the border cuts fewer objects
    centre = rng.uniform((inset, inset), (width - inset, height - inset))
    scale = np.array([stretch, 1 / stretch]) * diameter / 2
    return [(outline * scale @ rotation + centre).astype(np.float32) for outline in OUTLINES[name](rng)]


def _radial(radii: Outline) -> Outline:
    """Returns the polygon (points, 2) with points at equal angles and the given distances from the origin."""
    angles = np.arange(len(radii)) * (2 * math.pi / len(radii))
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _cross(arm: float) -> Outline:
    """Returns a cross of radius 1 whose arms are ``2 * arm`` wide."""
    quarter = np.array([[1, -arm], [1, arm], [arm, arm]])
    turn = np.array([[0, 1], [-1, 0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


DISK = _radial(np.ones(64))
SQUARE = np.array([[0.8, 0.8], [-0.8, 0.8], [-0.8, -0.8], [0.8, -0.8]])  # becomes a rectangle when it is stretched
#: polygons (points, 2) of each shape around the origin, with a radius of about 1; a second one is a hole
OUTLINES: dict[str, Callable[[np.random.Generator], list[Outline]]] = {
    "disk": lambda rng: [DISK],
    "ring": lambda rng: [DISK, _radial(np.full(64, rng.uniform(0.5, 0.65)))],
    "square": lambda rng: [SQUARE],
    "triangle": lambda rng: [_radial(np.ones(3))],
    "star": lambda rng: [_radial(np.tile([1, rng.uniform(0.4, 0.48)], 5))],
    "cross": lambda rng: [_cross(rng.uniform(0.25, 0.36))],
}


def _render(scene: Scene, rng: np.random.Generator) -> Mask:
    """Renders a scene as an image: (height, width, 3) in BGR order, or (height, width) if it is grey."""
    height, width = scene.owner.shape
    first = rng.uniform(30, 225, 3)
    second = first + rng.uniform(-45, 45, 3)
    canvas = _colourise(_pattern(str(rng.choice(BACKGROUNDS)), height, width, rng), first, second)
    _scribble(canvas, rng)
    for coverage in scene.coverages:
        _paint(canvas, coverage, rng)
    if rng.random() < 0.3:
        canvas = cv2.GaussianBlur(canvas, (3, 3), rng.uniform(0.4, 0.9)).astype(np.float32, copy=False)
    noise = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(0, 6))
    canvas += cv2.merge([noise] * 3)
    image = canvas.clip(0, 255, out=canvas).astype(np.uint8)
    if rng.random() < GREY_FRACTION:
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return image


def _scribble(canvas: Array, rng: np.random.Generator) -> None:
    """Draws thin lines that belong to no object onto the background."""
    height, width = canvas.shape[:2]
    for _ in range(rng.integers(0, 5)):
        points = rng.uniform((0, 0), (width, height), (int(rng.integers(2, 5)), 2))
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.polylines(canvas, [points.astype(np.int32)], False, colour, int(rng.integers(1, 3)))


def _paint(canvas: Array, coverage: Mask, rng: np.random.Generator) -> None:
    """Paints one object onto the canvas in colours that contrast with its surroundings."""
    left, top, width, height = cv2.boundingRect(coverage)
    margin = 3
    window = np.s_[max(top - margin, 0) : top + height + margin, max(left - margin, 0) : left + width + margin]
    patch, cover = canvas[window], coverage[window]
    grown = cv2.dilate(cover, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    surroundings = patch[(grown > 0) & (cover == 0)] @ LUMA
    first, second = _choose_colours(surroundings, rng)
    fill = _colourise(_pattern(str(rng.choice(FILLS)), cover.shape[0], cover.shape[1], rng), first, second)
    weight = cover * np.float32(1 / 255)
    patch[:] = cv2.blendLinear(fill, patch, weight, 1 - weight)


def _choose_colours(surroundings: Array, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chooses two similar BGR colours that contrast, like all their mixtures, with the surrounding lumas (pixels,)."""
    best_fraction, best = -1.0, (np.zeros(3), np.zeros(3))
    for _ in range(20):
        first = rng.uniform(0, 255, 3)
        second = np.clip(first + rng.uniform(-60, 60, 3), 0, 255)
        low, high = sorted((float(first @ LUMA), float(second @ LUMA)))
        fraction = float(np.mean((surroundings < low - MIN_CONTRAST) | (surroundings > high + MIN_CONTRAST)))
        if fraction > best_fraction:
            best_fraction, best = fraction, (first, second)
        if fraction >= 0.9:
            break
    return best


def _colourise(pattern: Array, first: NDArray[np.float64], second: NDArray[np.float64]) -> Array:
    """Colours a pattern (height, width), from ``first`` where it is 0 to ``second`` where it is 1."""
    return cv2.transform(pattern, np.stack([second - first, first], axis=1)).astype(np.float32, copy=False)


def _pattern(kind: str, height: int, width: int, rng: np.random.Generator) -> Array:
    """Returns a texture (height, width) with values from 0 to 1."""
    match kind:
        case "plain":
            return np.zeros((height, width), np.float32)
        case "gradient":
            ramp = _ramp(height, width, rng.uniform(0, 2 * math.pi))
            return (ramp - ramp.min()) / np.float32(np.ptp(ramp))
        case "stripes":
            waves = np.sin(_ramp(height, width, rng.uniform(0, math.pi)) * np.float32(math.tau / rng.uniform(5, 24)))
            return np.clip(0.5 + np.float32(rng.uniform(0.5, 3)) * waves, 0, 1)
        case "checker":
            angle, turns = rng.uniform(0, math.pi), np.float32(math.pi / rng.uniform(6, 30))
            rows, columns = (np.sin(_ramp(height, width, a) * turns) for a in (angle, angle + math.pi / 2))
            return ((rows > 0) != (columns > 0)).astype(np.float32)
        case "smooth":
            coarse = rng.random((int(rng.integers(3, 12)), int(rng.integers(3, 12))), dtype=np.float32)
            return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
        case _:  # speckle
            grains = rng.random((height // 2 + 1, width // 2 + 1), dtype=np.float32)
            return grains.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def _ramp(height: int, width: int, angle: float) -> Array:
    """Returns the distance in pixels (height, width) from the first pixel along a direction."""
    rows = np.arange(height, dtype=np.float32) * np.float32(math.sin(angle))
    columns = np.arange(width, dtype=np.float32) * np.float32(math.cos(angle))
    return np.add.outer(rows, columns)
