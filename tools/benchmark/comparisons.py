"""All comparisons by name, and their groups."""

from __future__ import annotations

from collections.abc import Mapping

from .classification import CLASSIFICATION
from .deployment import DEPLOYMENT
from .detection import DETECTION
from .evaluation import EVALUATION
from .reading import READING
from .segmentation import SEGMENTATION
from .sides import BACKBONE_SIDES, Sides

#: comparisons by group
GROUPS: dict[str, Mapping[str, Sides]] = {
    "backbones": BACKBONE_SIDES,
    "classification": CLASSIFICATION,
    "detection": {**DETECTION, **EVALUATION, **READING},
    "deployment": DEPLOYMENT,
    "segmentation": SEGMENTATION,
}
SIDES: dict[str, Sides] = {name: sides for group in GROUPS.values() for name, sides in group.items()}
