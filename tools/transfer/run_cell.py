"""Runs one cell to its end: ``python -m litmobile.tools.transfer.run_cell STUDY HASH``."""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ...errors import EvaluationError, LossError, PredictionError, UserError, first_line
from ...tasks import run as run_folder
from ...tasks.atomic import write_text
from ...tasks.data.start_methods import choose_start_method, start_fork_server
from ...tasks.evidence import evidence_path, save_evidence
from ...versions import list_versions
from .. import training
from ..options.yaml_text import read_yaml
from ..parts import build_parts
from .launchers.launcher import BUSY, FAILED, FINISHED, STOPPED
from .plan.protocols import PROTOCOLS
from .probes.probe import choose_device, run_probe
from .resolve import permit
from .store import CONFIG, FAILURE, REQUEST, BusyError, Study

SET_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl
ATTEMPTS, FEATURES = "attempts.json", "features"
#: errors of trainings whose weights have become NaN or infinite
DIVERGED = (LossError, PredictionError, EvaluationError)
PACKAGE = Path(__file__).resolve().parents[2]


def run_cell(study: Study, digest: str, workers: int | None = None) -> int:
    """Runs or continues a cell, and returns an exit status.

    A failure is written into the study; it never ends this process by an exception.

    Args:
        study: the study, in which the cell was requested.
        digest: the cell's hash.
        workers: processes that read data; None for the number in its configuration. Figures do not depend on it.
    """
    try:
        with study.claim(digest):
            return FINISHED if study.is_finished(digest) else attempt(study, digest, workers)
    except BusyError:
        return BUSY


def attempt(study: Study, digest: str, workers: int | None) -> int:
    """Runs a claimed cell; see :func:`run_cell`."""
    folder = study.work_folder(digest)
    (folder / FAILURE).unlink(missing_ok=True)
    try:
        request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        config = read_yaml(folder / CONFIG)
        attempts = Attempts(folder)
        record, evidence = measure(study.run_folder(digest), folder / CONFIG, request, config, workers)
        record |= {"seconds": round(attempts.total(), 1), "commit": find_commit(), "versions": list_versions()}
        record["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        described = {key: request[key] for key in ("cell", "split", "main_figure", "data", "weights_hash")}
        study.finish(digest, described | record, config, evidence)
        return FINISHED
    except SystemExit as stopped:
        if stopped.code in STOPPED:
            return int(stopped.code or 0)
        study.fail(digest, f"The cell ended with status {stopped.code}.", traceback.format_exc())
    except Exception as error:  # whatever it is, other cells go on
        study.fail(digest, explain(error), traceback.format_exc())
    return FAILED


def measure(
    run: Path, config_file: Path, request: dict[str, Any], config: dict[str, Any], workers: int | None
) -> tuple[dict[str, Any], list[Path]]:
    """Trains and evaluates in the folder ``run``; returns values for ``cell.json``, and files of evidence."""
    permit(request["code"])
    role, split = request["cell"]["role"], request["split"]
    if PROTOCOLS[request["cell"]["protocol"]].is_probe:
        return probe(run, request["cell"]["protocol"], split, config, workers)
    options = [] if workers is None else [f"--data.num_workers={workers}"]
    try:
        train(run, config_file, config, options)
    except DIVERGED as error:
        if role == "main" or (isinstance(error, EvaluationError) and "NaN" not in str(error)):
            raise
        # the rate is too high, which is what was to be found out
        return {"figures": {}, "value": None, "diverged": first_line(error)}, []
    if split == "test" and not (run / "test.json").is_file():
        training.test(["--run", str(run), "--ckpt_path=last", *options])
    file = run / f"{split}.json"
    if not file.is_file():
        raise UserError("The training was not evaluated, because trainer.limit_val_batches is 0; leave that out.")
    figures = json.loads(file.read_text(encoding="utf-8"))["figures"]
    evidence = [evidence_path(run, split)] if role == "main" else []
    return {"figures": figures, "value": figures.get(request["main_figure"])}, [
        path for path in evidence if path.is_file()
    ]


def probe(
    run: Path, protocol: str, split: str, config: dict[str, Any], workers: int | None
) -> tuple[dict[str, Any], list[Path]]:
    """Evaluates features of the frozen backbone; returns the same as :func:`measure`."""
    if workers is not None:
        config = config | {
            "data": config["data"] | {"init_args": config["data"]["init_args"] | {"num_workers": workers}}
        }
    cache = run.parents[1] / FEATURES
    result = run_probe(*build_parts(config), protocol, split=split, cache=cache, device=choose_device(config))
    path = evidence_path(run, split)
    save_evidence(path, result.evidence, result.identity)
    figures = {name: None if math.isnan(value) else value for name, value in result.figures.items()}
    main = next(iter(figures))
    return {"figures": figures, "value": figures[main], "main_figure": main}, [path]


def train(run: Path, config_file: Path, config: dict[str, Any], options: Sequence[str]) -> None:
    """Starts the training, or resumes it to the bits of one that was not interrupted."""
    if run_folder.is_new(run):
        return training.fit(["--config", str(config_file), "--run", str(run), *options])
    root = config["data"]["init_args"].get("root")  # which may have moved since
    return training.fit(["--run", str(run), *options, *([] if root is None else [f"--data.root={root}"])])


def explain(error: Exception) -> str:
    """Returns the reason of a failure in one sentence."""
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return (
            f"The cell ran out of memory, so lower --jobs, --data.batch_size or the input size ({first_line(error)})."
        )
    if isinstance(error, UserError):
        return f"{first_line(error)}."
    return f"{type(error).__name__}: {first_line(error)}."


class Attempts:
    """Times of the processes that ran a cell, of which killed ones leave their start and the time of a checkpoint.

    Args:
        folder: folder of the cell in progress.
    """

    def __init__(self, folder: Path) -> None:
        file, now = folder / ATTEMPTS, time.time()
        self.earlier = json.loads(file.read_text()) if file.is_file() else []
        if self.earlier and self.earlier[-1][1] is None:
            began = self.earlier[-1][0]
            saved = run_folder.checkpoint_path(folder / "run", "last")
            self.earlier[-1][1] = max(began, saved.stat().st_mtime) if saved.is_file() else began
        self.began = now
        write_text(file, json.dumps([*self.earlier, [now, None]]))

    def total(self) -> float:
        """Returns the seconds until now, without work that a kill lost."""
        return time.time() - self.began + sum(end - start for start, end in self.earlier)


@cache
def find_commit() -> str | None:
    """Returns the commit of the checkout that this package is imported from; None where it is installed."""
    if not (PACKAGE / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "-C", PACKAGE, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def end_with_parent(parent: int) -> None:
    """Stops this process when the process ``parent`` that started it ends; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended before
            os._exit(FAILED)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command; see the module."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.transfer.run_cell", description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("hash")
    parser.add_argument("--workers", type=int, help="processes that read data; default: as configured")
    parser.add_argument("--parent", type=int, help="number of the process with which this one ends")
    options = parser.parse_args(words)
    if options.parent is not None:
        end_with_parent(options.parent)
    if options.workers != 0 and choose_start_method() == "forkserver":
        start_fork_server()
    sys.exit(run_cell(Study(options.study), options.hash, options.workers))


if __name__ == "__main__":
    main()
