"""Runs each cell as a job of SLURM, through submitit."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....errors import UserError, first_line, suggest
from ...engines.packages import import_package
from ..store import LOG, Study
from .launcher import FAILED, CellProcess, End
from .slurm_job import CellJob

JOBS = 100  # cells in SLURM's queue at a time, without --jobs
DEFAULTS = {"name": "litmobile", "timeout_min": 240}  # submitit's own limit of 5 minutes is too short for most cells
LARGEST_NUMBER_OF_TIMEOUTS = "max_num_timeout"  # an argument of submitit's executor, not of its parameters
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 90.0  # for cells to write their state
GPUS = ("gpus_per_node", "gpus_per_task", "num_gpus")
ADVICE = {
    "OUT_OF_MEMORY": "ask for more memory with --slurm.mem_gb or lower --data.batch_size",
    "TIMEOUT": "raise --slurm.timeout_min, or --slurm.signal_delay_s, the seconds for writing the state",
}


def has_gpus(settings: Mapping[str, Any]) -> bool:
    """Whether parameters of submitit ask for GPUs."""
    return any(settings.get(name) for name in GPUS) or "gpu" in str(settings.get("gres"))


class SlurmLauncher:
    """Runs each cell as a job. A job that is preempted or out of time is queued again, and its cell resumes.

    Args:
        study: the study, in a folder that all machines share.
        cell: how a cell runs.
        slots: jobs at a time; None for :data:`JOBS`.
        settings: the user's parameters of submitit's executor, e.g. ``{"partition": "gpu", "timeout_min": 600}``.
        cluster: name of submitit's executor; "local" runs jobs on this machine, for tests.

    Raises:
        UserError: submitit or SLURM is missing, or a setting is wrong.
    """

    def __init__(
        self, study: Study, cell: CellProcess, slots: int | None, settings: Mapping[str, Any], cluster: str = "slurm"
    ) -> None:
        self.slots = slots or JOBS
        self.study = study
        self.cell = cell
        self._submitit = import_package("submitit")
        if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError("--launcher slurm needs SLURM's sbatch and srun; start the study where jobs are submitted.")
        names = self._list_names()
        for name in settings:
            if name not in names:
                raise UserError(f"--slurm.{name} is not a parameter of submitit{suggest(name, names)}")
        self._cluster = cluster
        self._settings = {**DEFAULTS, "cpus_per_task": cell.threads, **settings}
        self._folder: Path | None = None
        self._executor: Any = None
        self._running: dict[str, Any] = {}
        self._has_failures = False

    def _list_names(self) -> set[str]:
        """Returns the names of all parameters. submitit names them only in private methods and in its errors."""
        return {
            LARGEST_NUMBER_OF_TIMEOUTS,
            *self._submitit.AutoExecutor._valid_parameters(),
            *self._submitit.SlurmExecutor._valid_parameters(),
        }

    def _make_executor(self) -> Any:
        """Returns what submits jobs, whose files are in a new folder of the study."""
        work = self.study.folder.absolute() / "work"
        self._folder = Path(tempfile.mkdtemp(prefix="slurm-", dir=work))
        generic = self._submitit.AutoExecutor._valid_parameters()
        named = {name if name in generic else f"slurm_{name}": value for name, value in self._settings.items()}
        limits = {name: named.pop(name) for name in [f"slurm_{LARGEST_NUMBER_OF_TIMEOUTS}"] if name in named}
        try:
            executor = self._submitit.AutoExecutor(self._folder / "%j", cluster=self._cluster, **limits)
            executor.update_parameters(**named)
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise UserError(f"submitit does not accept the options --slurm ({first_line(error)}).") from error
        return executor

    def start(self, digest: str) -> None:
        self._executor = self._executor or self._make_executor()
        job = CellJob(self.cell, digest, self.study.work_folder(digest).absolute() / LOG)
        try:
            with self._submitit.helpers.clean_env():  # the study may itself run in a job
                self._running[digest] = self._executor.submit(job)
        except self._submitit.core.utils.UncompletedJobError as error:
            raise UserError(f"SLURM does not accept the job ({first_line(error)}).") from error

    def wait(self, seconds: float) -> list[End]:
        deadline = time.monotonic() + seconds
        while True:
            ended = [digest for digest, job in self._running.items() if job.done()]
            if ended or time.monotonic() > deadline:
                return [End(digest, self._read_status(digest)) for digest in ended]
            time.sleep(POLL_SECONDS)

    def _read_status(self, digest: str) -> int:
        """Returns the exit status of an ended cell, and removes the files of its job if the cell is finished."""
        job = self._running.pop(digest)
        try:
            status = int(job.result())
        except self._submitit.core.utils.UncompletedJobError:
            status = FAILED
            if not self.study.is_finished(digest) and not self.study.failure(digest):
                advice = ADVICE.get(job.state, f"its output is {job.paths.stderr}")
                self.study.fail(digest, f"The SLURM job {job.job_id} ended in the state {job.state}; {advice}.")
        if self.study.is_finished(digest):
            shutil.rmtree(job.paths.folder, ignore_errors=True)
        else:
            self._has_failures = True
        return status

    def close(self) -> None:
        for job in self._running.values():
            job.cancel(check=False)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._running and time.monotonic() < deadline:
            self._running = {digest: job for digest, job in self._running.items() if not job.done(force_check=True)}
            time.sleep(POLL_SECONDS if self._running else 0)
        if self._folder is not None and not self._has_failures and not self._running:
            shutil.rmtree(self._folder, ignore_errors=True)
