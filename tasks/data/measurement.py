"""Measures files once per machine: what is measured is cached until the size or the modification time changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from ...errors import DataError
from ..atomic import replace_file
from .cache import cache_folder

CHUNK = 16  # files that a thread measures before the progress bar moves
BAR_DELAY = 1.0  # seconds after which the progress bar appears

#: measures the file at a path as a row of the table; raises DataError if the file cannot be used
Measure = Callable[[Path], tuple[Any, ...]]


class FileFacts(NamedTuple):
    """Facts about the files of a folder.

    Attributes:
        rows: what was measured, a structured array ``[N]``; zeros for files that cannot be used.
        errors: one sentence for each file that cannot be used, by index.
    """

    rows: NDArray[Any]
    errors: dict[int, str]


class CachedFacts(NamedTuple):
    """Facts that an earlier run stored, ``[N]`` each.

    Attributes:
        names: file names relative to the folder.
        stats: size in bytes and modification time in nanoseconds, ``[N, 2]`` int64.
        rows: the facts.
    """

    names: list[str]
    stats: NDArray[np.int64]
    rows: NDArray[Any]


def measure_files(
    folder: Path, names: NDArray[np.str_], measure: Measure, dtype: np.dtype[Any], kind: str | None
) -> FileFacts:
    """Measures the files that are new or changed since they were measured last, in threads, with a progress bar.

    Errors are not cached, so that a repaired or unlocked file is measured again. If the cache cannot be written, all
    files are measured each time. If several processes measure one folder, the first does it and the others wait.

    Args:
        folder: folder of the files.
        names: file names relative to ``folder``, ``[N]``.
        measure: measures a file.
        dtype: type of a row.
        kind: what is measured and how, e.g. "images 1"; facts of another kind are kept apart. None does not cache.
    """
    facts = FileFacts(np.zeros(len(names), dtype=dtype), {})
    stats = stat_files(folder, names)
    file = None if kind is None else cache_file(folder, kind)
    missing = fill_from_cache(facts, names, stats, file)
    if not len(missing):
        return facts
    with lock_if_possible(file):
        missing = fill_from_cache(facts, names, stats, file)  # another process may have measured them meanwhile
        is_measured = np.ones(len(names), dtype=bool)
        is_measured[missing] = False
        try:
            for index, error in measure_in_threads(folder, names, missing, measure, facts.rows):
                is_measured[index] = not error
                if error:
                    facts.errors[index] = error
        finally:  # also after an interrupt, so that the next start continues
            if file is not None:
                store(file, names, stats, facts.rows, is_measured & (stats[:, 0] >= 0))
    return facts


def measure_in_threads(
    folder: Path, names: NDArray[np.str_], indices: NDArray[np.intp], measure: Measure, rows: NDArray[Any]
) -> Iterator[tuple[int, str]]:
    """Measures the files at ``indices`` into ``rows``; yields each index with its error, or ""."""

    def measure_chunk(chunk: list[int]) -> list[tuple[int, str]]:
        return [(index, measure_one(index)) for index in chunk]

    def measure_one(index: int) -> str:
        try:
            rows[index] = measure(folder / str(names[index]))
        except DataError as error:
            return str(error)
        return ""

    chunks = [indices[start : start + CHUNK].tolist() for start in range(0, len(indices), CHUNK)]
    bar = tqdm(desc=f"Checking {folder.name}", total=len(indices), unit=" files", delay=BAR_DELAY, dynamic_ncols=True)
    with bar, ThreadPoolExecutor() as threads:  # decoding releases the GIL
        for results in threads.map(measure_chunk, chunks):
            yield from results
            bar.update(len(results))


def stat_files(folder: Path, names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Returns size in bytes and modification time in nanoseconds of each file, ``[N, 2]``; −1 for missing files."""
    stats = np.full((len(names), 2), -1, dtype=np.int64)
    by_folder: dict[str, dict[str, list[int]]] = {}
    for index, name in enumerate(names.tolist()):
        inner, file = os.path.split(name)
        by_folder.setdefault(inner, {}).setdefault(file, []).append(index)
    for inner, files in by_folder.items():
        # one listing per folder: asking for each file takes minutes on a network drive
        with contextlib.suppress(OSError, ValueError), os.scandir(folder / inner) as entries:
            for entry in entries:
                if entry.name in files:
                    with contextlib.suppress(OSError):  # a link to nothing
                        stat = entry.stat()
                        stats[files[entry.name]] = stat.st_size, stat.st_mtime_ns
    return stats


def cache_file(folder: Path, kind: str) -> Path:
    """Returns the file that stores facts of one kind about the files in ``folder``."""
    key = hashlib.sha256(os.fsencode(f"{folder.resolve()}\0{kind}")).hexdigest()[:32]
    return cache_folder("images") / f"{key}.npz"


def fill_from_cache(
    facts: FileFacts, names: NDArray[np.str_], stats: NDArray[np.int64], file: Path | None
) -> NDArray[np.intp]:
    """Copies the stored facts of unchanged files to ``facts`` and returns the indices of the other files."""
    cached = None if file is None else load(file, facts.rows.dtype)
    if cached is None:
        return np.arange(len(names))
    positions = {name: position for position, name in enumerate(cached.names)}
    found = np.fromiter((positions.get(name, -1) for name in names.tolist()), dtype=np.intp, count=len(names))
    is_known = found >= 0
    is_known[is_known] = (cached.stats[found[is_known]] == stats[is_known]).all(axis=1)
    facts.rows[is_known] = cached.rows[found[is_known]]
    return np.flatnonzero(~is_known)


def load(file: Path, dtype: np.dtype[Any]) -> CachedFacts | None:
    """Loads stored facts; None if there are none, or the file is damaged or from another version."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            names = stored["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
            stats, rows = stored["stats"], stored["rows"]
    except Exception:  # a damaged archive can raise any exception
        return None
    is_valid = rows.dtype == dtype and rows.shape == (len(names),) and stats.shape == (len(names), 2)
    return CachedFacts(names, stats, rows) if is_valid else None


def store(
    file: Path, names: NDArray[np.str_], stats: NDArray[np.int64], rows: NDArray[Any], chosen: NDArray[np.bool_]
) -> None:
    """Stores the ``chosen`` facts beside those of other files of the folder; does nothing if the disk refuses."""
    new = dict(zip(names[chosen].tolist(), np.flatnonzero(chosen).tolist(), strict=True))
    picked = np.fromiter(new.values(), dtype=np.intp, count=len(new))
    all_names, all_stats, all_rows = list(new), stats[picked], rows[picked]
    others = load(file, rows.dtype)
    if others is not None:
        current = set(names.tolist())
        kept = [position for position, name in enumerate(others.names) if name not in current]
        all_names += [others.names[position] for position in kept]
        all_stats = np.concatenate((all_stats, others.stats[kept]))
        all_rows = np.concatenate((all_rows, others.rows[kept]))
    if not all_names:
        return
    text = np.frombuffer("\0".join(all_names).encode("utf-8", "surrogateescape"), dtype=np.uint8)
    with contextlib.suppress(OSError), replace_file(file) as part, part.open("wb") as target:
        np.savez(target, names=text, stats=all_stats, rows=all_rows)


@contextlib.contextmanager
def lock_if_possible(file: Path | None) -> Iterator[None]:
    """Holds the lock of a cache file; without a cache that can be written, processes work at the same time."""
    with contextlib.ExitStack() as stack:
        if file is not None:
            with contextlib.suppress(OSError, NotImplementedError):  # the latter from drives without locks
                file.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(f"{file}.lock"))
        yield
