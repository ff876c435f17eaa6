"""SSDLite: heads, anchors, box coder, matching, losses and decoding."""

from .base import SSDHead as SSDHead
from .base import SSDOutput as SSDOutput
from .head import SSDLite as SSDLite
from .mobilevit import MobileViTSSDLite as MobileViTSSDLite
