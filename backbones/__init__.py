"""Backbones: one file a paper, all behind the contract of :mod:`litmobile.backbones.contract`."""

from .checks import check_backbone
from .contract import Backbone, Feature
from .mobilenet_v2 import MobileNetV2
from .mobilenet_v3 import MobileNetV3
from .timm_backbone import TimmBackbone
from .weights import WeightsError, load_weights

__all__ = [
    "Backbone",
    "Feature",
    "MobileNetV2",
    "MobileNetV3",
    "TimmBackbone",
    "WeightsError",
    "check_backbone",
    "load_weights",
]
