"""Fixtures for the tests of the tasks: small COCO folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture
def content() -> dict[str, Any]:
    """A valid annotation file with unsorted ids, gaps, id 0, a crowd, and a last image without objects."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 40, "width": 60},
            {"id": 0, "file_name": "b.png", "height": 50, "width": 50},
            {"id": 3, "file_name": "inner/c.png", "height": 30, "width": 45},
        ],
        "categories": [{"id": 9, "name": "nine"}, {"id": 0, "name": "zero"}, {"id": 4, "name": "four"}],
        "annotations": [
            {"id": 11, "image_id": 0, "category_id": 4, "bbox": [5, 6, 20, 10], "area": 200, "iscrowd": 0},
            {"id": 12, "image_id": 7, "category_id": 9, "bbox": [1.5, 2, 30, 30], "area": 900, "iscrowd": 0},
            {"id": 13, "image_id": 0, "category_id": 0, "bbox": [10, 10, 25, 25.25], "area": 600, "iscrowd": 0},
            {"id": 14, "image_id": 7, "category_id": 0, "bbox": [0, 0, 40, 30], "area": 1000, "iscrowd": 1},
        ],
    }


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """A function that writes annotations and a noisy image file for each image: (content, split) → (file, folder)."""

    def write(content: dict[str, Any], split: str = "train") -> tuple[Path, Path]:
        folder = tmp_path / "coco" / split
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(0)
        for image in content.get("images", []):
            path = folder / image.get("file_name", "unnamed.png")
            if "absent" not in path.name:
                path.parent.mkdir(exist_ok=True)
                sides = [n if isinstance(n := image.get(side), int) else 9 for side in ("height", "width")]
                pixels = random.integers(256, size=(*sides, 3), dtype=np.uint8)
                path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
        file = tmp_path / "coco" / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
        return file, folder

    return write
