"""The options of `litmobile transfer`. This module does not import torch, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...errors import UserError, check_range
from ..options.parser import Parser, expand_users

DESCRIPTION = (
    "Runs a study of backbones on tasks, as a plan describes it: each cell is a training of its own. Start the same "
    "command again to continue a study: finished cells are not repeated, and stopped ones resume. docs/transfer.md "
    "describes the plan."
)
#: options without a value, unlike other options of yes or no
FLAGS = {
    "dry_run": "print the cells, those that cannot work, and the hours that the study will take; train nothing",
    "report": "write the report of the finished cells; train nothing, and read no data",
}


@dataclass(frozen=True)
class TransferOptions:
    """Options of a study.

    Attributes:
        plan: YAML file of the plan.
        to: folder of the study; finished cells are in its cells/.
        dry_run: print the cells, those that cannot work, and the hours that the study will take; train nothing.
        report: write the report of the finished cells; train nothing, and read no data.
        jobs: cells that run at a time. Default: the number of GPUs, or else of CPU cores; 100 jobs of SLURM.
        threads: CPU threads of each cell. Another number can change the last digits of figures.
        workers: processes of each cell that read data. Default: those of the recipe with GPUs, else 0, because every
            core has a cell.
        launcher: what runs the cells: processes on this machine, jobs of SLURM, or tasks of a running Ray cluster. The
            machines share the folder of the study.
        slurm: parameters of submitit, e.g. --slurm.partition=gpu --slurm.gpus_per_node=1 --slurm.timeout_min=600.
    """

    plan: Path
    to: Path | None = None
    dry_run: bool = False
    report: bool = False
    jobs: int | None = None
    threads: int = 1
    workers: int | None = None
    launcher: Literal["local", "slurm", "ray"] = "local"
    slurm: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises UserError if an option is out of range."""
        if self.jobs is not None:
            check_range("--jobs", self.jobs, ge=1)
        if self.workers is not None:
            check_range("--workers", self.workers, ge=0)
        check_range("--threads", self.threads, ge=1)
        if self.slurm and self.launcher != "slurm":
            raise UserError(f"--slurm.{next(iter(self.slurm))} needs --launcher slurm.")


def parse_options(words: Sequence[str]) -> TransferOptions:
    """Parses the options of ``litmobile transfer``.

    Raises:
        UserError: an option is unknown, missing or has a wrong value.
    """
    parser = Parser(prog="litmobile transfer", description=DESCRIPTION)
    parser.add_argument("plan", type=Path, help="YAML file of the plan")
    parser.add_class_arguments(TransferOptions, skip={"plan", *FLAGS})
    for flag, text in FLAGS.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", action="store_true", help=text)
    return TransferOptions(**expand_users(parser.parse_words(words).as_dict()))
