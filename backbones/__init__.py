"""Backbones: one file per paper, all with the interface of :mod:`litmobile.backbones.contract`."""

from ..errors import WeightsError
from .checks import check_backbone
from .contract import Backbone, Feature, Features
from .effnet import EffNet
from .mobilenet_v1 import MobileNetV1
from .mobilenet_v2 import MobileNetV2
from .mobilenet_v3 import MobileNetV3
from .mobilevit import MobileViT
from .shufflenet_v1 import ShuffleNetV1
from .shufflenet_v2 import ShuffleNetV2
from .timm_backbone import TimmBackbone
from .weights import load_weights

__all__ = [
    "Backbone",
    "EffNet",
    "Feature",
    "Features",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3",
    "MobileViT",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "TimmBackbone",
    "WeightsError",
    "check_backbone",
    "load_weights",
]
