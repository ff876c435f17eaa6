"""The prepared benchmark of a GPU: training steps, postprocessing and a short training, in at most eight minutes.

It prints Markdown tables for docs/benchmarks.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision

from ...sample_data import write_shapes
from ..measurement import SideProcesses, Summary, count_device_calls
from ..sides import Setting

STEPS = ("ssdlite-step", "lraspp-step")
PRECISIONS = ("bf16", "32")
BATCHES = (32, 128)
POSTPROCESSING = ("postprocess-dense", "postprocess-sparse")
POSTPROCESSING_BATCH = 32
TRAINING_OPTIONS = (
    *("--trainer.precision=bf16-mixed", "--trainer.strategy=ddp", "--trainer.devices=1", "--model.ema_decay=0.998"),
    *("--trainer.max_epochs=1000", "--trainer.check_val_every_n_epoch=1000", "--trainer.callbacks=null"),
    *("--trainer.enable_progress_bar=false", "--data.batch_size=64", "--data.num_workers=8"),
    "--model.optimizer.lr=8e-3",
)
TITLES = (
    *("comparison", "precision", "batch", "litmobile, images/s", "torchvision, images/s", "ratio of times"),
    *("kernel launches", "torchvision's", "synchronisations", "torchvision's"),
)


class Plan(NamedTuple):
    """How much is measured.

    Attributes:
        steps: measured steps of each side.
        comparison_seconds: time after which no further comparison starts.
        training_seconds: length of the training.
        images: number of generated training images.
        batches: images per step.
    """

    steps: int = 31
    comparison_seconds: float = 240
    training_seconds: int = 120
    images: int = 4000
    batches: Sequence[int] = BATCHES


def run(device: str, threads: int, plan: Plan = Plan()) -> None:  # noqa: B008 — immutable
    """Runs the comparisons and the training on ``device`` and prints their figures."""
    start = time.monotonic()
    print(f"{describe(device)}, torch {torch.__version__}, torchvision {torchvision.__version__}\n")
    print(markdown_row(TITLES), markdown_row(["---"] * len(TITLES)), sep="\n")
    for name, setting in list_comparisons(device, plan.batches):
        is_late = time.monotonic() - start > plan.comparison_seconds
        figures = ["no time left"] if is_late else compare(name, setting, threads, plan.steps)
        print(markdown_row([name, setting.precision, str(setting.batch), *figures]), flush=True)
    print(f"\n{train(device, plan)}\nAll of this took {time.monotonic() - start:.0f} s.")


def list_comparisons(device: str, batches: Sequence[int]) -> Iterator[tuple[str, Setting]]:
    """Yields the comparisons with their settings."""
    for name in POSTPROCESSING:
        yield name, Setting(POSTPROCESSING_BATCH, device, "32", False)
    for precision in PRECISIONS:
        for batch in batches:
            for name in STEPS:
                yield name, Setting(batch, device, precision, False)


def compare(name: str, setting: Setting, threads: int, steps: int) -> list[str]:
    """Compares both sides and returns the cells of their figures."""
    try:
        with SideProcesses(name, setting, threads) as sides:
            summary = Summary.of(sides.measure(steps), setting.batch)
            calls = sides.ask(count_device_calls)
    except torch.OutOfMemoryError:
        return ["out of memory"]
    ratio = "" if summary.ratio is None else "{:.3f} ({:.3f} to {:.3f})".format(*summary.ratio)
    counts = [str(count) for kind in zip(*calls, strict=True) for count in kind] if None not in calls else []
    return [*(f"{rate:,.0f}" for rate in summary.rates), ratio, *counts]


def train(device: str, plan: Plan) -> str:
    """Trains SSDLite on generated images with the options of large trainings, and reports speed and AP."""
    with tempfile.TemporaryDirectory() as folder:
        data, run = Path(folder, "shapes"), Path(folder, "run")
        write_shapes(data, train=plan.images, val=plan.images // 10)
        is_gpu = torch.device(device).type == "cuda"
        chosen = (
            ["--trainer.accelerator=gpu", "--trainer.sync_batchnorm=true"] if is_gpu else ["--trainer.accelerator=cpu"]
        )
        options = [*TRAINING_OPTIONS, *chosen, f"--data.root={data}"]
        options.append("--trainer.max_time=00:00:{:02d}:{:02d}".format(*divmod(plan.training_seconds, 60)))
        for words in (["fit", "--config", "detection/ssdlite_shapes", *options], ["validate"]):
            command = [sys.executable, "-m", "litmobile", *words, "--run", str(run)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        steps = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
        figures = json.loads((run / "val.json").read_text())["figures"]
    result = f"{steps} steps in {plan.training_seconds} s, AP {figures['AP']:.3f}"
    return f"litmobile fit {' '.join((*TRAINING_OPTIONS, *chosen))}: {result}"


def describe(device: str) -> str:
    """Returns the name of the device."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def markdown_row(cells: Sequence[str]) -> str:
    """Formats a row of a Markdown table."""
    return f"| {' | '.join([*cells, *[''] * (len(TITLES) - len(cells))])} |"
