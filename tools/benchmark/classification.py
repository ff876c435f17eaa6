"""Classification benchmarks against torchvision's reference: reading images and training steps."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import default_collate

from ...backbones import Backbone, MobileNetV2, MobileNetV3, ShuffleNetV2
from ...backbones.contract import IMAGENET
from ...heads import Classifier
from ...tasks.classification.batch import ClassificationBatch, collate
from ...tasks.classification.data_sets.folders import read_folders
from ...tasks.classification.task import ClassificationTask
from ...tasks.classification.transforms import CropAugmentation
from ...tasks.data.loader import collate_or_return_error
from ...tasks.data.sampling import SampleKey
from ...tasks.data.split import SplitDataset
from ...tasks.memory import keep_freed_memory
from ...tasks.preprocessing import Preprocessing
from .sides import Setting, Side, Step, make_images, make_step, prepare, total

SIZE = 224
CLASSES = 1000
PREPROCESSING = Preprocessing((SIZE, SIZE), "crop", *IMAGENET)
NUM_FILES = 96
FILE_SIZE = (375, 500)  # height and width of the images in the files


# reading: in one process, as one worker does it


@functools.cache
def make_image_folder() -> tempfile.TemporaryDirectory[str]:
    """Writes photo-like JPEG files of 500×375 pixels, a folder for each of two classes; deleted when Python exits."""
    folder = tempfile.TemporaryDirectory(prefix="litmobile-benchmark-")
    root, random = Path(folder.name), np.random.default_rng(0)
    height, width = FILE_SIZE
    for number in range(NUM_FILES):
        scales = [random.normal(0, 60 / 2**k, (height >> (6 - k), width >> (6 - k), 3)) for k in range(6)]
        image = sum(cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in scales)
        image = np.clip(128 + image + random.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)
        class_folder = root / ("even", "odd")[number % 2]
        class_folder.mkdir(exist_ok=True)
        cv2.imwrite(str(class_folder / f"{number}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder


def reading_ours(setting: Setting) -> Step:
    """Reads batches as a worker of ours does: uint8 images."""
    cv2.setNumThreads(0)
    keep_freed_memory()
    split = read_folders(Path(make_image_folder().name), ("even", "odd"), require_all=True)
    dataset, seeds = SplitDataset(split, PREPROCESSING, CropAugmentation()), itertools.count()

    def read() -> object:
        keys = [SampleKey(seed % len(split), seed) for seed in itertools.islice(seeds, setting.batch)]
        return collate_or_return_error(collate, [dataset[key] for key in keys])

    return read


def reading_torchvision(setting: Setting) -> Step:
    """Reads batches as a worker of torchvision's reference does, with transforms v2: normalised floats."""
    from torchvision.transforms import v2

    transforms = [v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip(0.5), v2.PILToTensor()]
    transforms += [v2.ToDtype(torch.float, scale=True), v2.Normalize(*IMAGENET), v2.ToPureTensor()]
    dataset = torchvision.datasets.ImageFolder(make_image_folder().name, v2.Compose(transforms))
    indices = itertools.count()
    return lambda: default_collate([dataset[k % len(dataset)] for k in itertools.islice(indices, setting.batch)])


# training: the same network, memory layout and optimiser on both sides


def make_batch(setting: Setting) -> tuple[Tensor, Tensor]:
    """Makes images ``[N, 3, H, W]`` uint8 and class indices ``[N]``."""
    images, generator = make_images(setting, SIZE, SIZE)
    return images, torch.randint(CLASSES, (setting.batch,), generator=generator).to(setting.device)


def loop_ours(make: Callable[[], Backbone], options: dict[str, float], setting: Setting) -> Step:
    """Makes the training step of `litmobile fit`: uint8 images are normalised on the device."""
    task = ClassificationTask(make(), partial(Classifier, **options), PREPROCESSING, num_classes=CLASSES)
    task.network = network = task.build_network([str(k) for k in range(CLASSES)]).train()
    prepare(network, setting)
    images, labels = make_batch(setting)
    batch = ClassificationBatch(images, labels, torch.arange(len(labels)))
    return make_step(network, setting, lambda: total(task.losses(batch)))


def loop_torchvision(make: Callable[[], nn.Module], setting: Setting) -> Step:
    """Makes a step of torchvision's references/classification/train.py, with its accuracies and meters."""
    network = make().train()
    prepare(network, setting._replace(compiled=False))
    images, labels = make_batch(setting)
    floats = (images / 255 - 0.5) / 0.25
    computed: list[Tensor] = []  # outputs and loss of the last step

    def loss() -> Tensor:
        outputs = network(floats)
        computed[:] = outputs, F.cross_entropy(outputs, labels)
        return computed[1]

    step = make_step(network, setting, loss)

    def step_and_measure() -> list[float]:
        step()
        outputs, loss = computed
        correct = outputs.detach().topk(5, 1).indices.t().eq(labels[None])
        accuracies = [correct[:k].flatten().sum(dtype=torch.float32).item() / len(labels) for k in (1, 5)]
        return [loss.item(), *accuracies]

    return step_and_measure


def loop_sides(
    make: Callable[[], Backbone], options: dict[str, float], peer: Callable[[], nn.Module]
) -> tuple[Side, Side]:
    """Returns both sides of a training step; ``options`` are those of our classifier."""
    return partial(loop_ours, make, options), partial(loop_torchvision, peer)


MODELS = torchvision.models
CLASSIFICATION: dict[str, tuple[Side, Side]] = {
    "reading": (reading_ours, reading_torchvision),
    "mobilenet_v2-loop": loop_sides(MobileNetV2, {}, MODELS.mobilenet_v2),
    "mobilenet_v3_large-loop": loop_sides(MobileNetV3, {"hidden_dim": 1280}, MODELS.mobilenet_v3_large),
    "shufflenet_v2-loop": loop_sides(ShuffleNetV2, {"dropout": 0.0}, MODELS.shufflenet_v2_x1_0),
}
