"""Backbones: one file per paper, all with the interface of :mod:`litmobile.backbones.contract`."""

from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from ..errors import WeightsError as WeightsError
    from .checks import check_backbone as check_backbone
    from .contract import Backbone as Backbone
    from .contract import Feature as Feature
    from .contract import Features as Features
    from .effnet import EffNet as EffNet
    from .mobilenet_v1 import MobileNetV1 as MobileNetV1
    from .mobilenet_v2 import MobileNetV2 as MobileNetV2
    from .mobilenet_v3 import MobileNetV3 as MobileNetV3
    from .mobilevit import MobileViT as MobileViT
    from .shufflenet_v1 import ShuffleNetV1 as ShuffleNetV1
    from .shufflenet_v2 import ShuffleNetV2 as ShuffleNetV2
    from .timm_backbone import TimmBackbone as TimmBackbone
    from .weights import load_weights as load_weights
else:
    __getattr__, __dir__ = lazy_exports(__name__)
