"""Image classification: data sets, augmentation, teachers, metrics, and the task that trains a network."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .data import ClassificationDataModule as ClassificationDataModule
    from .data_sets.cifar import CifarClassification as CifarClassification
    from .data_sets.folders import FolderClassification as FolderClassification
    from .data_sets.imagenet import ImageNetClassification as ImageNetClassification
    from .data_sets.lists import ListClassification as ListClassification
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
