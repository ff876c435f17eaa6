"""JPEG files decoded at a reduced scale show the same crops as at full size, and damage is still noticed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from litmobile.errors import ImageError
from litmobile.tasks import classification, detection, segmentation
from litmobile.tasks.images import EncodedImage, Region, read_image
from litmobile.tasks.preprocessing import Preprocessing

OneSentence = Callable[..., None]
SIZE = (304, 416)  # multiples of 8, as those of cameras
BLACK = Preprocessing((32, 40), mean=(0.0, 0.0, 0.0))


def write_scene(path: Path, height: int = SIZE[0], width: int = SIZE[1], orientation: int = 1) -> Path:
    """Write a smooth coloured image with a white rectangle."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([60 + 40 * np.sin(x / 40 + k) * np.cos(y / 50) for k in range(3)], axis=2)
    image[height // 3 : height // 2, width // 4 : width // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"quality": 95, "exif": exif} if path.suffix == ".jpg" else {}
    Image.fromarray(image.astype(np.uint8)).save(path, **quality)
    return path


def centre_of_light(image: np.ndarray) -> np.ndarray:
    weights = np.clip(image[:, :, 0].astype(float) - 128, 0, None)
    return np.array([(weights * axis).sum() / weights.sum() for axis in np.indices(weights.shape)])


def shrink(image: np.ndarray, region: Region, rows: int, columns: int) -> np.ndarray:
    return cv2.resize(image[region.slices], (columns, rows), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("size", [SIZE, (301, 419)], ids=str)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_crops_are_at_their_exact_place(factor: int, size: tuple[int, int], tmp_path: Path) -> None:
    path = write_scene(tmp_path / "image.jpg", *size)
    region = Region(13, 27, size[0] - 20, size[1] - 30)
    rows, columns = region.height // factor - 1, region.width // factor - 1
    pixels, shown = EncodedImage.read(path).crop(region, rows, columns)
    assert pixels.shape == (shown.height // factor, shown.width // factor, 3)
    assert np.abs(np.subtract((*shown[:2], *shown.ends), (*region[:2], *region.ends))).max() <= factor / 2
    expected = shrink(read_image(path), shown, *pixels.shape[:2])
    assert np.abs(centre_of_light(pixels) - centre_of_light(expected)).max() < 0.05
    assert np.abs(pixels.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("annotated", [False, True])
@pytest.mark.parametrize("size", [SIZE, (304, 304), (301, 419)], ids=str)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_images_are_rotated(orientation: int, size: tuple[int, int], annotated: bool, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "image.jpg", *size, orientation)
    full = read_image(path, size if annotated else None)
    image = EncodedImage.read(path, size if annotated else None)
    assert image.size == full.shape[:2]
    height, width = image.size
    pixels, shown = image.crop(Region(0, 0, height, width), height // 2 - 1, width // 2 - 1)
    is_rotated = orientation > 1 and not (annotated and orientation > 4 and size[0] != size[1])
    can_reduce = not is_rotated or size != (301, 419)
    assert (len(pixels) < height) == can_reduce
    expected = shrink(full, shown, *pixels.shape[:2])
    assert np.abs(centre_of_light(pixels) - centre_of_light(expected)).max() < 0.05


def test_crops_are_never_enlarged(tmp_path: Path) -> None:
    path, random = write_scene(tmp_path / "image.jpg"), np.random.default_rng(0)
    full, factors = read_image(path), set()
    for _ in range(60):
        height, width = random.integers(20, np.add(SIZE, 1)).tolist()
        top, left = random.integers(0, np.subtract(SIZE, (height, width)) + 1).tolist()
        region = Region(top, left, height, width)
        pixels, shown = EncodedImage.read(path).crop(region, 40, 50)
        factors.add(shown.height // len(pixels))
        if len(pixels) < shown.height:
            assert pixels.shape[0] >= 40 and pixels.shape[1] >= 50
        else:
            assert shown == region and np.array_equal(pixels, full[region.slices])
    assert factors == {1, 2, 4}


@pytest.mark.parametrize(("name", "mode"), [("image.png", "RGB"), ("image.jpg", "CMYK")])
def test_png_and_cmyk_files_are_decoded_at_full_size(name: str, mode: str, tmp_path: Path) -> None:
    path, region = tmp_path / name, Region(1, 3, 301, 403)
    Image.fromarray(read_image(write_scene(tmp_path / "scene.png"))).convert(mode).save(path)
    pixels, shown = EncodedImage.read(path).crop(region, 32, 40)
    assert shown == region and np.array_equal(pixels, read_image(path)[region.slices])


def test_reduced_grey_images_are_rgb(tmp_path: Path) -> None:
    Image.fromarray(read_image(write_scene(tmp_path / "rgb.jpg"))).convert("L").save(tmp_path / "image.jpg", quality=95)
    pixels, shown = EncodedImage.read(tmp_path / "image.jpg").crop(Region(0, 0, *SIZE), *np.floor_divide(SIZE, 4))
    expected = shrink(read_image(tmp_path / "image.jpg"), shown, *pixels.shape[:2])
    assert len(pixels) == SIZE[0] // 4 and np.abs(pixels.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_truncated_files_are_refused(part: float, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = write_scene(tmp_path / "image.jpg")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    for size in (None, SIZE):
        with pytest.raises(ImageError) as caught:
            EncodedImage.read(path, size).crop(Region(0, 0, *SIZE), 32, 40)
        assert_one_sentence(caught.value, path, "cannot be read as an image")


def test_a_wrong_annotated_size_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    """Both sizes have the same number of reduced pixels."""
    path = write_scene(tmp_path / "image.jpg")
    with pytest.raises(ImageError) as caught:
        EncodedImage.read(path, (303, 415)).crop(Region(0, 0, 300, 410), 32, 40)
    assert_one_sentence(caught.value, "is 416×304 pixels", "say 415×303")


# augmentations of all tasks


@pytest.mark.parametrize("expand", [1, 3])
def test_boxes_stay_with_pixels_decoded_at_reduced_scale(expand: float, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "image.jpg", 301, 419)
    boxes = np.array([[419 // 4, 100, 419 // 2, 150]], np.float32)
    augmentation = detection.SSDAugmentation(expand=expand, flip=0.5, vertical_flip=0.5)
    encoded = detection.split.Sample(EncodedImage.read(path, (301, 419)), boxes, np.zeros(1, np.int64))
    decoded = encoded._replace(image=read_image(path))
    for seed in range(40):
        ours, full = (augmentation(s, BLACK, np.random.default_rng(seed)) for s in (encoded, decoded))
        np.testing.assert_allclose(ours.boxes, full.boxes, atol=0.5)
        moved = (ours.boxes - full.boxes)[0].reshape(2, 2).mean(0)[::-1]  # pixels move as the box does
        assert np.abs(centre_of_light(ours.image) - centre_of_light(full.image) - moved).max() < 0.3
        (x1, y1, x2, y2), bright = ours.boxes[0], ours.image[:, :, 0] > 160
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(found, [x1, y1, x2, y2], atol=1)


def test_masks_stay_with_pixels_decoded_at_reduced_scale(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "image.jpg", 301, 419)
    labels = (read_image(path)[:, :, 0] > 160).astype(np.uint8)
    augmentation = segmentation.ScaleCropAugmentation(scale=(0.8, 1.2))
    for seed in range(20):
        sample = segmentation.split.Sample(EncodedImage.read(path), labels)
        found = augmentation(sample, Preprocessing((64, 80)), np.random.default_rng(seed))
        assert ((found.image[:, :, 0] > 160) != (found.labels == 1))[found.labels < 255].mean() < 0.03


@pytest.mark.parametrize("make", [classification.CropAugmentation, classification.ShiftAugmentation])
def test_classifiers_get_the_same_crops(make: Callable[[], classification.Augmentation], tmp_path: Path) -> None:
    path = write_scene(tmp_path / "image.jpg", 301, 419)
    for seed in range(20):
        images = (EncodedImage.read(path), read_image(path))
        ours, full = (make().augment(image, BLACK, np.random.default_rng(seed)) for image in images)
        assert np.abs(ours.astype(int) - full).mean() < 5


def test_the_loader_decodes_crops_at_reduced_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in ("a", "b"):
        (tmp_path / "train" / label).mkdir(parents=True)
        write_scene(tmp_path / "train" / label / "image.jpg")
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    data = classification.FolderClassification(str(tmp_path), num_workers=0, batch_size=2, seed=0)
    data.preprocessing = Preprocessing((32, 32))
    data.setup("fit")
    monkeypatch.setattr(EncodedImage, "pixels", None)  # no image is decoded at full size
    data.augmentation = classification.CropAugmentation(scale=(0.9, 1.0))
    (batch,) = data.train_dataloader()
    assert batch.images.shape == (2, 3, 32, 32)


def test_encoded_images_are_read_from_memory() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "JPEG")
    assert EncodedImage("image", buffer.getvalue()).size == (48, 64)
