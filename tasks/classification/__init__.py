"""Image classification: data sets, augmentation, teachers, metrics, and the task that trains a network."""

from .cifar import CifarClassification
from .data import ClassificationDataModule
from .folders import FolderClassification
from .imagenet import ImageNetClassification
from .lists import ListClassification
from .policies import Policy, RandAugment, TrivialAugment
from .split import ClassificationSplit
from .task import ClassificationTask
from .teachers import RunTeacher, Teacher, TimmTeacher
from .transforms import CropAugmentation, Resize, ShiftAugmentation

__all__ = [
    "CifarClassification",
    "ClassificationDataModule",
    "ClassificationSplit",
    "ClassificationTask",
    "CropAugmentation",
    "FolderClassification",
    "ImageNetClassification",
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
