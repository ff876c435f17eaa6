"""What a training step costs beside the network: `python -m litmobile.tools.overhead`.

The same steps of a network of next to nothing are taken by a bare loop and by a run as `litmobile fit` sets it up,
with its loggers, callbacks and checks, in turn. Processor time is counted, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from ..backbones.contract import Backbone, Feature
from ..heads import BoxTargets
from ..heads.contract import Features, Head
from ..tasks import run
from ..tasks.detection import Annotations, DetectionData, DetectionTask
from ..tasks.detection.data import DetectionBatch
from ..tasks.schedule import parameter_groups, warmup_cosine

WARMUP = 100  # steps that are not counted


class Point(Backbone):
    """One convolution to one number a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.features = {"c1": Feature(4, 2)}
        self.taps = {"detection": ("c1",)}
        self.conv = nn.Conv2d(3, 4, 1)

    def select(self, names: Sequence[str]) -> None:
        self.check_offered(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"c1": self.conv(images)}


class Nothing(Head):
    """Two terms of a loss and no answer."""

    def __init__(self, features: Features, num_classes: int, width: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        return self.scale * maps["c1"].mean()

    def loss(self, output: Tensor, targets: Any) -> dict[str, Tensor]:
        return {"classification": output.square(), "boxes": output.abs()}

    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Any]:
        raise NotImplementedError("this head is never evaluated")


class Repeated(IterableDataset[DetectionBatch]):
    """One batch, again and again."""

    def __init__(self, count: int) -> None:
        self.count = count
        targets = BoxTargets(torch.zeros(2, 16, 4), torch.full((2, 16), -1))
        self.batch = DetectionBatch(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), targets, torch.arange(2))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[DetectionBatch]:
        return (self.batch for _ in range(self.count))


class NoData(DetectionData):
    """A data module that gives one batch ``count`` times and reads nothing."""

    def __init__(self, count: int) -> None:
        super().__init__(batch_size=2, workers=0)
        self.count = count

    def setup(self, stage: str) -> None:
        """Nothing to read."""

    @property
    def classes(self) -> tuple[str, ...]:
        return ("thing",)

    def read(self, split: str) -> Annotations:
        raise NotImplementedError("there is nothing to read")

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Repeated(self.count), batch_size=None)


class Clock(Callback):
    """Notes the processor time when step ``WARMUP`` begins and when the training ends."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == WARMUP:
            self.start = time.process_time()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.seconds = time.process_time() - self.start


def task(average: bool) -> DetectionTask:
    """The network of next to nothing, to be trained as any other."""
    return DetectionTask(Point(), Nothing, average_decay=0.999 if average else None)


def trained(steps: int, average: bool) -> float:
    """Microseconds a step of a run."""
    model, clock = task(average), Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_epochs=1,
            accelerator="cpu",
            limit_val_batches=0,
            enable_model_summary=False,
            log_every_n_steps=10,
            profiler=run.NoProfiler(),
            logger=run.loggers(Path(folder)),
            callbacks=[clock, *run.callbacks(Path(folder), model)],
        )
        trainer.fit(model, NoData(WARMUP + steps))
    return clock.seconds / steps * 1e6


def bare(steps: int) -> float:
    """Microseconds a step of a loop that does what has to be done and nothing else."""
    model = task(average=False)
    model._num_classes = 1  # there is no data module to say so
    model.configure_model()
    network = model.network
    optimizer = torch.optim.SGD(parameter_groups(network), lr=0.05, momentum=0.9, weight_decay=4e-5)
    schedule = warmup_cosine(optimizer, WARMUP + steps, 10)
    start = 0.0
    for number, batch in enumerate(Repeated(WARMUP + steps)):
        if number == WARMUP:
            start = time.process_time()
        terms = network.head.loss(network(batch.images), batch.targets)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        schedule.step()
    return (time.process_time() - start) / steps * 1e6


def main() -> None:
    """Measures and prints medians."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.overhead", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="counted steps of each measurement (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side (default: 5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, list[float]] = {"bare loop": [], "run": [], "run, weights averaged": []}
    for _ in range(options.rounds):
        rows["bare loop"].append(bare(options.steps))
        rows["run"].append(trained(options.steps, average=False))
        rows["run, weights averaged"].append(trained(options.steps, average=True))
    loop = statistics.median(rows["bare loop"])
    for name, times in rows.items():
        print(f"{name:<22} {statistics.median(times):6.0f} µs a step, {statistics.median(times) - loop:+6.0f}")


if __name__ == "__main__":
    main()
