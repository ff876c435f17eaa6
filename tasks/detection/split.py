"""The detection split: images and their objects, in flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError, format_count
from ..data.files import find_missing_files
from ..data.split import OnInvalid, Rows, Split, find_errors
from ..data.stratified import Stratum
from ..data.verification import ImageFacts
from ..images import EncodedImage, I_co, Image, read_image
from .evaluation.ground_truth import GroundTruth
from .objects import ObjectTable, check_unit, clean_objects


class ImageRecord(NamedTuple):
    """An image and its objects, for :meth:`DetectionSplit.from_records`.

    Attributes:
        name: file name relative to the image folder.
        size: (height, width) in pixels.
        boxes: ``[n, 4]`` as x1, y1, x2, y2 in pixels; the first pixel of an image extends from 0 to 1.
        labels: ``[n]`` class indices, from 0.
        difficult: ``[n]``, whether the evaluation ignores the object; None for False.
        crowd: ``[n]``, whether it is a group of objects, which training ignores as well; None for False.
    """

    name: str
    size: tuple[int, int]
    boxes: ArrayLike
    labels: Sequence[int]
    difficult: Sequence[bool] | None = None
    crowd: Sequence[bool] | None = None


class Sample(NamedTuple, Generic[I_co]):
    """An image and its objects.

    Attributes:
        image: ``[H, W, 3]`` uint8 RGB, or a file that is not decoded yet.
        boxes: ``[n, 4]`` float32 as x1, y1, x2, y2 in pixels of ``image``.
        labels: ``[n]`` int64 class indices.
    """

    image: I_co
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DetectionSplit(Split):
    """Images and objects of one split.

    Attributes:
        image_ids: ids of the images in the source, ``[I]`` int64.
        sizes: (height, width) in pixels, ``[I, 2]`` int64.
        starts: image i has the objects ``starts[i]`` to ``starts[i + 1] - 1``, ``[I + 1]`` int64.
        boxes: x1, y1, x2, y2 in pixels, inside the image and of positive size, ``[B, 4]`` float32; no crowds.
        labels: class indices, ``[B]`` int64.
        difficult: whether the evaluation ignores the object, ``[B]`` bool.
        category_ids: ids of the classes in the source, ``[C]`` int64.
        ground_truth: all objects for the evaluation, crowds included; also of images that :meth:`take` left out.
    """

    image_ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    category_ids: NDArray[np.int64]
    ground_truth: GroundTruth

    @classmethod
    def from_records(
        cls,
        source: Path,
        folder: Path,
        classes: Sequence[str],
        records: Sequence[ImageRecord],
        notes: Sequence[str] = (),
        on_invalid: OnInvalid = "raise",
    ) -> DetectionSplit:
        """Builds a split from records; see :meth:`from_objects`.

        Args:
            source: file or folder that messages name.
            folder: folder of the images.
            classes: class names in the order of their indices.
            records: the images.
            notes: sentences about earlier repairs and omissions.
            on_invalid: "skip" accepts missing images; reading them fails later.

        Raises:
            DataError: ``records`` is empty, a label is not a class index, or an image file is missing.
        """
        if not records:
            raise DataError(f"{source} contains no images.")
        for record in records:
            if len(record.labels) and not 0 <= min(record.labels) <= max(record.labels) < len(classes):
                raise DataError(f"{source}: {record.name} has a label outside 0 … {len(classes) - 1}.")
        counts = [len(record.labels) for record in records]
        corners = np.concatenate([np.asarray(r.boxes, dtype=np.float64).reshape(-1, 4) for r in records])
        objects = ObjectTable(
            images=np.repeat(np.arange(len(records)), counts),
            labels=np.concatenate([np.asarray(r.labels, dtype=np.int64) for r in records]),
            boxes=np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1),
            areas=np.full(sum(counts), np.nan),
            is_crowd=concatenate_flags([record.crowd for record in records], counts),
            is_difficult=concatenate_flags([record.difficult for record in records], counts),
        )
        return cls.from_objects(
            source=source,
            folder=folder,
            names=np.array([record.name for record in records]),
            image_ids=np.arange(1, len(records) + 1),
            sizes=np.array([record.size for record in records], dtype=np.int64),
            classes=classes,
            category_ids=np.arange(1, len(classes) + 1),
            objects=objects,
            notes=notes,
            on_invalid=on_invalid,
        )

    @classmethod
    def from_objects(
        cls,
        *,
        source: Path,
        folder: Path,
        names: NDArray[np.str_],
        image_ids: NDArray[np.int64],
        sizes: NDArray[np.int64],
        classes: Sequence[str],
        category_ids: NDArray[np.int64],
        objects: ObjectTable,
        notes: Sequence[str] = (),
        on_invalid: OnInvalid = "raise",
    ) -> DetectionSplit:
        """Builds a split from flat arrays, by one rule for training and evaluation.

        Boxes are clipped to their image, and boxes without area are left out of both. A box that exceeds its image by
        at most 0.01 pixels, the rounding of the file, is evaluated as it is.

        Args:
            source: file or folder that messages name.
            folder: folder of the images.
            names: file names relative to ``folder``, ``[I]``.
            image_ids: ids of the images in the source, ``[I]``.
            sizes: (height, width) in pixels, ``[I, 2]``.
            classes: class names in the order of their indices.
            category_ids: ids of the classes in the source, ``[C]``.
            objects: the objects in any order.
            notes: sentences about earlier repairs and omissions.
            on_invalid: "skip" accepts missing images; reading them fails later.

        Raises:
            DataError: an image file is missing, or boxes are not in pixels.
        """
        check_images_exist(names, folder, source, on_invalid)
        check_unit(objects.boxes, source)
        objects, repairs = clean_objects(objects, sizes, source)
        trained = np.flatnonzero(~objects.is_crowd)
        trained = trained[np.argsort(objects.images[trained], kind="stable")]
        boxes = objects.boxes[trained]
        corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
        limits = np.tile(sizes[objects.images[trained]][:, ::-1], 2)
        return cls(
            source=source,
            folder=folder,
            names=names,
            image_ids=image_ids,
            sizes=sizes,
            starts=np.searchsorted(objects.images[trained], np.arange(len(names) + 1)),
            boxes=np.clip(corners, 0, limits).astype(np.float32),
            labels=objects.labels[trained],
            difficult=objects.is_difficult[trained],
            classes=tuple(classes),
            category_ids=category_ids,
            ground_truth=GroundTruth.from_objects(image_ids, names, category_ids, classes, objects),
            notes=(*notes, *repairs),
        )

    def image(self, index: int) -> Image:
        """Reads image ``index``, ``[H, W, 3]`` uint8 RGB, in the orientation that its boxes refer to."""
        return read_image(self.path(index), self.size(index))

    def sample(self, index: int) -> Sample[Image]:
        return Sample(self.image(index), *self.objects(index))

    def encoded_sample(self, index: int) -> Sample[EncodedImage]:
        return Sample(EncodedImage.read(self.path(index), self.size(index)), *self.objects(index))

    def strata(self) -> list[Stratum]:
        """The images of each class, the rarest class first, and finally all images.

        A class may be missing in validation, because the images of a rare class are worth more in training.
        """
        pairs = np.unique(np.stack((self.labels, self.owners)), axis=1)  # a class and an image that shows it
        by_class = np.split(pairs[1], np.cumsum(np.bincount(pairs[0], minlength=len(self.classes)))[:-1])
        named = [Stratum(name, images, False) for name, images in zip(self.classes, by_class, strict=True)]
        rarest_first = sorted((stratum for stratum in named if len(stratum.images)), key=lambda s: len(s.images))
        return [*rarest_first, *super().strata()]

    def find_invalid(self, facts: ImageFacts) -> dict[int, str]:
        """See :meth:`Split.find_invalid`; images of another size than annotated are invalid, too."""
        contradicting = np.setdiff1d(np.flatnonzero(~facts.fits(self.sizes)), list(facts.errors))
        return dict(sorted((facts.errors | find_errors(self.image, contradicting.tolist())).items()))

    def annotated_sizes(self) -> NDArray[np.int64]:
        return self.sizes

    def size(self, index: int) -> tuple[int, int]:
        """Returns (height, width) of image ``index`` in pixels."""
        height, width = self.sizes[index].tolist()
        return height, width

    def objects(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns boxes ``[n, 4]`` and labels ``[n]`` of image ``index``."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.boxes[rows], self.labels[rows]

    @property
    def owners(self) -> NDArray[np.int64]:
        """Index of the image of every object, ``[B]``."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: Rows) -> Self:
        images = np.arange(len(self))[rows]
        counts = np.diff(self.starts)[images]
        starts = np.concatenate(([0], np.cumsum(counts)))
        objects = np.repeat(self.starts[images] - starts[:-1], counts) + np.arange(starts[-1])
        taken = replace(super().take(rows), image_ids=self.image_ids[images], sizes=self.sizes[images])
        return taken._replace_objects(starts, objects)

    def take_objects(self, objects: NDArray[np.bool_]) -> Self:
        """Returns the same images with only the objects that the mask ``[B]`` selects."""
        return self._replace_objects(np.concatenate(([0], np.cumsum(objects)))[self.starts], objects)

    def _replace_objects(self, starts: NDArray[np.int64], rows: Rows) -> Self:
        """Returns the same images with the objects that ``rows`` selects: a mask, or indices in a new order."""
        boxes, labels, difficult = self.boxes[rows], self.labels[rows], self.difficult[rows]
        return replace(self, starts=starts, boxes=boxes, labels=labels, difficult=difficult)


def check_images_exist(names: NDArray[np.str_], folder: Path, source: Path, on_invalid: OnInvalid) -> None:
    """Raises DataError if ``folder`` does not exist, or if images are missing in it and ``on_invalid`` is "raise"."""
    missing = find_missing_files(names, folder)
    if missing and on_invalid == "raise":
        count, example = format_count(len(missing), "images"), missing[0] or "one unnamed"
        raise DataError(f"{source}: {count} missing in {folder}, such as {example}.")


def concatenate_flags(flags: Sequence[Sequence[bool] | None], counts: Sequence[int]) -> NDArray[np.bool_]:
    """Joins the flags of the objects of all images; None stands for False."""
    parts = [[False] * count if part is None else part for part, count in zip(flags, counts, strict=True)]
    return np.concatenate([np.asarray(part, dtype=bool) for part in parts])
