"""Tasks: networks with their preprocessing, and how they are trained and evaluated."""

from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from . import classification as classification
    from . import detection as detection
    from . import segmentation as segmentation
    from .network import Network as Network
    from .network import load as load
    from .preprocessing import Preprocessing as Preprocessing
else:
    __getattr__, __dir__ = lazy_exports(__name__)
