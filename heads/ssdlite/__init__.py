"""SSDLite: head, anchors, box coder, matching, losses and decoding."""

from .head import SSDLite as SSDLite
from .head import SSDLiteOutput as SSDLiteOutput
