"""How well the anchors of a network suit the objects of its data, and which would suit them better."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor

from ...backbones.contract import Feature, Features, public_path
from ...heads.ssdlite import SSDLite
from ...heads.ssdlite.anchor_recall import AnchorRecall, measure_anchor_recall
from ...heads.ssdlite.anchor_search import AnchorOptions, Grid, search_anchors
from ...heads.ssdlite.anchors import Layout
from ...tasks.detection import DetectionSplit, DetectionTask
from ...tasks.detection.statistics import input_boxes, visible
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task

MOST_OBJECTS = 20_000  # that are measured; of more, those of images at equal distances


@dataclass(frozen=True)
class ClassReach:
    """What anchors make of the objects of one class, or of all.

    Attributes:
        name: of the class.
        objects: how many were measured.
        reached: share that an anchor overlaps enough to answer for it; None where there is no object.
        iou: mean over objects of the best anchor's.
        positives: anchors that answer for an object, on average.
    """

    name: str
    objects: int
    reached: float | None
    iou: float | None
    positives: float | None


@dataclass(frozen=True)
class AnchorFigures:
    """Anchors as SSDLite's arguments give them, ``anchors`` in all, and what they make of a split's objects."""

    scales: list[float]
    ratios: list[float] | list[list[float]]
    layout: Layout
    anchors: int
    overall: ClassReach
    classes: list[ClassReach]


@dataclass(frozen=True)
class AnchorReport:
    """Anchors at hand beside those that suit the data better.

    Attributes:
        split: whose objects were measured.
        one_image_in: how many images there are for one that was measured.
        of_published: no network was given: those of the published SSDLite on strides 16 and 32 are looked at.
        task: import path of the task that the options are for, as head.
        head: see ``task``.
        threshold: IoU from which an anchor reaches an object.
        grids: (rows, columns) of the maps, finest first.
        present: the anchors at hand.
        suggested: better ones; None where none were found.
    """

    split: str
    one_image_in: int
    of_published: bool
    task: str
    head: str
    threshold: float
    grids: list[Grid]
    present: AnchorFigures
    suggested: AnchorFigures | None

    def flags(self) -> str:
        """The suggested options for the command line."""
        flags = (f"--model.head.{name}={value}".replace(", ", ",") for name, value in self._options().items())
        return shlex.join(flags)  # brackets mean something to some shells

    def yaml(self) -> str:
        """The suggested options for a configuration file that is given after the training's own."""
        head = {"class_path": self.head, "init_args": self._options()}
        model = {"model": {"class_path": self.task, "init_args": {"head": head}}}
        return yaml.safe_dump(model, default_flow_style=None, sort_keys=False, width=1000).rstrip()

    def _options(self) -> dict[str, Any]:
        assert self.suggested is not None
        return {name: getattr(self.suggested, name) for name in ("scales", "ratios", "layout")}


class Objects(NamedTuple):
    """``boxes`` ``[B, 4]`` in pixels of the input, ``labels`` ``[B]``, and ``owners`` ``[B]``, their images."""

    boxes: Tensor
    labels: Tensor
    owners: Tensor


def anchor_report(
    task: Task | None, split: str, annotations: DetectionSplit, preprocessing: Preprocessing
) -> AnchorReport | str:
    """Measures the anchors of ``task``'s network on a split; a sentence where there is nothing to measure.

    Args:
        task: None takes the published SSDLite.
        split: name of the split.
        annotations: its objects.
        preprocessing: how images become the input.
    """
    step = max(1, -(-len(annotations.labels) // MOST_OBJECTS))
    objects = measured(annotations, preprocessing, step)
    if not len(objects.boxes):
        return f"There are no objects in {annotations.source} to measure anchors on."
    head, maps = published(preprocessing) if task is None else built(task, annotations.classes)
    if not isinstance(head, SSDLite):
        return f"{type(head).__name__} lays no anchors."
    with torch.inference_mode():
        grids = [(level.shape[2], level.shape[3]) for level in head.pyramid(maps)]
    laid = head.anchors
    present = AnchorOptions(laid.scales, laid.ratios, laid.layout)
    better = search_anchors(objects.boxes, objects.labels, grids, preprocessing.size, present, head.iou_thresh)

    def figures(options: AnchorOptions) -> AnchorFigures:
        anchors = options.build_generator()(grids, preprocessing.size, objects.boxes)
        found = measure_anchor_recall(objects.boxes, objects.owners, anchors, head.iou_thresh)
        overall, *classes = by_class(found, objects.labels, annotations.classes, head.iou_thresh)
        scales, ratios = list(options.anchor_scales), list(options.aspect_ratios)
        return AnchorFigures(scales, ratios, options.layout, len(anchors), overall, classes)  # pyright: ignore[reportArgumentType] — either kind of ratios

    return AnchorReport(
        split=split,
        one_image_in=step,
        of_published=task is None,
        task=public_path(DetectionTask if task is None else type(task)),
        head=public_path(type(head)),
        threshold=head.iou_thresh,
        grids=grids,
        present=figures(present),
        suggested=None if better is present else figures(better),
    )


def measured(annotations: DetectionSplit, preprocessing: Preprocessing, step: int) -> Objects:
    """Objects that training would see without augmentation, of every ``step``-th image."""
    some = annotations.keep(images=np.arange(len(annotations)) % step == 0)
    boxes = input_boxes(some, preprocessing)
    kept = visible(boxes)
    return Objects(*(torch.from_numpy(x[kept]) for x in (boxes, some.labels, some.owners)))


def built(task: Task, classes: Sequence[str]) -> tuple[Any, dict[str, Tensor]]:
    """The head that ``task`` trains, and the maps that its backbone gives."""
    network = task.build(classes).eval()
    with torch.inference_mode():
        return network.head, network.backbone(torch.zeros(1, 3, *task.preprocessing.size))


def published(preprocessing: Preprocessing) -> tuple[SSDLite, dict[str, Tensor]]:
    """SSDLite as published, of hardly any channels, and maps at the strides that it is published on."""
    features = {"c4": Feature(1, 16), "final": Feature(1, 32)}
    maps = {name: torch.zeros(1, 1, *(-(-n // f.stride) for n in preprocessing.size)) for name, f in features.items()}
    return SSDLite(Features(features, width=0.01), num_classes=1).eval(), maps


def by_class(found: AnchorRecall, labels: Tensor, classes: Sequence[str], threshold: float) -> list[ClassReach]:
    """Means over all objects, then class by class."""
    rows: list[ClassReach] = []
    for name, chosen in (("all", labels >= 0), *((name, labels == k) for k, name in enumerate(classes))):
        iou, positives = found.iou[chosen].double(), found.positives[chosen].double()
        means = [x.mean().item() if len(x) else None for x in ((iou >= threshold).double(), iou, positives)]
        rows.append(ClassReach(name, len(iou), *means))
    return rows
