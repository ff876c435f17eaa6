"""The class of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ...heads.predictions import Classification
from ..drawing import draw_class_scores
from ..images import Image
from ..images.inputs import InputImage
from .packages import import_supervision
from .result import MAX_NAMED, Entry, ImageResult


class RankedClass(NamedTuple):
    """A class with its index, its name and its score in 0 … 1."""

    label: int
    name: str
    score: float


class ImageClassification(ImageResult):
    """The class of an image; ``len`` is 1, or 0 if the best score is below the ``score`` of the prediction.

    Attributes:
        prediction: scores of all classes.
    """

    prediction: Classification

    def __init__(
        self,
        prediction: Classification,
        classes: Sequence[str],
        source: InputImage,
        size: tuple[int, int],
        score: float | None = None,
    ) -> None:
        super().__init__(Classification(prediction.scores.cpu()), classes, source, size, score)
        self._is_certain = score is None or self.score >= score

    @property
    def scores(self) -> Tensor:
        """Scores of all classes, ``[C]`` in 0 … 1."""
        return self.prediction.scores

    @property
    def label(self) -> int:
        """Index of the most probable class."""
        return self.top(1)[0].label

    @property
    def name(self) -> str:
        """Name of the most probable class."""
        return self.top(1)[0].name

    @property
    def score(self) -> float:
        """Score of the most probable class, 0 … 1."""
        return self.top(1)[0].score

    def top(self, number: int = MAX_NAMED) -> list[RankedClass]:
        """Returns the most probable classes, the best first; all of them if there are fewer than ``number``."""
        best = self.scores.topk(min(number, len(self.classes)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [RankedClass(label, self.classes[label], score) for label, score in pairs]

    def __len__(self) -> int:
        return int(self._is_certain)

    def headline(self) -> str:
        return self.name if self._is_certain else f"no class with a score of at least {self.min_score:g}"

    def entries(self) -> list[Entry]:
        return [Entry(name, f"{score:.2f}") for _, name, score in self.top()]

    def draw(self, score: float | None = None, is_frame: bool = False) -> Image:
        return draw_class_scores(self.image, self.scores, self.classes, self.resolve_score(score))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON: path, height, width, and label, class and score of the five best classes."""
        ranked = [{"label": label, "class": name, "score": score} for label, name, score in self.top()]
        return {**self.describe_source(), "classes": ranked}

    def to_supervision(self) -> Any:
        """Returns ``supervision.Classifications`` with the scores of all classes.

        Raises:
            UserError: the package is not installed.
        """
        supervision = import_supervision()
        confidence = self.scores.numpy().astype("float32")
        return supervision.Classifications(class_id=np.arange(len(self.classes)), confidence=confidence)
