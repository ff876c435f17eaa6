"""All comparisons by name, and their groups."""

from __future__ import annotations

from collections.abc import Mapping

from .classification import CLASSIFICATION
from .detection import DETECTION
from .evaluation import EVALUATION
from .segmentation import SEGMENTATION
from .sides import BACKBONE_SIDES, Sides

#: comparisons by group
GROUPS: dict[str, Mapping[str, Sides]] = {
    "backbones": BACKBONE_SIDES,
    "classification": CLASSIFICATION,
    "detection": {**DETECTION, **EVALUATION},
    "segmentation": SEGMENTATION,
}
SIDES: dict[str, Sides] = {name: sides for group in GROUPS.values() for name, sides in group.items()}
