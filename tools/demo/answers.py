"""Turns predictions into plain values for the demo's page: boxes in pixels, a PNG of labels, or the best classes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ...heads.predictions import Classification, Detections, Prediction, Segmentation
from ...tasks.drawing import find_background
from ...tasks.segmentation.colours import class_colours

NUMBER_OF_CLASSES = 5  # of a classifier that the page shows
MAX_LABEL_SIDE = 2048  # pixels; label maps with a longer side are reduced, because screens show no more
PNG_LEVEL = 1  # the file is sent once, and not stored


def choose_colours(classes: Sequence[str]) -> list[str]:
    """Returns a colour for each class, as "#rrggbb"."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours(classes)]


def describe_prediction(prediction: Prediction, classes: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    """Describes the prediction for one image.

    Args:
        prediction: in pixels of the image.
        classes: names of the classes.
        colours: one "#rrggbb" for each class.

    Returns:
        - of a detector, "detections", highest score first: "box" (x1, y1, x2, y2), "score" and "label";
        - of a segmentation network, "mask", a PNG as a data URL in the colours of the classes, whose background is
          transparent, and "shares" of the pixels by class, largest first;
        - of a classifier, "scores" of the five most probable classes, best first.
    """
    if isinstance(prediction, Detections):
        return {"detections": list_detections(prediction)}
    if isinstance(prediction, Segmentation):
        labels = prediction.labels.cpu().numpy().astype(np.uint8)
        return {"mask": encode_mask(labels, classes, colours), "shares": measure_shares(labels)}
    assert isinstance(prediction, Classification)
    best = prediction.scores.topk(min(NUMBER_OF_CLASSES, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {"scores": [{"label": label, "score": score} for label, score in pairs]}


def list_detections(detections: Detections) -> list[dict[str, Any]]:
    """Returns one record for each object."""
    columns = zip(*(values.tolist() for values in detections), strict=True)
    return [{"box": box, "score": score, "label": label} for box, score, label in columns]


def measure_shares(labels: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Returns the share of the pixels of each class in ``labels`` ``[H, W]``, largest first."""
    counts = np.bincount(labels.reshape(-1))
    order = np.argsort(-counts, kind="stable")
    return [{"label": int(k), "share": float(counts[k] / labels.size)} for k in order if counts[k]]


def encode_mask(labels: NDArray[np.uint8], classes: Sequence[str], colours: Sequence[str]) -> str:
    """Encodes ``labels`` ``[H, W]`` as a PNG with the class colours as its palette, in a data URL.

    A browser only has to draw it: reading values back from a canvas gives other values where it protects privacy.
    """
    step = -(-max(labels.shape) // MAX_LABEL_SIDE)
    image = PIL.Image.fromarray(labels[::step, ::step])
    image.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in colours))
    background = find_background(classes)
    alpha = bytes(0 if k in background else 255 for k in range(len(classes)))
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=PNG_LEVEL, transparency=alpha)
    return f"data:image/png;base64,{base64.b64encode(encoded.getvalue()).decode()}"
