"""What a training step costs beside the network: `python -m litmobile.tools.benchmark.overhead`.

The same steps of a network of next to nothing are taken by a bare loop, by a plain Trainer, and by a run as `litmobile
fit` sets it up, with its loggers, callbacks and checks, in turn. Processor time is counted, which other programs
hardly change.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from ...backbones.contract import Backbone, Feature
from ...heads import BoxTargets
from ...heads.contract import Features, Head
from ...tasks import run
from ...tasks.detection import DetectionDataModule, DetectionSplit, DetectionTask
from ...tasks.detection.data import DetectionBatch
from ...tasks.network import Network
from ...tasks.schedule import Cosine, parameter_groups, warmup_schedule

WARMUP = 100  # steps that are not counted
QUIET: dict[str, Any] = {"max_epochs": 1, "accelerator": "cpu", "enable_model_summary": False}


class Point(Backbone):
    """One convolution to one number a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.features = {"c1": Feature(4, 2)}
        self.default_features = {"detection": ("c1",)}
        self.conv = nn.Conv2d(3, 4, 1)

    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"c1": self.conv(images)}


class Nothing(Head):
    """Two terms of a loss and no answer."""

    def __init__(self, features: Features, num_classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        return self.scale * maps["c1"].mean()

    def loss(self, output: Tensor, targets: Any) -> dict[str, Tensor]:
        return {"classification": output.square(), "boxes": output.abs()}

    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Any]:
        raise NotImplementedError("this head is never evaluated")


class Repeated(IterableDataset[DetectionBatch]):
    """One batch, again and again, and the processor time between the first and the last that counts.

    Args:
        steps: how many steps count.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        targets = BoxTargets(torch.zeros(2, 16, 4), torch.full((2, 16), -1))
        self.batch = DetectionBatch(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), targets, torch.arange(2))
        self.microseconds = 0.0

    def __len__(self) -> int:
        return WARMUP + self.steps + 1

    def __iter__(self) -> Iterator[DetectionBatch]:
        start = 0.0
        for number in range(len(self)):
            if number == WARMUP:
                start = time.process_time()
            if number == WARMUP + self.steps:
                self.microseconds = (time.process_time() - start) / self.steps * 1e6
            yield self.batch


class NoData(DetectionDataModule):
    """A data module that gives ``batches`` and reads nothing."""

    def __init__(self, batches: Repeated) -> None:
        super().__init__(batch_size=2, num_workers=0)
        self.batches = batches

    def setup(self, stage: str) -> None:
        """Nothing to read."""

    @property
    def classes(self) -> tuple[str, ...]:
        return ("thing",)

    def read(self, split: str) -> DetectionSplit:
        raise NotImplementedError("there is nothing to read")

    def train_dataloader(self) -> DataLoader[Any]:
        return loader(self.batches)


class Plain(LightningModule):
    """The same network with the least that Lightning asks for."""

    def __init__(self, network: Network, batches: Repeated) -> None:
        super().__init__()
        self.network = network
        self.batches = batches

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> Tensor:
        return loss_of(self.network, batch)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = optimizer_of(self.network)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[Any]:
        return loader(self.batches)


def loader(batches: Repeated) -> DataLoader[Any]:
    """Hands the batches on as they are."""
    return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)


def loss_of(network: Network, batch: DetectionBatch) -> Tensor:
    """Forward and loss."""
    return torch.stack(list(network.head.loss(network(batch.images), batch.targets).values())).sum()


def optimizer_of(network: Network) -> tuple[torch.optim.Optimizer, Any]:
    """Those of a task."""
    optimizer = torch.optim.SGD(parameter_groups(network.parameters()), lr=0.05, momentum=0.9, weight_decay=4e-5)
    return optimizer, warmup_schedule(optimizer, Cosine(), 100_000, 1, 10)


def task(average: bool) -> DetectionTask:
    """The network of next to nothing, to be trained as any other."""
    return DetectionTask(Point(), Nothing, ema_decay=0.999 if average else None)


def network() -> Network:
    """What the task trains, without it."""
    return task(average=False).build(["thing"])


def trained(steps: int, average: bool) -> float:
    """Microseconds a step of a run."""
    model, batches = task(average), Repeated(steps)
    with tempfile.TemporaryDirectory() as folder:
        recorded = {"logger": run.loggers(Path(folder)), "callbacks": run.callbacks(Path(folder), model)}
        trainer = Trainer(**run.TRAINER_DEFAULTS, **QUIET, **recorded, limit_val_batches=0, profiler=run.NoProfiler())
        trainer.fit(model, NoData(batches))
    return batches.microseconds


def plain(steps: int) -> float:
    """Microseconds a step of Lightning with nothing logged and no callbacks."""
    batches = Repeated(steps)
    Trainer(**QUIET, logger=False, enable_checkpointing=False, enable_progress_bar=False).fit(Plain(network(), batches))
    return batches.microseconds


def bare(steps: int) -> float:
    """Microseconds a step of a loop that does what has to be done and nothing else."""
    model, batches = network(), Repeated(steps)
    optimizer, schedule = optimizer_of(model)
    for batch in batches:
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return batches.microseconds


def main() -> None:
    """Measures and prints medians."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark.overhead", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="counted steps of each measurement (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side (default: 5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # in turn, so that what slows the machine slows all
    sides: dict[str, Callable[[], float]] = {
        "bare loop": lambda: bare(options.steps),
        "plain Trainer": lambda: plain(options.steps),
        "run": lambda: trained(options.steps, average=False),
        "run, weights averaged": lambda: trained(options.steps, average=True),
    }
    rounds = [{name: side() for name, side in sides.items()} for _ in range(options.rounds)]
    times = {name: [taken[name] for taken in rounds] for name in sides}
    loop = statistics.median(times["bare loop"])
    for name, values in times.items():
        print(f"{name:<22} {statistics.median(values):6.0f} µs a step, {statistics.median(values) - loop:+6.0f}")


if __name__ == "__main__":
    main()
