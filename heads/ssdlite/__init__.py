"""SSDLite and its method: anchors, box coder, matching, losses, decoding."""

from .head import SSDLite, SSDLiteOutput

__all__ = ["SSDLite", "SSDLiteOutput"]
