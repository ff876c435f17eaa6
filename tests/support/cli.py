"""Tiny runs from the command line, and the messages of its refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.tools.cli import main

TINY = [
    "--model.backbone=MobileNetV2",
    "--model.backbone.width=0.35",
    "--model.preprocessing.size=[64,64]",
    "--data.batch_size=4",
    "--data.num_workers=0",
    "--trainer.max_epochs=2",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.log_every_n_steps=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]
SHAPES = "detection/ssdlite_shapes"

#: the JSON that `litmobile inspect` writes; a function that runs the command and returns its text and its JSON
Report = dict[str, Any]
Inspect = Callable[..., tuple[str, Report]]


def run_fit(shapes: Path, *words: str) -> None:
    """Train the tiny detector on ``shapes`` with further options."""
    main(["fit", "--config", SHAPES, *TINY, f"--data.root={shapes}", *words])


def get_refusal(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the exit status and the printed errors of a command that must fail."""
    with pytest.raises(SystemExit) as refused:
        main(list(words))
    assert refused.value.code not in (0, None)
    return f"{refused.value.code} {capsys.readouterr().err}"
