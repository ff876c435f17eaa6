"""Memory does not grow: in workers over epochs, and in evaluation except for the detections that it keeps."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from litmobile.backbones import MobileNetV2
from litmobile.tasks.detection import CocoDetection, DetectionTask, SSDAugmentation
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import FolderSegmentation, SegmentationTask
from litmobile.tools.sample_data import write_shapes
from support.data.segmentation import write_block_images

MEGABYTE = 2**20


def read_private_memory(process: int) -> int:
    """Return the number of bytes that only this process uses."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


@pytest.mark.slow
def test_worker_memory_does_not_grow_over_epochs(tmp_path: Path) -> None:
    if not Path("/proc/self/smaps_rollup").is_file():
        pytest.skip("this system does not report the private memory of a process")
    write_shapes(tmp_path / "shapes", train=160, val=1)
    # a spawned worker shares no memory with the main process, which would count as its own from its first write on
    data = CocoDetection(
        str(tmp_path / "shapes"),
        train="train",
        val="val",
        batch_size=16,
        num_workers=1,
        start_method="spawn",
        augmentation=SSDAugmentation(expand=4, photometric=True),
        seed=0,
    )
    data.preprocessing = Preprocessing((320, 320))
    data.setup("fit")
    loader = data.train_dataloader()
    levels: list[int] = []
    # all epochs augment alike, because a larger canvas than ever before raises the level without a leak
    for _ in range(20):
        assert len(list(loader)) == 10
        levels.append(read_private_memory(loader._iterator._workers[0].pid))  # type: ignore[union-attr]
    # a batch on its way to the main process counts at times, so the minimum over some epochs is taken
    assert min(levels[-5:]) - min(levels[5:10]) < MEGABYTE, levels


@pytest.mark.slow
def test_evaluation_memory_grows_only_by_kept_detections(shapes: Path, tmp_path: Path) -> None:
    write_shapes(tmp_path / "shapes", train=1, val=120)
    taken: list[tuple[int, int]] = []

    class Measure(Callback):
        def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
            assert isinstance(pl_module, DetectionTask)
            gc.collect()
            kept = sum(table.nbytes for table in pl_module.evaluator.detections.values())
            taken.append((tracemalloc.get_traced_memory()[0], kept))

    task = DetectionTask(MobileNetV2(0.35), preprocessing=Preprocessing((64, 64)), num_classes=6)
    data = CocoDetection(str(tmp_path / "shapes"), train="train", val="val", batch_size=4, num_workers=0)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    tracemalloc.start()
    try:
        Trainer(default_root_dir=tmp_path, callbacks=[Measure()], **quiet).validate(task, data, verbose=False)
    finally:
        tracemalloc.stop()
    assert len(taken) == 30
    (early, kept_early), (late, kept_late) = taken[9], taken[29]
    assert kept_late > 2.5 * kept_early
    assert late - early < 1.1 * (kept_late - kept_early) + 0.1 * MEGABYTE


@pytest.mark.slow
def test_segmentation_evaluation_memory_does_not_grow(tmp_path: Path) -> None:
    root = write_block_images(write_block_images(tmp_path / "data", "train", 1), "val", 120)
    taken: list[tuple[int, int]] = []

    class Measure(Callback):
        def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
            gc.collect()
            # exact types: networks that other tests exported leave tensors of subclasses, which have no storage
            tensors = (x for x in gc.get_objects() if type(x) in (torch.Tensor, torch.nn.Parameter))
            kept = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors}
            taken.append((tracemalloc.get_traced_memory()[0], sum(kept.values())))

    task = SegmentationTask(MobileNetV2(0.35), preprocessing=Preprocessing((64, 64)), num_classes=3)
    data = FolderSegmentation(str(root), batch_size=4, num_workers=0)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    tracemalloc.start()
    try:
        Trainer(default_root_dir=tmp_path, callbacks=[Measure()], **quiet).validate(task, data, verbose=False)
    finally:
        tracemalloc.stop()
    assert len(taken) == 30
    (early, kept_early), (late, kept_late) = taken[9], taken[29]
    assert kept_late - kept_early < 0.01 * MEGABYTE, "a batch of scores takes 0.2 MB"
    assert late - early < 0.1 * MEGABYTE
    attributes = vars(task).values()
    assert not any(isinstance(value, torch.Tensor) for value in attributes), "training does not keep evaluated scores"
