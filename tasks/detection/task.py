"""Object detection: SSDLite on any backbone, evaluated by COCO's figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from ...backbones.contract import Backbone, check_choice
from ...errors import TaskError
from ...heads.contract import HeadFactory
from ...heads.predictions import Detections
from ...heads.ssdlite import SSDLite
from ..callbacks.evaluation import Report
from ..drawing import draw_detection_sheet
from ..examples import Examples, make_image_reader
from ..images import Image
from ..loaders.batches import check_labels, pad_boxes, unpack_pair
from ..network import Network
from ..task import Task
from .anchors import choose_anchors, replace_head
from .batch import DetectionBatch
from .data import DetectionDataModule
from .evaluation.evidence import DetectionEvidence
from .evaluation.loader_evaluator import EvaluatedImage, LoaderEvaluator
from .evaluation.metrics import CocoEvaluator
from .examples import draw_examples


class DetectionTask(Task):
    """Trains a detector and evaluates COCO's twelve figures.

    Args:
        backbone: network that turns images into feature maps, e.g. ``MobileNetV3``.
        head: class of the detection head, e.g. ``SSDLite``; built with the number of classes of the data.
        anchors: "auto" chooses the head's ``anchor_scales`` and ``aspect_ratios`` for the training objects, as
            ``litmobile inspect`` suggests them. The run's configuration contains the choice. Default: as the head says.
    """

    role = "detection"
    monitor = "val/AP"
    data_class = DetectionDataModule
    batch_class = DetectionBatch

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = SSDLite,
        anchors: Literal["auto"] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, head, **options)
        if anchors is not None:
            check_choice("anchors", anchors, ("auto",))
        self._chooses_anchors = anchors is not None
        self._evaluators: dict[str, CocoEvaluator] = {}  # indexing the annotations of a split takes seconds

    def build_network(self, classes: Sequence[str]) -> Network:
        network = super().build_network(classes)
        is_attached = self._trainer is not None  # not to a Trainer, e.g. where a recipe is profiled
        if self._chooses_anchors and is_attached:
            self._set_anchors(network)
        return network

    def _set_anchors(self, network: Network) -> None:
        """Chooses anchors for the training objects, and rebuilds the head with them."""
        data: DetectionDataModule = self.data()
        if "train" not in data.splits:
            raise TaskError("anchors=auto needs training data; pass --run FOLDER, which contains the anchors.")
        chosen = choose_anchors(network, data.splits["train"], self.preprocessing)
        if chosen:
            replace_head(network, self._parts[1], chosen)
        self.decided_options = {"anchors": None, **{f"head.init_args.{name}": x for name, x in chosen.items()}}

    def start_evaluation(self, split: str) -> None:
        self._split = self.find_split(split)
        if self._split is None:
            self.evaluator = LoaderEvaluator(self.predictor.classes)
            return
        data: DetectionDataModule = self.data()
        if split not in self._evaluators:
            self._evaluators[split] = data.build_evaluator(split)
        self.evaluator = self._evaluators[split]
        self.evaluator.reset()

    def evaluate(self, batch: DetectionBatch) -> list[Detections]:
        image_size = (batch.images.shape[2], batch.images.shape[3])
        predictions = cast(list[Detections], self.predictor.decode(self.predictor(batch.images), image_size))
        if self._split is None:
            self._add_to_loader_evaluator(batch, predictions)
            return predictions
        for index, detections in zip(batch.indices.tolist(), predictions, strict=True):
            geometry = self.preprocessing.geometry(*self._split.size(index))
            boxes, scores, labels = (x.float().cpu().numpy() for x in detections.to_image(geometry))
            category_ids = self._split.category_ids[labels.astype(int)]
            self.evaluator.add(int(self._split.image_ids[index]), boxes, scores, category_ids)
        return predictions

    def _add_to_loader_evaluator(self, batch: DetectionBatch, predictions: Sequence[Detections]) -> None:
        columns = (batch.indices.tolist(), predictions, batch.targets.boxes, batch.targets.labels)
        for index, detections, boxes, labels in zip(*columns, strict=True):
            real = labels >= 0
            found = (*detections, boxes[real], labels[real])
            self.evaluator.add(index, EvaluatedImage(*(values.cpu().double().numpy() for values in found)))

    def convert_batch(self, batch: Any) -> DetectionBatch:
        """Converts images and a list of dictionaries with "boxes" and "labels", as torchvision's detectors take."""
        images, targets = unpack_pair(batch, type(self).__name__, 'a list of {"boxes": [M, 4], "labels": [M]}')
        indices = self.number_images(images)
        return DetectionBatch(images, pad_boxes(targets, images), indices)

    def check_batch(self, batch: DetectionBatch) -> None:
        super().check_batch(batch)
        labels = batch.targets.labels
        check_labels(labels[labels >= 0], len(self.predictor.classes))

    def report(self) -> Report:
        result = self.evaluator.compute()
        figures = {name: value for name, value in result.figures.items() if value is not None}
        return Report(figures, result.as_json(), str(result))

    def evidence(self) -> DetectionEvidence | None:
        return self.evaluator.evidence()

    def examples(self) -> Examples | None:
        evidence = self.evidence()
        return None if evidence is None else draw_examples(evidence, make_image_reader(self._split))

    def draw(self, batch: DetectionBatch, predictions: list[Detections]) -> Image:
        return draw_detection_sheet(batch.images, batch.targets, predictions, self.predictor.classes)
