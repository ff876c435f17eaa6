"""Set-up of worker processes: signals, threads, and their end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading

import cv2

from ..memory import keep_freed_memory


def set_up_worker(_: int) -> None:
    """Sets up a worker: one OpenCV thread, no copies of shared memory, and no reaction to signals of the whole job."""
    cv2.setNumThreads(0)
    keep_freed_memory()  # only a forked worker would inherit this from the training process
    gc.freeze()  # garbage collection writes to inherited objects, which would copy their pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # threads inherit the mask, so it comes first
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=exit_on_parent_signal, daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):  # macOS, where a SIGTERM to the process group ends the workers, too
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the fork server blocks it
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_on_parent_signal() -> None:
    """Exits on SIGTERM from the parent; ignores others, e.g. SLURM's, because the parent stops its workers itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
        pass
    os._exit(0)


def exit_with_parent() -> None:
    """Exits when the training process has ended, even by SIGKILL.

    PyTorch's own check compares the parent's process id, which is that of the fork server, which waits for its workers.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
