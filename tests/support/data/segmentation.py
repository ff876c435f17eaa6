"""Small data sets of images and masks, in every layout that litmobile reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import ArrayLike

WIDTH, HEIGHT = 12, 8
CLASSES = ("dark", "middle", "light")


def write_mask(path: Path, values: ArrayLike, mode: str | None = None) -> Path:
    """Write ``values`` unchanged, ``[H, W]`` or ``[H, W, C]``; ``mode`` is None or Pillow's "P" or "1"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(values)
    if mode == "1":
        image = PIL.Image.fromarray(array.astype(bool))
    else:
        image = PIL.Image.fromarray(array if array.dtype in (np.uint16, np.float32) else array.astype(np.uint8))
    if mode == "P":
        image = PIL.Image.frombytes("P", image.size, image.tobytes())
        image.putpalette(np.random.default_rng(1).permutation(768).astype(np.uint8).tobytes())
    image.save(path)
    return path


def write_image(path: Path, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """Write an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(path)
    return path


def make_stripes(values: Sequence[int], height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return a mask with a vertical stripe for each of ``values``."""
    columns = np.arange(width) * len(values) // width
    return np.tile(np.asarray(values)[columns], (height, 1))


def write_pairs(
    images: Path, masks: Path, count: int, values: Sequence[int] = (0, 1, 2), suffixes: tuple[str, str] = ("", "")
) -> None:
    """Write images 0 … ``count`` − 1 and their masks, each of which contains all ``values``."""
    for number in range(count):
        write_image(images / f"{number}{suffixes[0]}.png", number)
        write_mask(masks / f"{number}{suffixes[1]}.png", make_stripes(values))


def write_split(root: Path, split: str, count: int, values: Sequence[int] = (0, 1, 2)) -> Path:
    """Write a split into ``root/images`` and ``root/masks``; returns ``root``."""
    write_pairs(root / "images" / split, root / "masks" / split, count, values)
    return root


def write_cityscapes(root: Path, cities: Sequence[str] = ("aachen", "ulm"), values: Sequence[int] = range(34)) -> Path:
    """Write "train" and "val" of Cityscapes with one image per city and all published files next to the masks."""
    for split in ("train", "val"):
        for city in cities:
            stem = f"{city}_000000_000019"
            write_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", height=4, width=34)
            truth = root / "gtFine" / split / city
            write_mask(truth / f"{stem}_gtFine_labelIds.png", make_stripes(values, 4, 34))
            write_mask(
                truth / f"{stem}_gtFine_instanceIds.png", make_stripes(range(24000, 24034), 4, 34).astype(np.uint16)
            )
            write_image(truth / f"{stem}_gtFine_color.png", height=4, width=34)
            (truth / f"{stem}_gtFine_polygons.json").write_text("{}")
    return root


def write_voc_segmentation(root: Path, stems: Sequence[str], split: str, values: Sequence[int] = (0, 15, 255)) -> Path:
    """Write a split of Pascal VOC with palette masks."""
    for number, stem in enumerate(stems):
        write_image(root / "JPEGImages" / f"{stem}.jpg", number)
        write_mask(root / "SegmentationClass" / f"{stem}.png", make_stripes(values), "P")
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("".join(f"{stem}\n" for stem in stems))
    return root


def write_block_images(root: Path, split: str, images: int, unlabelled: bool = False) -> Path:
    """Write ``images`` and masks of ``split`` into ``root``; the brightness of a block shows its class.

    Sizes differ. The first row of each mask is ignored, or the whole mask if ``unlabelled``. Returns ``root``.
    """
    random = np.random.default_rng(images)
    for number in range(images):
        labels = random.integers(len(CLASSES), size=(3, 4)).repeat(16, axis=0).repeat(14, axis=1).astype(np.uint8)
        labels = labels[: 48 - number % 3]
        grey = random.normal(50 + 75 * labels[:, :, None], 15, size=(*labels.shape, 3)).clip(0, 255)
        write_mask(root / "images" / split / f"{number}.png", grey)
        labels[: None if unlabelled else 1] = 255
        write_mask(root / "masks" / split / f"{number}.png", labels)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def write_camvid(root: Path, images: int = 4) -> Path:
    """Write "train" and "val" in CamVid's layout, with all classes and ignored pixels."""
    for split in ("train", "val"):
        write_pairs(root / split, root / f"{split}annot", images, range(12))
    return root
