"""Pictures and videos to predict on, and what a file of detections should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from litmobile.heads.predictions import Detections
from litmobile.tasks.network import Network

Rows = list[dict[str, Any]]


def pictures(shapes: Path) -> list[Path]:
    """The pictures of the validation split."""
    return sorted((shapes / "val").glob("*.jpg"))


def save(network: Network, path: Path) -> Path:
    """Writes ``network`` as a checkpoint of a run."""
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"network": network.config(), "state_dict": state}, path)
    return path


def as_rows(found: Detections) -> Rows:
    """What a file of results should hold of ``found``."""
    assert len(found.boxes) > 0
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    boxes = torch.cat((found.boxes[:, :2], sizes), dim=1).tolist()
    return [
        {"category_id": label + 1, "bbox": box, "score": score}
        for box, score, label in zip(boxes, found.scores.tolist(), found.labels.tolist(), strict=True)
    ]


def without(rows: Rows, *keys: str) -> Rows:
    """The rows less some of their keys."""
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


def size_of(path: Path) -> tuple[int, ...]:
    """Height and width of a picture as it is stored."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert image is not None, path
    return image.shape[:2]


def drawn(folder: Path) -> list[str]:
    """The pictures and videos in ``folder``."""
    files = (path for path in folder.rglob("*.*") if path.suffix not in (".json", ".csv", ".txt"))
    return sorted(path.relative_to(folder).as_posix() for path in files)


def film(path: Path, frames: int = 6, size: tuple[int, int] = (96, 64)) -> Path:
    """A video of moving noise."""
    noise = np.random.default_rng(0).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 12.5, size)
    for k in range(frames):
        writer.write(np.roll(noise, 5 * k, axis=1))
    writer.release()
    return path
