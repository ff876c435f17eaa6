"""Classification: labelled images, crops and policies, accuracy and calibration, and the task for a network."""

from .data import ClassificationData, FolderClassification
from .labelled import LabelledImages
from .policies import Policy, RandAugment, TrivialAugment
from .task import ClassificationTask
from .teachers import RunTeacher, Teacher, TimmTeacher
from .transforms import CropAugmentation, Resize, ShiftAugmentation

__all__ = [
    "ClassificationData",
    "ClassificationTask",
    "CropAugmentation",
    "FolderClassification",
    "LabelledImages",
    "Policy",
    "RandAugment",
    "Resize",
    "RunTeacher",
    "ShiftAugmentation",
    "Teacher",
    "TimmTeacher",
    "TrivialAugment",
]
