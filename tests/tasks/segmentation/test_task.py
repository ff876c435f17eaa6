"""Training and evaluating a segmentation network from the command line."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.errors import PredictionError, TaskError
from litmobile.heads import RASPP
from litmobile.tasks.classification import ClassificationTask
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.run import checkpoint_path
from litmobile.tasks.segmentation import FolderSegmentation, Inference, PixelLoss, SegmentationTask
from litmobile.tasks.segmentation.batch import SegmentationBatch
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator
from litmobile.tasks.segmentation.split import StoredMask
from litmobile.tools.cli import main
from support.data.images import write_class_folders
from support.data.segmentation import CLASSES, write_block_images
from support.training import SMALL_SEGMENTER

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "grey"
    for split, images in (("train", 12), ("val", 5), ("test", 2)):
        write_block_images(folder, split, images)
    return folder


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned to distinguish three grey tones."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ["--model.backbone.norm_momentum=0.3", "--model.ema_decay=0.5", "--model.optimizer=AdamW",
             "--model.optimizer.lr=5e-3", "--model.warmup_steps=2", "--data.batch_size=4", "--data.num_workers=0",
             "--trainer.max_epochs=12", "--trainer.check_val_every_n_epoch=12"]  # fmt: skip
    main(["fit", *SMALL_SEGMENTER, *words, f"--data.root={root}", f"--run={folder}"])
    return folder


def report(run: Path, split: str = "val") -> dict[str, Any]:
    return json.loads((run / f"{split}.json").read_text())


def trainer(folder: Path, **options: Any) -> Trainer:
    return Trainer(default_root_dir=folder, **QUIET, **options)


def task(loss: PixelLoss | None = None, **options: Any) -> SegmentationTask:
    return SegmentationTask(MobileNetV2(0.35), preprocessing=Preprocessing((48, 64)), loss=loss, **options)


def test_it_learns(run: Path) -> None:
    figures = report(run)["figures"]
    assert figures["miou"] > 0.5 and figures["pixel_accuracy"] > figures["miou"]


def test_raspp_refuses_steps_of_one_image(root: Path, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    data = FolderSegmentation(str(root), batch_size=1, num_workers=0)
    with pytest.raises(TaskError) as caught:
        trainer(tmp_path, max_epochs=1).fit(task(head=RASPP), data)
    assert_one_sentence(caught.value, "one image of 48×64", "raise --data.batch_size until every step has two")


def test_data_of_another_task_is_refused_before_weights_load(
    root: Path, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    classifier = ClassificationTask(MobileNetV2(0.35), num_classes=3, backbone_weights="imagenet")
    with pytest.raises(TaskError) as caught:
        trainer(tmp_path, max_epochs=1).fit(classifier, FolderSegmentation(str(root), num_workers=0))
    assert_one_sentence(caught.value, "ClassificationTask", "FolderSegmentation")


def test_the_terms_sum_to_the_training_loss(run: Path) -> None:
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    assert len(rows) == 36
    for row in rows:
        terms = [float(row[f"train/{name}"]) for name in ("cross_entropy", "dice", "lovasz")]
        assert all(term > 0 for term in terms)
        assert sum(terms) == pytest.approx(float(row["train/loss"]), rel=1e-5)


def test_figures_are_of_masks_at_their_stored_size(run: Path, root: Path) -> None:
    network, evaluator = litmobile.load(run), SegmentationEvaluator(CLASSES)
    for number in range(5):
        mask = cv2.imread(str(root / "masks" / "val" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        labels = network.predict(root / "images" / "val" / f"{number}.png").labels
        assert labels.shape == mask.shape == (48 - number % 3, 56)
        evaluator.add(labels, torch.from_numpy(mask))
    found, said = evaluator.compute(), report(run)
    assert said["pixels"] == found.matrix.sum() == sum((47 - k % 3) * 56 for k in range(5))
    with (run / "val-confusion.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == list(CLASSES) == [row[0] for row in rows]
    stored = np.array([[int(cell) for cell in row[1:]] for row in rows])
    assert np.abs(stored - found.matrix).sum() <= 4, (
        "a single image is summed in another order, which may change a pixel"
    )
    assert said["figures"]["miou"] == pytest.approx(found.figures["miou"], abs=1e-3)


def test_validate_repeats_the_figures_of_the_training(run: Path) -> None:
    before = report(run)
    trained = json.loads((run / "metrics.json").read_text())[-1]
    main(["validate", "--run", str(run), "--ckpt_path", str(checkpoint_path(run, "last"))])
    assert report(run) == before, "with the same epoch, step and source"
    assert (before["epoch"], before["step"]) == (11, 36) and before["source"].endswith("images/val")
    for name, value in before["figures"].items():
        assert trained[f"val/{name}"] == pytest.approx(value, abs=1e-6)


def test_a_run_validates_data_of_another_layout(run: Path, root: Path, tmp_path: Path) -> None:
    folders = {"JPEGImages": "images/val", "SegmentationClass": "masks/val"}
    for folder, source in folders.items():
        shutil.copytree(root / source, tmp_path / "VOC" / folder)
    lists = tmp_path / "VOC" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(path.stem for path in (root / "masks/val").iterdir()))
    before = report(run)
    names = f"--data.classes=[{','.join(CLASSES)}]"
    main(["validate", f"--run={run}", "--data=VocSegmentation", f"--data.root={tmp_path / 'VOC'}", names])
    assert report(run)["source"] == str(lists / "val.txt") and report(run)["figures"] == before["figures"]
    with pytest.raises(SystemExit) as caught:
        main(
            [
                "validate",
                f"--run={run}",
                "--data=FolderClassification",
                f"--data.root={write_class_folders(tmp_path, 6)}",
            ]
        )
    assert "SegmentationTask needs data of type SegmentationDataModule, but got FolderClassification" in str(
        caught.value
    )


def test_test_reads_the_test_split(run: Path) -> None:
    main(["test", "--run", str(run)])
    assert report(run, "test")["pixels"] == 56 * (47 + 46)
    assert (run / "test-confusion.csv").is_file() and (run / "images" / "test-confusion.png").is_file()


def test_half_precision_networks_run_at_several_scales(run: Path) -> None:
    network = litmobile.load(run).bfloat16()
    scales = Inference(scales=(0.75, 1.0), flip=True)
    labels = network.predict(np.full((48, 64, 3), 200, dtype=np.uint8), scales).labels
    assert labels.shape == (48, 64) and (labels == CLASSES.index("light")).all()


def test_validate_uses_windows_scales_and_flips(run: Path, tmp_path: Path) -> None:
    before = (run / "val.json").read_text()
    words = ["--model.inference.window=[48,40]", "--model.inference.scales=[0.75,1.0]", "--model.inference.flip=true"]
    main(["validate", "--run", str(run), *words])
    found = report(run)
    assert found["figures"]["miou"] > 0.4 and found["figures"] != json.loads(before)["figures"]
    (run / "val.json").write_text(before)


def test_images_show_the_first_batch_and_the_matrix(run: Path) -> None:
    names = {path.name for path in (run / "images").iterdir() if path.is_file()}
    assert "val-confusion.png" in names and "val-0000036.jpg" in names
    for name in names:
        image = cv2.imread(str(run / "images" / name))
        assert image is not None and image.std() > 5


def test_class_weights_are_computed_from_the_training_masks(root: Path, tmp_path: Path) -> None:
    counts = np.zeros(3)
    for file in (root / "masks" / "train").iterdir():
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        counts += [(mask == k).sum() for k in range(3)]
    loss = PixelLoss(class_weights="log_frequency")
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(
        task(loss), FolderSegmentation(str(root), batch_size=2, num_workers=0)
    )
    assert loss.weights is not None
    assert loss.weights.numpy() == pytest.approx(1 / np.log(1.02 + counts / counts.sum()), rel=1e-6)


def test_pixels_are_counted_by_image(root: Path) -> None:
    split = FolderSegmentation(str(root)).read("train")
    counts = split.count_pixels()
    assert counts.shape == (12, 3) and counts.dtype == np.int64
    for index, row in enumerate(counts):
        assert row.tolist() == [(split.labels(index) == k).sum() for k in range(3)]


def test_a_wrong_number_of_weights_is_one_sentence(root: Path, tmp_path: Path) -> None:
    words = ["--model.loss.class_weights=[1.0,2.0]", "--trainer.max_steps=1"]
    with pytest.raises(SystemExit) as caught:
        main(["fit", *SMALL_SEGMENTER, f"--data.root={root}", f"--run={tmp_path / 'run'}", *words])
    assert "loss.class_weights has 2 numbers, but there are 3 classes: dark, middle, light." in str(caught.value)


@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
@pytest.mark.parametrize(("command", "split"), [("fit", "train"), ("fit", "val"), ("validate", "val")])
def test_an_unlabelled_split_is_refused_before_training(
    split: str, command: str, on_invalid: str, run: Path, tmp_path: Path
) -> None:
    for name in ("train", "val"):
        write_block_images(tmp_path / "data", name, 2, unlabelled=name == split)
    with pytest.raises(SystemExit) as caught:
        main([command, "--run", str(run), f"--data.root={tmp_path / 'data'}", f"--data.on_invalid={on_invalid}"])
    assert f"No pixel of {tmp_path / 'data' / 'masks' / split} has a class" in str(caught.value)


def test_unlabelled_batches_stop_validate_but_not_fit(run: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_block_images(root, "train", 2)
    write_block_images(root, "val", 3)
    blank = cv2.imread(str(root / "masks" / "val" / "0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(root / "masks" / "val" / "0.png"), np.full_like(blank, 255))
    first_batch = ["--trainer.limit_val_batches=0.4"]
    with pytest.raises(SystemExit) as caught:
        main(["validate", f"--run={run}", f"--data.root={root}", "--data.batch_size=1", *first_batch])
    assert "No pixel of the evaluated images has a class, so there is nothing to measure." in str(caught.value)
    short = trainer(tmp_path, max_epochs=1, limit_val_batches=1)
    with pytest.warns(UserWarning, match="there is nothing to measure"):
        short.fit(task(), FolderSegmentation(str(root), batch_size=1, num_workers=0))
    assert short.callback_metrics["val/miou"] == 0


def test_unlabelled_images_do_not_stop_training(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_block_images(root, "train", 4, unlabelled=True)
    write_block_images(root, "train", 1)
    write_block_images(root, "val", 4)
    for number in (0, 1):  # the sanity check reads these
        file = root / "masks" / "val" / f"{number}.png"
        cv2.imwrite(str(file), np.full_like(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), 255))
    trained = task(PixelLoss(ohem_threshold=0.7, dice=1.0, lovasz=1.0))
    short = trainer(tmp_path, max_epochs=1, num_sanity_val_steps=1)
    short.fit(trained, FolderSegmentation(str(root), values=[0, 1, 2], batch_size=2, num_workers=0))
    assert short.global_step == 2
    assert all(parameter.isfinite().all() for parameter in trained.network.parameters())
    assert 0 <= short.callback_metrics["val/miou"] <= 1


@pytest.mark.parametrize("inference", [Inference(), Inference(window=(32, 32)), Inference(flip=True)], ids=str)
def test_scores_are_resized_to_each_masks_stored_size(inference: Inference, root: Path) -> None:
    """A network that reads the class from the brightness is wrong only where resizing blurs the image."""

    class ReadBrightness(torch.nn.Module):
        classes = CLASSES

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            values = images if images.is_floating_point() else images / 255
            tones = torch.tensor([50, 125, 200]).view(1, 3, 1, 1) / 255
            return -100 * (values.mean(1, keepdim=True) - tones).square()

    measured = task(inference=inference)
    measured.network = ReadBrightness()  # type: ignore[assignment]
    data = FolderSegmentation(str(root), batch_size=3, num_workers=0)
    data.preprocessing = Preprocessing((96, 80), "pad")
    data.setup("validate")
    measured.evaluator = SegmentationEvaluator(CLASSES)
    for batch in data.val_dataloader():
        assert isinstance(batch, SegmentationBatch) and isinstance(batch.truths[0], StoredMask)
        measured.evaluate(batch)
    found = measured.evaluator.compute()
    assert found.matrix.sum() == sum((47 - k % 3) * 56 for k in range(5))
    assert found.figures["pixel_accuracy"] > 0.97


def test_scores_that_are_nan_are_refused(root: Path, assert_one_sentence: Callable[..., None]) -> None:
    """The class of the highest of them would be counted."""
    measured = task()
    measured.network = torch.nn.Conv2d(3, len(CLASSES), 1)  # type: ignore[assignment]
    torch.nn.init.constant_(measured.network.bias, float("nan"))  # type: ignore[arg-type]
    data = FolderSegmentation(str(root), batch_size=3, num_workers=0)
    data.preprocessing = Preprocessing((96, 80), "pad")
    data.setup("validate")
    batch = next(iter(data.val_dataloader()))
    with pytest.raises(PredictionError) as refused:
        measured.evaluate(batch._replace(images=batch.images / 255))
    assert_one_sentence(refused.value, "scores are NaN or infinite; lower the learning rate")


def test_the_recipe_starts_from_torchvision_weights(root: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict()
    torch.save(peer, tmp_path / "lraspp.pth")
    words = ["--data=FolderSegmentation", f"--data.root={root}", "--data.batch_size=4", "--data.num_workers=0",
             f"--model.weights={tmp_path / 'lraspp.pth'}", "--model.preprocessing.size=[64,64]",
             "--model.optimizer.lr=0", "--model.ema_decay=null", "--trainer.max_steps=1",
             "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]  # fmt: skip
    main(["fit", "--config", "segmentation/lraspp_camvid", *words, f"--run={tmp_path / 'run'}"])
    network = litmobile.load(tmp_path / "run")
    assert network.classes == CLASSES
    assert torch.equal(network.head.gate.weight, peer["classifier.scale.1.weight"])
    assert torch.equal(network.head.project.conv.weight, peer["classifier.cbr.0.weight"])
    first = next(network.backbone.parameters())
    assert torch.equal(first, next(x for x in peer.values() if x.shape == first.shape))
    assert network.head.coarse_classifier.out_channels == len(CLASSES), (
        "the classifiers are new, because no class name is equal"
    )
