"""Detection data: correct batches, the same for any number of workers, and errors that name the cause."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.errors import DataError
from litmobile.tasks.data.sampling import SampleKey
from litmobile.tasks.data.split import SplitDataset
from litmobile.tasks.detection import CocoDetection, SSDAugmentation
from litmobile.tasks.detection.batch import DetectionBatch, collate
from litmobile.tasks.detection.formats.coco import read_coco
from litmobile.tasks.detection.split import Sample
from litmobile.tasks.detection.transforms import Resize
from litmobile.tasks.images import read_image
from litmobile.tasks.preprocessing import Preprocessing

Content = dict[str, Any]
WriteCoco = Callable[..., tuple[Path, Path]]
OneSentence = Callable[..., None]

SIZE = (48, 64)
BLUR = {"class_path": "albumentations.GaussianBlur", "init_args": {"p": 0.5}}
NOISE = {"class_path": "albumentations.GaussNoise", "init_args": {"p": 1.0}}
RECIPES: dict[str, dict[str, Any]] = {
    "torchvision": {},
    "albumentations": {"photometric": True, "expand": 4, "extra": [BLUR]},
    "only albumentations": {"crop": False, "flip": 0.0, "extra": [NOISE]},
}


def data_of(root: Path, **options: Any) -> CocoDetection:
    data = CocoDetection(str(root), **{"train": "train", "val": "val", "batch_size": 3, "num_workers": 0} | options)
    data.preprocessing = Preprocessing(SIZE)
    return data


def epochs_of(root: Path, count: int = 2, **options: Any) -> list[list[DetectionBatch]]:
    """Training batches of each epoch, as a trainer draws them."""
    data = data_of(root, **options)
    data.setup("fit")
    loader = data.train_dataloader()
    epochs: list[list[DetectionBatch]] = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        epochs.append([DetectionBatch(b.images.clone(), b.targets, b.indices.clone()) for b in loader])
    return epochs


def are_equal(a: DetectionBatch, b: DetectionBatch) -> bool:
    return all(
        torch.equal(x, y) for x, y in ((a.images, b.images), (a.indices, b.indices), *zip(a[1], b[1], strict=True))
    )


def image_bytes(batch: DetectionBatch) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in batch.images]


@pytest.fixture(scope="module")
def one_image(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twelve equal images, which only augmentation makes different."""
    root = tmp_path_factory.mktemp("one_image")
    content = json.loads((shapes / "annotations" / "instances_train.json").read_text())
    image = content["images"][0]
    objects = [row for row in content["annotations"] if row["image_id"] == image["id"]]
    assert objects
    content["images"] = [{**image, "id": k, "file_name": f"{k}.jpg"} for k in range(12)]
    content["annotations"] = [
        {**row, "image_id": k, "id": 1 + 20 * k + n} for k in range(12) for n, row in enumerate(objects)
    ]
    (root / "annotations").mkdir()
    for split in ("train", "val"):
        (root / split).mkdir()
        for k in range(12):
            (root / split / f"{k}.jpg").write_bytes((shapes / "train" / image["file_name"]).read_bytes())
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


# batches


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_uint8_channels_last_with_padded_targets(shapes: Path, num_workers: int) -> None:
    data = data_of(shapes, num_workers=num_workers)
    data.setup("fit")
    classes = len(data.classes)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for images, (boxes, labels), indices in loader:
            count = len(indices)
            assert images.shape == (count, 3, *SIZE) and images.dtype == torch.uint8
            assert images.is_contiguous(memory_format=torch.channels_last)
            assert boxes.dtype == torch.float32 and labels.dtype == torch.int64
            assert boxes.shape == (*labels.shape, 4) and labels.shape[0] == count
            assert labels.shape[1] > 0 and labels.shape[1] % 16 == 0
            assert not boxes[labels < 0].any()
            real = labels >= 0
            assert (labels[~real] == -1).all() and (labels < classes).all()
            assert (real.int().diff(dim=1) <= 0).all(), "objects come before padding"
            assert (boxes[real] >= 0).all() and (boxes[real] <= torch.tensor([SIZE[1], SIZE[0]] * 2)).all()


