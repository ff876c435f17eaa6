"""Classification: labelled images, crops and policies, accuracy and calibration, and the task for a network."""

from .cifar import CifarClassification
from .data import ClassificationData
from .folders import FolderClassification
from .imagenet import ImageNetClassification
from .labelled import LabelledImages
from .lists import ListClassification
from .policies import Policy, RandAugment, TrivialAugment
from .task import ClassificationTask
from .teachers import RunTeacher, Teacher, TimmTeacher
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
    "Policy",
    "RandAugment",
    "Resize",
    "RunTeacher",
    "ShiftAugmentation",
    "Teacher",
    "TimmTeacher",
    "TrivialAugment",
]
