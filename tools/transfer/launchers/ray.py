"""Runs each cell as a task of a Ray cluster that already runs."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Any

from ....errors import UserError, first_line
from ...engines.packages import import_package
from ..store import LOG, Study
from .launcher import FAILED, CellProcess, End
from .ray_task import run_task

START = "start one with `ray start --head`, or set RAY_ADDRESS"
CONNECT_SECONDS = 10.0
PATIENCE_SECONDS = 90.0  # for cells to write their state


class RayCluster:
    """A connection to the cluster of ``RAY_ADDRESS``, or else to the one that this machine belongs to.

    Args:
        threads: CPU threads of a cell.

    Attributes:
        ray: the module.
        gpus: number of GPUs; 0 if cells run on CPUs.
        slots: number of cells that fit at a time, at least 1.

    Raises:
        UserError: Ray is not installed, no cluster can be reached, or it has too few cores.
    """

    def __init__(self, threads: int) -> None:
        self.ray: Any = import_package("ray")
        address = os.environ.get("RAY_ADDRESS") or "auto"
        try:
            check_address(address)
            self.ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray's own and those of its network library
            name = "No Ray cluster runs here" if address == "auto" else f"The Ray cluster {address} cannot be reached"
            raise UserError(f"{name}; {START}.") from error
        resources = self.ray.cluster_resources()
        cores = int(resources.get("CPU", 0))
        if cores < threads:
            self.ray.shutdown()
            raise UserError(f"--threads {threads} needs more than the {cores} CPU cores of the Ray cluster.")
        self.gpus = int(resources.get("GPU", 0))
        self.slots = min(cores // threads, self.gpus) if self.gpus else cores // threads


def check_address(address: str) -> None:
    """Raises OSError if nothing listens at an address such as "192.0.2.1:6379", where Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


class RayLauncher:
    """Runs each cell as a task with ``threads`` CPU cores, and one GPU if the cluster has GPUs.

    Args:
        study: the study, in a folder that all machines share.
        cluster: where the tasks run.
        cell: how a cell runs.
        slots: cells at a time; None for as many as fit.
    """

    def __init__(self, study: Study, cluster: RayCluster, cell: CellProcess, slots: int | None) -> None:
        self.slots = slots or cluster.slots
        self.study = study
        self.cell = cell
        self._ray = cluster.ray
        # a cell whose machine fails is reported, and continues when the study is started again
        resources = {"num_cpus": cell.threads, "num_gpus": 1 if cluster.gpus else 0, "max_retries": 0}
        self._task = self._ray.remote(**resources)(run_task)
        self._running: dict[Any, str] = {}  # hashes by Ray's references to results

    def start(self, digest: str) -> None:
        log = self.study.work_folder(digest).absolute() / LOG
        self._running[self._task.remote(self.cell, digest, log)] = digest

    def wait(self, seconds: float) -> list[End]:
        if not self._running:
            time.sleep(seconds)
            return []
        ended, _ = self._ray.wait(list(self._running), timeout=seconds)
        return [self._read_end(reference) for reference in ended]

    def _read_end(self, reference: Any) -> End:
        digest = self._running.pop(reference)
        try:
            return End(digest, int(self._ray.get(reference)))
        except Exception as error:  # Ray's own, and those of the task
            if not self.study.is_finished(digest):
                cause = getattr(error, "cause", None) or error
                self.study.fail(digest, f"The Ray task ended without a result ({first_line(cause)}).", str(error))
            return End(digest, FAILED)

    def close(self) -> None:
        running = list(self._running)
        for reference in running:
            self._ray.cancel(reference)
        if running:
            _, left = self._ray.wait(running, num_returns=len(running), timeout=PATIENCE_SECONDS)
            for reference in left:
                self._ray.cancel(reference, force=True)
        self._running = {}
        self._ray.shutdown()
