"""The folder of a study, which is its only state: finished cells in ``cells/``, cells in progress in ``work/``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...errors import TaskError, UserError, format_count
from ...tasks.atomic import PART, write_bytes, write_text
from ...tasks.evidence import load_evidence, save_evidence
from ..evaluations import KINDS
from ..options.yaml_text import dump_yaml
from .hashing import VERSION, identify_weights
from .resolve import ResolvedCell

PLAN, CELL, CONFIG = "plan.yaml", "cell.json", "config.yaml"
PAGE, MARKDOWN, TABLE = "report.html", "report.md", "cells.csv"
REQUEST, FAILURE, LOG, RUN = "request.json", "failure.txt", "log.txt", "run"


class BusyError(TaskError):
    """Another process runs the cell."""


class Study:
    """The folder of a study.

    Args:
        folder: is created when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finished: dict[str, dict[str, Any]] = {}

    def cell_folder(self, digest: str) -> Path:
        """Returns the folder of a finished cell."""
        return self.folder / "cells" / digest

    def work_folder(self, digest: str) -> Path:
        """Returns the folder of a cell in progress."""
        return self.folder / "work" / digest

    def run_folder(self, digest: str) -> Path:
        """Returns the folder of the run of a cell in progress."""
        return self.work_folder(digest) / RUN

    # finished cells

    def is_finished(self, digest: str) -> bool:
        """Whether the cell is finished."""
        return digest in self._finished or (self.cell_folder(digest) / CELL).is_file()

    def read_cell(self, digest: str) -> dict[str, Any]:
        """Returns the content of a finished cell's ``cell.json``.

        Raises:
            UserError: it is damaged, or of another version.
        """
        if digest not in self._finished:
            path = self.cell_folder(digest) / CELL
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                version = content["version"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path} is damaged; remove its folder, and the cell runs again.") from error
            if version != VERSION:
                kind = "an older" if version < VERSION else "a newer"
                advice = "choose another folder, or remove those cells to run them again"
                raise UserError(f"{path} is of {kind} version of litmobile ({version}, not {VERSION}); {advice}.")
            self._finished[digest] = content
        return self._finished[digest]

    def read_cells(self) -> dict[str, dict[str, Any]]:
        """Returns the contents of all finished cells by hash; see :meth:`read_cell`."""
        folders = (self.folder / "cells").glob("*/")
        return {path.name: self.read_cell(path.name) for path in sorted(folders) if path.suffix != PART}

    def finish(self, digest: str, record: dict[str, Any], config: dict[str, Any], evidence: Iterable[Path]) -> None:
        """Stores a finished cell at once or not at all, then removes its run.

        Args:
            digest: its hash.
            record: plain values for ``cell.json``; the version of hashes is added.
            config: the resolved configuration.
            evidence: evidence files, which are stored compact and compressed.
        """
        part = self.cell_folder(digest).with_name(f"{digest}{PART}")
        shutil.rmtree(part, ignore_errors=True)  # left by a kill
        for path in evidence:
            stored = load_evidence(path, KINDS)
            save_evidence(part / path.name, stored.evidence.compact(), stored.identity, is_compressed=True)
        write_text(part / CONFIG, dump_yaml(config))
        write_text(part / CELL, json.dumps({"version": VERSION, "hash": digest, **record}, indent=1) + "\n")
        if not self.is_finished(digest):
            part.rename(self.cell_folder(digest))
        shutil.rmtree(self.work_folder(digest), ignore_errors=True)

    # cells in progress

    @contextmanager
    def claim(self, digest: str) -> Iterator[None]:
        """Keeps other processes from running the cell until the block or the process ends.

        Raises:
            BusyError: another process runs it.
        """
        lock = FileLock(self.folder / "work" / f"{digest}.lock")
        lock_folder = Path(lock.lock_file).parent
        lock_folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(f"Another process runs the cell {digest}.") from error
        try:
            yield
        finally:
            lock.release()

    def is_running(self) -> bool:
        """Whether a process runs one of the cells."""
        for path in (self.folder / "work").glob("*.lock"):
            try:
                FileLock(path).acquire(timeout=0).lock.release()
            except Timeout:
                return True
        return False

    def request(self, resolved: ResolvedCell) -> None:
        """Writes what a process needs to run the cell: ``request.json`` and the resolved configuration."""
        folder = self.work_folder(resolved.hash)
        request = {
            "cell": resolved.cell.as_dict(),
            "split": resolved.split,
            "main_figure": resolved.main_figure,
            "weights_hash": None if resolved.cell.weights is None else identify_weights(resolved.cell.weights),
            "code": resolved.code,
            "data": resolved.data,
        }
        write_text(folder / CONFIG, dump_yaml(resolved.config))
        write_text(folder / REQUEST, json.dumps(request, indent=1) + "\n")

    def fail(self, digest: str, reason: str, details: str = "") -> None:
        """Writes why a cell failed: one sentence, and then details such as the traceback."""
        write_text(self.work_folder(digest) / FAILURE, f"{reason}\n\n{details}".strip() + "\n")

    def failure(self, digest: str) -> str | None:
        """Returns why the cell failed, in one sentence; None if it did not."""
        path = self.work_folder(digest) / FAILURE
        return (path.read_text(encoding="utf-8").splitlines() or [""])[0] if path.is_file() else None

    def failures(self) -> dict[str, str]:
        """Returns the reasons of all failed cells by hash."""
        found = sorted((self.folder / "work").glob(f"*/{FAILURE}"))
        return {path.parent.name: self.failure(path.parent.name) or "" for path in found}

    # the plan

    def adopt(self, plan: Path, hashes: Collection[str]) -> None:
        """Copies the plan into the folder.

        A plan may grow: the folder's study is the same if one of its finished cells belongs to the plan.

        Args:
            plan: the file.
            hashes: of the cells of the plan, as far as they are known.

        Raises:
            UserError: the folder contains another study, or something else.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--to {self.folder} is not a folder; name one for the study.")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / PLAN).is_file():
            raise UserError(f"--to {self.folder} contains something else than a study; name another folder.")
        finished = self.read_cells()
        if finished and not finished.keys() & set(hashes):
            counted = format_count(len(finished), "finished cells")
            raise UserError(f"{self.folder} has {counted} of another study, none of {plan}; name another folder.")
        content = plan.read_bytes()
        if not (self.folder / PLAN).is_file() or (self.folder / PLAN).read_bytes() != content:
            write_bytes(self.folder / PLAN, content)