@pytest.mark.parametrize(("objects", "rows"), [([0, 0], 16), ([1, 16], 16), ([17, 3], 32), ([48], 48), ([49], 64)])
def test_targets_are_padded_to_a_multiple_of_sixteen(objects: list[int], rows: int) -> None:
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    items = [(Sample(image, np.full((n, 4), n, np.float32), np.full(n, 2)), 10 + k) for k, n in enumerate(objects)]
    _, (boxes, labels), indices = collate(items)
    assert labels.shape == (len(objects), rows)
    assert (labels >= 0).sum(1).tolist() == objects
    assert [int(boxes[k].sum()) for k in range(len(objects))] == [4 * n * n for n in objects]
    assert indices.tolist() == [10 + k for k in range(len(objects))]


def test_validation_is_complete_ordered_and_not_augmented(shapes: Path) -> None:
    data = data_of(shapes, val="val", batch_size=2)
    data.setup("validate")
    batches = list(data.val_dataloader())
    annotations = data.splits["val"]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(len(annotations)))
    index = 0
    for batch in batches:
        for image, boxes, labels in zip(batch.images, *batch.targets, strict=True):
            stored = read_image(annotations.path(index))
            expected = Preprocessing(SIZE).apply(stored)
            assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
            scale = np.array([SIZE[1] / stored.shape[1], SIZE[0] / stored.shape[0]] * 2)
            truth, classes = annotations.objects(index)
            np.testing.assert_allclose(boxes[labels >= 0], truth * scale, atol=1e-3)
            assert labels[labels >= 0].tolist() == classes.tolist()
            index += 1


@pytest.mark.parametrize(("batch_size", "steps"), [(3, 3), (10, 1), (4, 2), (64, 1)])
def test_an_incomplete_training_batch_is_dropped_unless_alone(shapes: Path, batch_size: int, steps: int) -> None:
    (epoch,) = epochs_of(shapes, count=1, batch_size=batch_size)
    assert len(epoch) == steps
    assert [len(batch.indices) for batch in epoch] == [min(batch_size, 10)] * steps


def test_grey_images_get_three_channels(content: Content, write_coco: WriteCoco) -> None:
    file, folder = write_coco(content)
    grey = np.random.default_rng(0).integers(256, size=(40, 60), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), grey)
    dataset = SplitDataset(read_coco(file, folder), Preprocessing((40, 60)), Resize())
    image = dataset[SampleKey(0, 0)][0].image
    assert image.shape == (40, 60, 3)
    assert all(np.array_equal(image[:, :, channel], grey) for channel in range(3))


