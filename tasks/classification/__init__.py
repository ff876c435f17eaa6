"""Classification: labelled images, crops and policies, accuracy and calibration, and the task for a network."""

from .cifar import CifarClassification
from .data import ClassificationData, FolderClassification
from .imagenet import ImageNetClassification
from .labelled import LabelledImages
from .lists import ListClassification
from .task import ClassificationTask
from .transforms import CropAugmentation, Resize, ShiftAugmentation

__all__ = [
    "CifarClassification",
    "ClassificationData",
    "ClassificationTask",
    "CropAugmentation",
    "FolderClassification",
    "ImageNetClassification",
    "LabelledImages",
    "ListClassification",
    "Resize",
    "ShiftAugmentation",
]
