"""Heads: turn a backbone's feature maps into classes, label maps or boxes."""

from .classifier import Classifier
from .contract import Head, HeadFactory
from .lraspp import LRASPP
from .predictions import BoxTargets, Classification, Detections, Segmentation
from .raspp import RASPP
from .ssdlite import SSDLite

__all__ = [
    "LRASPP",
    "RASPP",
    "BoxTargets",
    "Classification",
    "Classifier",
    "Detections",
    "Head",
    "HeadFactory",
    "SSDLite",
    "Segmentation",
]