def test_images_without_objects_are_in_training_batches(
    content: Content, write_coco: WriteCoco, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        write_coco(content, split)
    (epoch,) = epochs_of(tmp_path / "coco", count=1)
    (batch,) = epoch
    counts = dict(zip(batch.indices.tolist(), (batch.targets.labels >= 0).sum(1).tolist(), strict=True))
    assert set(counts) == {0, 1, 2}
    assert counts[2] == 0


def test_filter_empty_leaves_out_training_images_without_objects(
    content: Content, write_coco: WriteCoco, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        write_coco(content, split)
    data = data_of(tmp_path / "coco", filter_empty=True)
    data.setup("fit")
    assert [len(data.splits["train"].objects(k)[1]) for k in range(len(data.splits["train"]))] == [1, 2]
    assert len(data.splits["val"]) == 3


def test_training_without_objects_is_refused(
    content: Content, write_coco: WriteCoco, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    for split in ("train", "val"):
        write_coco(content | {"annotations": []}, split)
    with pytest.raises(DataError) as caught:
        data_of(tmp_path / "coco").setup("fit")
    assert_one_sentence(caught.value, "instances_train.json", "nothing to learn")


# randomness


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_samples_depend_on_the_seed_and_not_on_the_workers(shapes: Path, recipe: dict[str, Any]) -> None:
    def run(num_workers: int, seed: int = 5) -> list[list[DetectionBatch]]:
        torch.manual_seed(num_workers)  # the state of the global generators must not matter
        np.random.seed(num_workers)
        return epochs_of(shapes, num_workers=num_workers, seed=seed, augmentation=SSDAugmentation(**recipe))

    alone = run(0)
    for num_workers in (0, 1, 2):
        for ours, theirs in zip(run(num_workers), alone, strict=True):
            assert len(ours) == len(theirs)
            assert all(are_equal(a, b) for a, b in zip(ours, theirs, strict=True)), f"{num_workers} workers differ"
    assert not any(are_equal(a, b) for a, b in zip(alone[0], alone[1], strict=True)), "epochs are equal"
    assert not any(are_equal(a, b) for a, b in zip(alone[0], run(0, seed=6)[0], strict=True)), (
        "seeds give equal samples"
    )


@pytest.mark.parametrize(
    ("recipe", "least"),  # crops sometimes keep the whole image, noise never repeats
    [("torchvision", 18), ("albumentations", 20), ("only albumentations", 24)],
)
def test_workers_and_epochs_draw_different_samples(one_image: Path, recipe: str, least: int) -> None:
    epochs = epochs_of(one_image, num_workers=2, seed=1, augmentation=SSDAugmentation(**RECIPES[recipe]))
    batches = [image_bytes(batch) for epoch in epochs for batch in epoch]
    assert [len(batch) for batch in batches] == [3] * 8
    assert len({tuple(batch) for batch in batches}) == 8  # the two workers take turns
    assert len({image for batch in batches for image in batch}) >= least


def test_the_seed_of_the_run_is_the_default(shapes: Path) -> None:
    def first_batch(run_seed: int) -> DetectionBatch:
        torch.manual_seed(run_seed)
        return epochs_of(shapes, count=1)[0][0]

    assert are_equal(first_batch(1), first_batch(1))
    assert not are_equal(first_batch(1), first_batch(2))


# errors


def test_a_missing_root_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        data_of(tmp_path / "nowhere").setup("fit")
    assert_one_sentence(caught.value, tmp_path / "nowhere", "--data.root")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_split_is_named(shapes: Path, split: str, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        data_of(shapes, **{split: "other"}).setup("fit")
    assert_one_sentence(caught.value, shapes, f"--data.{split}", "'other'", "train, val")


def test_a_missing_image_folder_is_named(
    content: Content, write_coco: WriteCoco, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    for split in ("train", "val"):
        file, _ = write_coco(content, split)
    (file.parent / "instances_elsewhere.json").write_bytes(file.read_bytes())
    with pytest.raises(DataError) as caught:
        data_of(tmp_path / "coco", train="elsewhere").setup("fit")
    assert_one_sentence(caught.value, tmp_path / "coco" / "elsewhere")


def test_a_missing_test_split_is_refused_with_the_option(shapes: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        data_of(shapes).setup("test")
    assert_one_sentence(caught.value, "--data.test")


@pytest.mark.parametrize(
    ("spoil", "mentioned"),
    [
        (lambda path: path.write_bytes(b"not an image"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: cv2.imwrite(str(path), np.zeros((41, 60, 3), np.uint8)), "60×41"),
    ],
    ids=["not an image", "empty", "missing", "other size"],
)
def test_an_image_that_contradicts_its_annotations_is_named(
    content: Content,
    write_coco: WriteCoco,
    spoil: Callable[[Path], Any],
    mentioned: str,
    assert_one_sentence: OneSentence,
) -> None:
    file, folder = write_coco(content)
    dataset = SplitDataset(read_coco(file, folder), Preprocessing(SIZE), Resize())
    spoil(folder / "a.png")
    error = dataset[SampleKey(0, 0)]
    assert isinstance(error, DataError)
    assert_one_sentence(error, folder / "a.png", mentioned)


def test_a_batch_size_of_0_is_refused(shapes: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="batch_size") as caught:
        data_of(shapes, batch_size=0)
    assert_one_sentence(caught.value, "0")


def test_reading_and_evaluating_do_not_change_the_data(shapes: Path) -> None:
    def hashes() -> dict[str, str]:
        files = [path for path in shapes.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = hashes()
    assert len(before) > 15
    epochs_of(shapes, augmentation=SSDAugmentation(expand=4, photometric=True, extra=[BLUR]))
    data = data_of(shapes)
    data.setup("validate")
    evaluator = data.build_evaluator("val")
    for batch in data.val_dataloader():
        empty: Tensor = torch.zeros(0)
        for index in batch.indices.tolist():
            image_id = int(data.splits["val"].image_ids[index])
            evaluator.add(image_id, np.zeros((0, 4)), empty.numpy(), empty.numpy())
    evaluator.compute()
    assert hashes() == before
