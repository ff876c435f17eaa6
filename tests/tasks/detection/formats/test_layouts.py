"""Every layout is recognised by its folder alone, and read with the same boxes, classes and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import CLASSES, IMAGES, LAYOUTS, NO_EMPTY_IMAGES, UNLISTED


def read_splits(root: Path, stage: str = "fit", **options: Any) -> dict[str, DetectionSplit]:
    data = FolderDetection(str(root), num_workers=0, **options)
    data.setup(stage)
    return data.splits


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_read_from_its_folder_alone(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    splits = read_splits(tmp_path)
    classes = tuple(sorted(CLASSES)) if layout.startswith(UNLISTED) else CLASSES
    found: dict[tuple[str, str], Any] = {}
    for name, split in splits.items():
        assert split.classes == classes
        for k in range(len(split)):
            boxes, labels = split.objects(k)
            assert split.image(k).shape[:2] == split.size(k)
            found[name, split.path(k).stem] = split.size(k), [classes[label] for label in labels], boxes
    expected = [image for image in IMAGES if image.objects or layout not in NO_EMPTY_IMAGES]
    assert set(found) == {(image.split, image.stem) for image in expected}
    for image in expected:
        size, names, boxes = found[image.split, image.stem]
        assert size == image.size
        assert names == [name for name, _ in image.objects]
        np.testing.assert_allclose(
            boxes.reshape(-1, 4), np.reshape([box for _, box in image.objects], (-1, 4)), atol=1e-3
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_line_on_the_format_names_its_splits(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    line = FolderDetection(str(tmp_path)).format.describe()
    assert "train" in line
    assert "class" in line
