"""The progress bar of a training."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

REFRESH_SECONDS = 0.2  # drawing the bar takes longer than the bookkeeping of a fast step


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with images per second and the time left for the training steps of the whole run."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=1)
        self._refreshed = 0.0
        self._step_end: float | None = None  # end of the previous step; None after a pause that was not training
        self._recent: deque[tuple[float, int]] = deque(maxlen=100)  # seconds and images of the last steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._step_end is not None:
            self._recent.append((now - self._step_end, len(batch.indices) * trainer.world_size))
        self._step_end = now
        if now - self._refreshed > REFRESH_SECONDS or trainer.is_last_batch:
            self._refreshed = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self._step_end = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_start(trainer, pl_module)
        self._step_end = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bars, so that the error message starts on a new line."""
        for name in ("train_progress_bar", "val_progress_bar", "test_progress_bar"):
            with contextlib.suppress(TypeError):  # raised for a bar that was not started
                getattr(self, name).close()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        if self._recent:
            seconds = sum(seconds for seconds, _ in self._recent)
            metrics["images/s"] = f"{sum(images for _, images in self._recent) / seconds:.0f}"
            steps_left = trainer.estimated_stepping_batches - trainer.global_step
            if steps_left != float("inf"):
                steps = len(self._recent) / trainer.accumulate_grad_batches
                metrics["left"] = format_duration(seconds / steps * steps_left)
        return metrics


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, e.g. 1:02:03 or 2:03."""
    hours, rest = divmod(max(0, round(seconds)), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
