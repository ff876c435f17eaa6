"""Tasks train and evaluate with a user's own DataLoader and Trainer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.errors import LossError, TaskError
from litmobile.tasks.classification import ClassificationTask
from litmobile.tasks.detection import DetectionTask
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import SegmentationTask
from support.exporting import make_images

OneSentence = Callable[..., None]
SIZE = (64, 64)
IMAGES = make_images(8, SIZE)
BOX = torch.tensor([[8.0, 8, 40, 40]])


def pair_up(samples: Any) -> Any:
    return tuple(zip(*samples, strict=True))


SAMPLES: dict[type, list[Any]] = {
    ClassificationTask: [(image / 255, k % 2) for k, image in enumerate(IMAGES)],
    SegmentationTask: [(image, (image[0] > 128).long()) for image in IMAGES],
    DetectionTask: [(image, {"boxes": BOX, "labels": torch.tensor([k % 2])}) for k, image in enumerate(IMAGES)],
}
FIGURES = {ClassificationTask: "val/top1", SegmentationTask: "val/miou", DetectionTask: "val/AP"}
TASKS = pytest.mark.parametrize("task_class", SAMPLES, ids=lambda task: task.__name__)


def make_trainer(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(**{"default_root_dir": folder, "max_epochs": 1, "enable_checkpointing": False, **quiet, **options})


def make_task(task_class: type[Any], **options: Any) -> Any:
    return task_class(MobileNetV2(0.35), **{"preprocessing": Preprocessing(SIZE), "classes": ["cat", "dog"], **options})


def load(samples: Any, task_class: type = ClassificationTask) -> DataLoader[Any]:
    return DataLoader(samples, batch_size=4, collate_fn=pair_up if task_class is DetectionTask else None)


@pytest.fixture(autouse=True)
def no_advice() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on the number of workers
        yield


@TASKS
def test_task_trains_with_own_loaders(task_class: type[Any], tmp_path: Path) -> None:
    task, loader = make_task(task_class), load(SAMPLES[task_class], task_class)
    trainer = make_trainer(tmp_path)
    trainer.fit(task, loader, loader)
    assert trainer.global_step == 2 and 0 <= trainer.callback_metrics[FIGURES[task_class]] <= 1
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    network = litmobile.load(tmp_path / "own.ckpt", "cpu")
    assert network.classes == ("cat", "dog")
    assert all(torch.equal(network.state_dict()[name], value) for name, value in task.network.state_dict().items())
    (first,) = make_trainer(tmp_path).validate(task, loader, verbose=False)
    again = make_task(task_class)
    (resumed,) = make_trainer(tmp_path).validate(
        again, loader, str(tmp_path / "own.ckpt"), verbose=False, weights_only=True
    )
    assert first == resumed


class Oracle(torch.nn.Module):
    """Stands for a network that finds the box, or in the second image nothing."""

    classes = ("cat", "dog")

    def forward(self, images: Tensor) -> Tensor:
        return images

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Any]:
        from litmobile.heads.predictions import Detections

        found = [Detections(BOX, torch.tensor([0.9]), torch.tensor([k % 2])) for k in range(len(output))]
        found[1] = Detections(BOX[:0], torch.zeros(0), torch.zeros(0, dtype=torch.int64))
        return found


def test_detections_are_compared_with_the_loaders_objects(tmp_path: Path) -> None:
    task = make_task(DetectionTask)
    task.configure_model()
    task.network = Oracle()
    (figures,) = make_trainer(tmp_path).test(task, load(SAMPLES[DetectionTask], DetectionTask), verbose=False)
    # all four cats, and two of four dogs, with precision 1: 51 of 101 recalls
    assert figures["test/AP"] == pytest.approx((1 + 51 / 101) / 2)


class OwnData(LightningDataModule):
    def train_dataloader(self) -> Any:
        return load(SAMPLES[ClassificationTask])


def test_own_data_module_is_taken(tmp_path: Path) -> None:
    task = make_task(ClassificationTask)
    make_trainer(tmp_path, max_steps=1).fit(task, OwnData())
    assert task.network.classes == ("cat", "dog")


def test_image_size_that_predictions_do_not_have_is_warned_of(tmp_path: Path) -> None:
    task = make_task(ClassificationTask, preprocessing=Preprocessing((96, 64)))
    with pytest.warns(UserWarning, match=r"images of 64×64 pixels, .* pass preprocessing=Preprocessing\(\(64, 64\)\)"):
        make_trainer(tmp_path, max_steps=1).fit(task, load(SAMPLES[ClassificationTask]))


def test_non_finite_loss_is_one_sentence(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    task = make_task(ClassificationTask, warmup_steps=0, optimizer=lambda p: torch.optim.SGD(p, lr=float("inf")))
    with pytest.raises(LossError) as caught:
        make_trainer(tmp_path, max_epochs=2).fit(task, load(SAMPLES[ClassificationTask]))
    assert_one_sentence(caught.value, "nan", "images and targets of its batch")


REFUSED: dict[str, tuple[type, list[Any], dict[str, Any], tuple[str, ...]]] = {
    "no classes": (ClassificationTask, SAMPLES[ClassificationTask], {"classes": None}, ("classes",)),
    "images alone": (ClassificationTask, list(IMAGES), {}, ("ClassificationTask", "Tensor")),
    "dictionaries": (ClassificationTask, [{"image": image} for image in IMAGES], {}, ("labels [N]", "dict")),
    "normalised": (ClassificationTask, [(image / 255 - 0.5, 0) for image in IMAGES], {}, ("0 … 1", "Normalize")),
    "too many labels": (ClassificationTask, [(image, 2) for image in IMAGES], {}, ("0 … 1", "2")),
    "float labels": (ClassificationTask, [(image, 0.5) for image in IMAGES], {}, ("whole numbers",)),
    "grey images": (ClassificationTask, [(image[:1], 0) for image in IMAGES], {}, ("[4, 1, 64, 64]",)),
    "learning rate": (
        *(ClassificationTask, SAMPLES[ClassificationTask], {"base_batch_size": 8}),
        ("base_batch_size", "ClassificationDataModule"),
    ),
    "labels for masks": (SegmentationTask, [(image, 0) for image in IMAGES], {}, ("[4, 64, 64]", "[4]")),
    "labels for boxes": (DetectionTask, pair_up(SAMPLES[DetectionTask])[0], {}, ("DetectionTask",)),
    "other keys": (DetectionTask, [(image, {"box": BOX}) for image in IMAGES], {}, ('"boxes"',)),
    "a label too few": (
        *(DetectionTask, [(image, {"boxes": BOX, "labels": torch.zeros(0).long()}) for image in IMAGES], {}),
        ("[1, 4]", "[0]"),
    ),
    "sizes that differ": (
        *(DetectionTask, [(image[:, : 32 + k], SAMPLES[DetectionTask][0][1]) for k, image in enumerate(IMAGES)], {}),
        ("one size", "[3, 32, 64]"),
    ),
    "anchors": (DetectionTask, SAMPLES[DetectionTask], {"anchors": "auto"}, ("anchors=auto",)),
}


@pytest.mark.parametrize(("task_class", "samples", "options", "mentioned"), REFUSED.values(), ids=REFUSED)
def test_unsuitable_batches_are_one_sentence(
    task_class: type,
    samples: list[Any],
    options: dict[str, Any],
    mentioned: tuple[str, ...],
    tmp_path: Path,
    assert_one_sentence: OneSentence,
) -> None:
    with pytest.raises(TaskError) as caught:
        make_trainer(tmp_path).fit(make_task(task_class, **options), load(samples, task_class))
    assert_one_sentence(caught.value, *mentioned)
