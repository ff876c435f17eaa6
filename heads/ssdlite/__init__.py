"""SSDLite: head, anchors, box coder, matching, losses and decoding."""

from .head import SSDLite, SSDLiteOutput

__all__ = ["SSDLite", "SSDLiteOutput"]
