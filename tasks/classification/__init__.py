"""Image classification: data sets, augmentation, teachers, metrics, and the task that trains a network."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .cifar import CifarClassification as CifarClassification
    from .data import ClassificationDataModule as ClassificationDataModule
    from .folders import FolderClassification as FolderClassification
    from .imagenet import ImageNetClassification as ImageNetClassification
    from .lists import ListClassification as ListClassification
    from .policies import Policy as Policy
    from .policies import RandAugment as RandAugment
    from .policies import TrivialAugment as TrivialAugment
    from .split import ClassificationSplit as ClassificationSplit
    from .task import ClassificationTask as ClassificationTask
    from .teachers import RunTeacher as RunTeacher
    from .teachers import Teacher as Teacher
    from .teachers import TimmTeacher as TimmTeacher
    from .transforms import CropAugmentation as CropAugmentation
    from .transforms import Resize as Resize
    from .transforms import ShiftAugmentation as ShiftAugmentation
else:
    __getattr__, __dir__ = lazy_exports(__name__)
