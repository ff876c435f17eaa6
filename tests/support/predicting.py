"""Images, videos and a segmentation network for `litmobile predict`, and the expected rows of a result file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.heads import LRASPP, Segmentation
from litmobile.heads.predictions import Detections
from litmobile.tasks.drawing import READABLE_SIDE
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing

CLASSES = ("sky", 'a "wall", wet', "Käfer")
Labels = NDArray[np.generic]
Segment = Callable[..., Path]
Rows = list[dict[str, Any]]


def list_images(shapes: Path) -> list[Path]:
    """List the images of the validation split."""
    return sorted((shapes / "val").glob("*.jpg"))


def save_network(network: Network, path: Path) -> Path:
    """Write ``network`` as a run's checkpoint."""
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"network": network.config(), "state_dict": state}, path)
    return path


def convert_to_rows(detections: Detections) -> Rows:
    """Convert detections to the expected rows of the result file."""
    assert len(detections.boxes) > 0
    sizes = detections.boxes[:, 2:] - detections.boxes[:, :2]
    boxes = torch.cat((detections.boxes[:, :2], sizes), dim=1).tolist()
    return [
        {"category_id": label + 1, "bbox": box, "score": score}
        for box, score, label in zip(boxes, detections.scores.tolist(), detections.labels.tolist(), strict=True)
    ]


def drop_keys(rows: Rows, *keys: str) -> Rows:
    """Remove some keys from all rows."""
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


def read_image_size(path: Path) -> tuple[int, ...]:
    """Read the stored height and width of an image."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert image is not None, path
    return image.shape[:2]


def enlarge_size(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return height and width of the drawn detections of a small image."""
    return tuple(side * (READABLE_SIDE // max(size)) for side in size)


def list_media(folder: Path) -> list[str]:
    """List the images and videos in ``folder``."""
    files = (path for path in folder.rglob("*.*") if path.suffix not in (".json", ".csv", ".txt"))
    return sorted(path.relative_to(folder).as_posix() for path in files)


def write_video(path: Path, frames: int = 6, size: tuple[int, int] = (96, 64)) -> Path:
    """Write a video of moving noise."""
    noise = np.random.default_rng(0).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 12.5, size)
    for k in range(frames):
        writer.write(np.roll(noise, 5 * k, axis=1))
    writer.release()
    return path


def make_segmenter(classes: tuple[str, ...]) -> Network:
    """Make a small network whose label maps contain every class."""
    torch.manual_seed(0)
    network = Network(MobileNetV2(0.35), LRASPP, classes, Preprocessing((64, 64), "pad"), role="segmentation").eval()
    head = network.head
    assert isinstance(head, LRASPP)
    with torch.no_grad():  # with random weights one class would win everywhere
        logits = network(torch.from_numpy(make_noise(64, 64)).permute(2, 0, 1)[None])
        head.get_submodule(head.class_layers[0]).bias.sub_(logits.mean((0, 2, 3)))
    return network


def make_noise(height: int, width: int) -> NDArray[np.uint8]:
    """Make an image of coloured blots."""
    rough = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def save_segmenter(classes: tuple[str, ...], path: Path) -> Path:
    """Write a checkpoint of :func:`make_segmenter`."""
    return save_network(make_segmenter(classes), path)


def predict_labels(run: Path, image: Path | Any) -> Labels:
    """Predict labels with the Python interface."""
    prediction = litmobile.load(run).predict(image).prediction
    assert isinstance(prediction, Segmentation)
    return prediction.labels.numpy()
