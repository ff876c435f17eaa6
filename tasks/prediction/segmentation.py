"""The label map of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks
from torch import Tensor

from ...errors import format_count
from ...heads.predictions import Segmentation
from ..drawing import draw_label_map, find_background
from ..images import Image
from ..images.inputs import InputImage
from .packages import import_supervision
from .result import Entry, ImageResult


class Segment(NamedTuple):
    """The pixels of one class: its index, their number, and their share of the image in 0 … 1."""

    label: int
    pixels: int
    share: float


class ImageSegmentation(ImageResult):
    """The class of every pixel of an image; ``len`` is the number of its classes, a background not counted.

    Attributes:
        prediction: scores and labels.
    """

    prediction: Segmentation
    takes_score = False

    def __init__(
        self,
        prediction: Segmentation,
        classes: Sequence[str],
        source: InputImage,
        size: tuple[int, int],
        score: float | None = None,
    ) -> None:
        super().__init__(prediction.cpu(), classes, source, size, score)

    @property
    def labels(self) -> Tensor:
        """Class indices ``[h, w]``, int64."""
        return self.prediction.labels

    @property
    def scores(self) -> Tensor:
        """Scores ``[num_classes, h, w]``, computed on each access."""
        return self.prediction.scores

    @property
    def segments(self) -> list[Segment]:
        """The classes that the label map contains, the largest first, without a background class."""
        counts = self.labels.flatten().bincount(minlength=len(self.classes)).tolist()
        hidden = find_background(self.classes)
        shown = [k for k, count in enumerate(counts) if count and k not in hidden]
        total = self.labels.numel()
        return [Segment(k, counts[k], counts[k] / total) for k in sorted(shown, key=lambda k: -counts[k])]

    def mask(self, label: int) -> NDArray[np.bool_]:
        """Returns which pixels have the class ``label``, ``[h, w]``."""
        return (self.labels == label).numpy()

    def __len__(self) -> int:
        return len(self.segments)

    def headline(self) -> str:
        return format_count(len(self), "classes") if len(self) else "no classes"

    def entries(self) -> list[Entry]:
        return [Entry(self.classes[part.label], f"{part.share:.1%}") for part in self.segments]

    def draw(self, score: float | None = None, is_frame: bool = False) -> Image:
        from ..segmentation.colours import class_colours

        labels = self.labels.numpy().astype(np.uint8)
        return draw_label_map(self.image, labels, self.classes, class_colours(self.classes), is_frame)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON: path, height, width, and each class with its pixels, share and mask.

        A mask is COCO's compressed run-length encoding, which ``pycocotools.mask.decode`` reads.
        """
        classes = [
            {
                "label": part.label,
                "class": self.classes[part.label],
                "pixels": part.pixels,
                "share": part.share,
                "mask": encode_mask(self.mask(part.label)),
            }
            for part in self.segments
        ]
        return {**self.describe_source(), "classes": classes}

    def to_supervision(self) -> Any:
        """Returns ``supervision.Detections`` with a mask for each class, its box, and "class_name".

        Raises:
            UserError: the package is not installed.
        """
        supervision = import_supervision()
        parts = self.segments
        masks = np.array([self.mask(part.label) for part in parts], dtype=bool).reshape(len(parts), *self.size)
        return supervision.Detections(
            xyxy=supervision.mask_to_xyxy(masks).astype("float32").reshape(-1, 4),
            mask=masks,
            class_id=np.array([part.label for part in parts], dtype=int),
            data={"class_name": np.array([self.classes[part.label] for part in parts], dtype=np.str_)},
        )


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Returns a mask in COCO's compressed run-length encoding, as plain values."""
    encoded: Any = coco_masks.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}
