"""Compiled training: the same loss, gradients and checkpoints as without compilation, and readable errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from litmobile.backbones import MobileNetV1
from litmobile.errors import TaskError
from litmobile.heads import Classifier
from litmobile.tasks.classification import ClassificationTask
from litmobile.tasks.classification.batch import ClassificationBatch
from litmobile.tasks.preprocessing import Preprocessing

pytestmark = pytest.mark.slow  # compiling takes up to a minute
NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")


def make_task(compile: bool) -> ClassificationTask:
    torch.manual_seed(0)
    torch.compiler.reset()
    head = partial(Classifier, dropout=0.0)  # compiled networks draw other masks
    task = ClassificationTask(MobileNetV1(0.25), head, Preprocessing((64, 64)), num_classes=3, compile=compile)
    task.configure_model()
    return task.train()


def make_batch(images: int, size: int) -> ClassificationBatch:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, size, size, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)
    return ClassificationBatch(pixels, torch.arange(images) % 3, torch.arange(images))


@NEEDS_COMPILER
def test_compiled_training_equals_plain_training() -> None:
    losses: list[Tensor] = []
    tasks = [make_task(compile) for compile in (True, False)]
    for task in tasks:
        losses.append(torch.stack(list(task.losses(make_batch(4, 64)).values())).sum())
        losses[-1].backward()
    torch.testing.assert_close(*losses)
    compiled, plain = (dict(task.named_parameters()) for task in tasks)
    for name, parameter in plain.items():
        gradient, expected = compiled[name].grad, parameter.grad
        assert gradient is not None and expected is not None
        assert (gradient - expected).norm() < 2e-2 * expected.norm(), name
    stored, weights = (task.state_dict() for task in tasks)
    assert stored.keys() == weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(stored[name], value, rtol=1e-4, atol=1e-5)


@NEEDS_COMPILER
def test_a_batch_that_batch_norm_cannot_train_on_is_named() -> None:
    with pytest.raises(TaskError, match=r"raise --data\.batch_size until every step has two"):
        make_task(compile=True).training_step(make_batch(1, 32), 0)


def compile_without_compiler() -> None:
    """Runs in a process of its own, because a failed compilation makes later ones fail."""
    with pytest.raises(TaskError, match=r"model\.compile=false") as caught:
        make_task(compile=True).training_step(make_batch(4, 64), 0)
    assert "\n" not in str(caught.value)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # has no compiled network
    code = f"import runpy; runpy.run_path({__file__!r})['compile_without_compiler']()"
    subprocess.run([sys.executable, "-c", code], check=True)
