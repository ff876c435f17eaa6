"""An exported network that predicts and is evaluated like the network it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import PredictionError, UserError, first_line, format_count
from ...heads.predictions import Classification, Detections, Prediction, Segmentation
from ...heads.ssdlite.decode import select_class_by_class
from ...tasks.network import Predictor
from .choice import open_engine
from .engine import Engine


class ExportedNetwork(Predictor):
    """Predicts with an exported file.

    Args:
        engine: runs the file.
    """

    content: Tensor

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.description = engine.description
        self.classes = self.description.classes
        self.preprocessing = self.description.preprocessing
        # evaluations name what they evaluated by a hash of its buffers
        content = np.frombuffer(engine.path.read_bytes(), dtype=np.uint8)
        self.register_buffer("content", torch.from_numpy(content.copy()))

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def epoch_and_step(self) -> tuple[int, int] | None:
        run = self.description.run
        return (run["epoch"], run["step"]) if "epoch" in run and "step" in run else None

    def config(self) -> dict[str, Any]:
        """Returns the engine and the file's description."""
        return {"engine": self.engine.name, "file": self.engine.path.name, **asdict(self.description)}

    def forward(self, images: Tensor) -> Any:
        """Images ``[N, 3, H, W]`` uint8 → tensors by name; of a segmentation network, scores ``[N, C, H, W]``.

        A file that outputs labels gives scores of 1 for the label and 0 for the other classes.

        Raises:
            UserError: the images have another size than the file takes, or the file and its description do not fit.
            PredictionError: an output is NaN or infinite.
        """
        size = self.preprocessing.size
        if tuple(images.shape[2:]) != size:
            height, width = images.shape[2:]
            raise UserError(
                f"{self.engine.path} takes images of {size[0]}×{size[1]} pixels, not {height}×{width}: windows and "
                "scales need the run itself."
            )
        try:
            arrays = self.engine.run(np.ascontiguousarray(images.cpu().numpy()))
            outputs = dict(zip(self.description.outputs, map(torch.from_numpy, arrays), strict=True))
        except Exception as error:  # engines fail in any way
            raise UserError(
                f"{self.engine.path} cannot be run by {self.engine.name} ({first_line(error)}); export it again."
            ) from error
        self._check_classes(outputs)
        for name, values in outputs.items():
            if values.is_floating_point() and not values.isfinite().all():
                raise PredictionError(f"The output {name} of {self.engine.path} is NaN or infinite; export it again.")
        if self.description.role != "segmentation":
            return outputs
        if "logits" in outputs:
            return outputs["logits"]
        return F.one_hot(outputs["labels"].long(), len(self.classes)).movedim(-1, 1).float()

    def check_role(self, role: str) -> None:
        """Raises UserError if the network is for another task, e.g. "detection"."""
        if self.description.role != role:
            raise UserError(
                f"{self.engine.path} is for {self.description.role}, but the run or recipe is for {role}; "
                "pass a run or a recipe of the same task."
            )

    def _check_classes(self, outputs: Mapping[str, Tensor]) -> None:
        """Raises UserError if the outputs have other classes than the description, e.g. that of another file."""
        number = len(self.classes)
        if "labels" in outputs:
            fits = not outputs["labels"].numel() or int(outputs["labels"].max()) < number
        else:
            (scores,) = (outputs[name] for name in ("scores", "logits", "probabilities") if name in outputs)
            fits = scores.shape[1 if "logits" in outputs else -1] == number
        if not fits:
            raise UserError(
                f"{self.engine.path} has other classes than its description, which names "
                f"{format_count(number, 'classes')}; export the run again."
            )

    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        if self.description.role == "segmentation":
            return [Segmentation(scores) for scores in output]
        if self.description.role == "classification":
            return [Classification(scores) for scores in output["probabilities"]]
        if self.description.postprocess["is_inside"]:
            rows = zip(*(output[name] for name in ("boxes", "scores", "labels", "count")), strict=True)
            return [Detections(*(x[:count] for x in values)) for *values, count in rows]
        height, width = image_size
        unit = torch.tensor([width, height, width, height])
        config = self.description.thresholds
        return [
            select_class_by_class(scores, boxes * unit, config)
            for boxes, scores in zip(output["boxes"], output["scores"], strict=True)
        ]


def results_folder(path: Path) -> Path:
    """Returns the folder for evaluations of the exported file ``path``, e.g. ``cells.onnx-results``."""
    return path.with_name(path.name + "-results")


def load_exported(path: Path, engine: str | None = None, threads: int | None = None) -> ExportedNetwork:
    """Opens an exported file, ready to predict.

    Args:
        path: the file.
        engine: name of the engine; default: the first that is made for files of this kind.
        threads: number of threads; None leaves it to the engine.

    Raises:
        UserError: the file does not exist, was not written by `litmobile export`, or needs a missing package.
    """
    return ExportedNetwork(open_engine(path, engine, threads))
