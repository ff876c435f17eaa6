"""How worker processes start. This module imports no torch, so that the fork server can start before torch is imported.

A forked worker copies the training process, whose threads may hold locks at that moment, and then hangs forever. The
fork server has no threads. It imports once what workers need, and forks itself for each worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver, resource_tracker
from typing import Literal, cast

from ...errors import UserError

StartMethod = Literal["fork", "spawn", "forkserver"]

#: what workers of any task import; a module that cannot be imported here is imported by the worker
PRELOADED = (
    "litmobile.tasks.data.loader",
    "litmobile.tasks.data.workers",
    *(
        f"litmobile.tasks.{task}.{module}"
        for task in ("classification", "detection", "segmentation")
        for module in ("batch", "transforms")
    ),
)


_is_forked = False  # whether this process is a fork of one that had imported this module


def _remember_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_remember_fork)


def check_start_method(method: str) -> None:
    """Raises UserError if this system cannot start processes by ``method``."""
    available = multiprocessing.get_all_start_methods()
    if method not in available:
        raise UserError(f"start_method must be {' or '.join(available)} on this system, not {method}.")


def choose_start_method() -> StartMethod:
    """Returns the program's start method if it set one; else "forkserver", or "spawn" on systems without it.

    Python's default does not count, because it is set as soon as a library asks for the method. A forked process gets
    "spawn", because it cannot use its parent's fork server, and Python does not start a second one.
    """
    default, *others = multiprocessing.get_all_start_methods()
    chosen = multiprocessing.get_start_method(allow_none=True)
    if chosen in others:
        return cast(StartMethod, chosen)
    return "forkserver" if "forkserver" in (default, *others) and not _is_forked else "spawn"


def start_fork_server() -> None:
    """Starts the fork server, so that it imports torch while this process does; needs no call before workers start.

    The server outlives a SIGTERM to all processes of a job, because its workers have to finish their batches. It ends
    with this process.
    """
    multiprocessing.set_forkserver_preload(list(PRELOADED))
    is_safe = os.environ.get("PYTHONSAFEPATH")
    resource_tracker.ensure_running()  # now, because it unblocks SIGTERM when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # the server would import modules from the current folder, which can contain a torch.py
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_safe is None:
            del os.environ["PYTHONSAFEPATH"]
