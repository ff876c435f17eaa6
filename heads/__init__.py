"""Heads: turn a backbone's feature maps into classes, label maps or boxes."""

from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .classifier import Classifier as Classifier
    from .contract import Head as Head
    from .contract import HeadFactory as HeadFactory
    from .lraspp import LRASPP as LRASPP
    from .predictions import BoxTargets as BoxTargets
    from .predictions import Classification as Classification
    from .predictions import Detections as Detections
    from .predictions import Segmentation as Segmentation
    from .raspp import RASPP as RASPP
    from .ssdlite import MobileViTSSDLite as MobileViTSSDLite
    from .ssdlite import SSDLite as SSDLite
else:
    __getattr__, __dir__ = lazy_exports(__name__)
