"""What papers and libraries publish about networks: their variants, and weights to start from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Triple = tuple[float, float, float]

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Normalisation(NamedTuple):
    """Mean and standard deviation, in 0 … 1, that images were normalised by."""

    mean: Triple
    std: Triple


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INCEPTION = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Variant(NamedTuple):
    """One of the networks that a paper measures.

    Attributes:
        arguments: the family's constructor arguments, as far as they are no defaults.
        parameters: with the published classifier; None where nobody published the network under one.
        multiply_adds: in millions, with that classifier, for an image of ``size``.
        top1: published accuracy on ImageNet's validation images in %.
        size: height and width in pixels of the images that it was measured on.
        classes: classes of the published classifier.
        classifier: options of :class:`litmobile.heads.Classifier` that make the published one.
    """

    arguments: Mapping[str, Any]
    parameters: int | None = None
    multiply_adds: float | None = None
    top1: float | None = None
    size: int = 224
    classes: int = 1000
    classifier: Mapping[str, Any] = NOTHING


class Weights(NamedTuple):
    """Published weights of a backbone.

    Attributes:
        top1: accuracy on ImageNet's validation images in %, None where the publisher names none.
        fits: the constructor arguments that they were trained with, as far as they are no defaults, each with the
            values that mean the same.
        normalisation: of the images that they were trained on.
    """

    top1: float | None
    fits: Mapping[str, tuple[object, ...]] = NOTHING
    normalisation: Normalisation = IMAGENET
