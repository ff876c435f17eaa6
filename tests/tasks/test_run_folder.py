"""Starts recognise what killed starts leave, get folders of their own, and remove only what is theirs."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from litmobile.errors import TaskError
from litmobile.tasks.atomic import remove_old_parts, replace_file, write_text
from litmobile.tasks.run import claim_folder, is_new, lock_run


def write_files(folder: Path, *names: str) -> Path:
    """Writes empty files into ``folder``; names that end in "/" are folders."""
    folder.mkdir()
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


@pytest.mark.parametrize(
    "names",
    [
        (),
        (".lock",),
        (".lock", "config.yaml.part"),
        (".lock", ".config.yaml.71.part"),
        ("config.yaml.part",),
        (".lock", "metrics.csv", "tensorboard/events"),
        (".lock", "metrics.json", "val.json", "images/val-0000000.jpg", ".val.txt.71.part"),
        (".lock", "lightning_logs/version_0/events", "profile.txt"),
    ],
    ids=str,
)
def test_leftovers_of_a_killed_start_are_a_new_run(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_files(tmp_path / "run", *names)
    assert is_new(folder)
    with lock_run(folder, was_new=True):
        pass


@pytest.mark.parametrize(
    "names",
    [("thesis.txt",), (".lock", "config.yaml"), (".lock", "checkpoints/last.ckpt"), ("checkpoints/",), ("val.json",)],
    ids=str,
)
def test_runs_and_other_folders_are_not_new(names: tuple[str, ...], tmp_path: Path) -> None:
    assert not is_new(write_files(tmp_path / "run", *names))


def test_absent_folder_is_new(tmp_path: Path) -> None:
    assert is_new(tmp_path / "run")


def test_lock_removes_unfinished_files_of_trainings_only(tmp_path: Path) -> None:
    parts = ("checkpoints/.last.ckpt.7.part", ".metrics.csv.7.part", ".metrics.json.7.part", ".config.yaml.7.part")
    parts += ("tensorboard/.events.out.tfevents.0.hparams.7.part",)
    others = (".val.json.7.part", "predictions/.predictions.csv.7.part", "config.yaml", "checkpoints/last.ckpt")
    folder = write_files(tmp_path / "run", *parts, *others)
    with lock_run(folder, was_new=False):
        left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {*others, ".lock"}


def test_second_start_is_refused_and_removes_nothing(tmp_path: Path) -> None:
    run, hidden = tmp_path / "run", tmp_path / "hidden"

    def start_again() -> None:
        run.rename(hidden)  # as this start saw it before the other start created it
        with claim_folder(run, is_named=True):
            hidden.rename(run)
            lock_run(run, was_new=True).__enter__()

    with claim_folder(run, is_named=True), lock_run(run, was_new=True):
        with pytest.raises(TaskError, match="Another training writes to"):
            start_again()
        assert (run / ".lock").is_file()


def test_start_is_refused_where_another_has_trained_since(tmp_path: Path) -> None:
    run = write_files(tmp_path / "run", ".lock")
    assert is_new(run)
    (run / "config.yaml").touch()
    with pytest.raises(TaskError, match="Another training has begun in"), lock_run(run, was_new=True):
        pass
    with lock_run(run, was_new=False):  # the refused start has released it
        pass


@pytest.mark.parametrize("name", ["a\udcff", "a\nb"], ids=ascii)
def test_a_run_has_a_printable_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="printable"), claim_folder(tmp_path / name, is_named=True):
        pass


def test_starts_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    claimed: list[Path] = []
    barrier = threading.Barrier(8)

    def claim() -> None:
        barrier.wait()
        with claim_folder(tmp_path / "runs" / "a", is_named=False) as folder:
            claimed.append(folder)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.name for folder in claimed) == ["a", *(f"a-{number}" for number in range(2, 9))]


@pytest.mark.parametrize("is_named", [True, False])
def test_failed_start_leaves_nothing(is_named: bool, tmp_path: Path) -> None:
    with suppress(SystemExit), claim_folder(tmp_path / "runs" / "a", is_named) as folder:
        with lock_run(folder, was_new=True):
            (folder / "tensorboard").mkdir()
        raise SystemExit
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [(), (".lock",), ("thesis.txt",)], ids=str)
def test_failed_start_keeps_a_folder_that_existed(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_files(tmp_path / "run", *names)
    with suppress(SystemExit), claim_folder(folder, is_named=True):
        raise SystemExit
    assert [path.name for path in folder.iterdir()] == list(names)


@pytest.mark.parametrize("name", ["config.yaml", "checkpoints/last.ckpt", "val.json"])
def test_failed_start_keeps_results(name: str, tmp_path: Path) -> None:
    with suppress(SystemExit), claim_folder(tmp_path / "run", is_named=False) as folder:
        write_text(folder / name, "")
        raise SystemExit
    assert (tmp_path / "run" / name).is_file()


def test_failed_start_keeps_a_folder_that_is_locked(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "run" / ".lock")
    with suppress(SystemExit), claim_folder(tmp_path / "run", is_named=False):
        lock.acquire(timeout=0)
        raise SystemExit
    assert (tmp_path / "run" / ".lock").is_file()
    lock.release()


def test_old_parts_of_results_are_removed(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".val.json.7.part", ".val.txt.8.part", ".thesis.7.part"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    remove_old_parts(tmp_path, "val*")
    remove_old_parts(tmp_path / "missing", "val*")
    assert {*tmp_path.iterdir()} == {new, other}


def test_nobody_knows_the_name_of_an_unfinished_file(tmp_path: Path) -> None:
    names: set[str] = set()
    for _ in range(2):
        with replace_file(tmp_path / "val.json") as part:
            part.touch()
            names.add(part.name)
    assert len(names) == 2


def test_errors_of_a_write_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "val.json").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        write_text(tmp_path / "val.json", "")
    assert (refused.value.filename, refused.value.filename2) == (str(tmp_path / "val.json"), None)
    with pytest.raises(OSError, match="No space left") as refused, replace_file(tmp_path / "val.txt"):
        raise OSError(errno.ENOSPC, "No space left")  # as a write to a file says it
    assert refused.value.filename == str(tmp_path / "val.txt")


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "val.json", "old")
    with suppress(OSError), replace_file(tmp_path / "val.json") as part:
        part.write_text("half of the new")
        raise OSError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="this system has no /dev/null")
def test_devices_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A link to /dev/null stands for it, because root could replace the device itself."""
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    write_text(device, "text")
    assert device.is_char_device() and [*tmp_path.iterdir()] == [device]
