"""`litmobile transfer`: runs the study that a plan describes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from ...errors import UserError, format_count
from ..library_messages import raise_log_level, silence_libraries
from ..profile.engines.table import check_engines
from .estimate import print_estimate
from .launchers.launcher import CellProcess, Launcher
from .launchers.local import make_local
from .launchers.ray import RayCluster, RayLauncher
from .launchers.slurm import JOBS, SlurmLauncher, has_gpus
from .live import LiveView, Progress
from .options import TransferOptions
from .plan.cells import Cell, Group, list_cells, list_rate_cells
from .plan.contents import Plan
from .plan.reading import read_plan
from .race import Race, remove_decisions
from .resolve import Resolver, find_code, permit
from .runner import Runner
from .schedule import Refusal, Schedule, find_refusals
from .store import PAGE, Study

LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed")


def transfer(options: TransferOptions) -> None:
    """Runs the command.

    Raises:
        UserError: the plan or an option is wrong, or the folder contains another study.
        SystemExit: with status 1, cells cannot work or have failed.
    """
    options.check()
    if options.dry_run and options.report:
        raise UserError("Pass --dry-run for cells to come, or --report for finished ones, but not both.")
    if options.to is None and not options.dry_run:
        raise UserError("--to FOLDER is required: the folder of the study.")
    plan = read_plan(options.plan)
    if options.report and options.to is not None:
        report(Study(options.to), plan, None, options.threads)
        return
    check_engines(plan.engines, "cpu")  # which the report measures after hours
    cells = list_cells(plan)
    rate_cells = list(list_rate_cells(plan, cells))
    silence_libraries()
    resolver = Resolver(plan)
    print(f"Checking {format_count(len(cells) + len(rate_cells), 'cells')} …", flush=True)
    with raise_log_level(logging.WARNING, *LOGGERS):  # else the data of each task and all weights are described
        refusals = find_refusals(resolver, [*rate_cells, *cells])
        if options.dry_run:
            print_cells(cells, rate_cells, resolver)
            print_refusals(refusals)
            print_estimate(resolver, [*rate_cells, *cells], count_slots(options), options.threads)
            if options.race:
                print("A race takes less if backbones drop out.")
    if not options.dry_run:
        print_refusals(refusals)
    if refusals:
        sys.exit(1)
    if options.to is None or options.dry_run:
        return
    run(options, Study(options.to), plan, resolver, cells)


def run(options: TransferOptions, study: Study, plan: Plan, resolver: Resolver, cells: Sequence[Cell]) -> None:
    """Runs all cells of a study that are not finished."""
    schedule = Schedule(resolver, study, cells, Race(study, cells) if options.race else None)
    study.adopt(options.plan, schedule.list_hashes())
    if not options.race:
        remove_decisions(study)
    launcher = make_launcher(options, study)
    progress = Progress(schedule.known, launcher.slots)
    view = LiveView(study, progress)
    Runner(schedule, study, launcher, view).run()
    finished = sum(study.is_finished(digest) for digest in schedule.known)
    dropped = f"; {format_count(len(schedule.dropped), 'cells')} did not run" if schedule.dropped else ""
    view.say(f"{format_count(finished, 'finished cells')} in {study.folder / 'cells'}{dropped}")
    problems = [f"{schedule.known[digest].cell}: {reason}" for digest, reason in progress.failed.items()]
    problems += [f"{group}: {reason}, so its cells did not run." for group, reason in schedule.blocked.items()]
    problems += schedule.explain_missing_seeds()
    if any(study.is_finished(digest) for digest, entry in schedule.known.items() if entry.cell.role == "main"):
        try:
            report(study, plan, schedule.known, options.threads)
        except UserError as error:
            problems.append(f"The report was not written: {error}")
    if problems:
        counted = format_count(len(problems), "problems")
        sys.exit(
            f"litmobile: {counted}; details are in {study.folder / 'work'}/*/failure.txt:\n  " + "\n  ".join(problems)
        )


def report(study: Study, plan: Plan, hashes: Collection[str] | None, threads: int) -> None:
    """Writes the report, and prints its answer."""
    from .report.report import write_report  # other commands do not need it

    for task in plan.tasks.values():
        for backbone in plan.backbones.values():
            permit(find_code([*task.options, *backbone.options]))
    for sentence in write_report(study, plan, hashes, threads):
        print(sentence)
    print(f"The report is {study.folder / PAGE}")


def count_gpus() -> int:
    """Returns the number of GPUs that cells can use."""
    return torch.cuda.device_count()


def count_slots(options: TransferOptions) -> int:
    """Returns the number of cells that run at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    local = count_gpus() or max(1, cores // options.threads)
    return options.jobs or (JOBS if options.launcher == "slurm" else local)


def make_launcher(options: TransferOptions, study: Study) -> Launcher:
    """Returns what runs the cells.

    Raises:
        UserError: the launcher's package or its cluster is missing, or one of its options is wrong.
    """
    if options.launcher == "ray":
        cluster = RayCluster(options.threads)
        return RayLauncher(study, cluster, make_cell(options, study, cluster.gpus > 0), options.jobs)
    if options.launcher == "slurm":
        return SlurmLauncher(study, make_cell(options, study, has_gpus(options.slurm)), options.jobs, options.slurm)
    gpus = count_gpus()
    return make_local(study, make_cell(options, study, gpus > 0), count_slots(options), gpus)


def make_cell(options: TransferOptions, study: Study, on_gpu: bool) -> CellProcess:
    """Returns how a cell runs; on CPUs it reads images itself, because every core has a cell."""
    workers = 0 if options.workers is None and not on_gpu else options.workers
    return CellProcess(study.folder.absolute(), Path.cwd(), options.threads, workers)


def print_cells(cells: Sequence[Cell], rate_cells: Sequence[Cell], resolver: Resolver) -> None:
    """Prints a line for each cell, with its hash where it is known already."""
    pending: set[Group] = {cell.group for cell in rate_cells}
    for cell in (*rate_cells, *cells):
        is_open = cell.role == "main" and cell.group in pending
        try:
            name = "after its learning rate is chosen" if is_open else resolver.resolve(cell).hash
        except UserError:
            name = "refused"
        print(f"{cell}: {name}")


def print_refusals(refusals: Sequence[Refusal]) -> None:
    """Prints the cells that cannot work by reason."""
    reasons = dict.fromkeys(refusal.reason for refusal in refusals)
    for reason in reasons:
        refused = [refusal.cell for refusal in refusals if refusal.reason == reason]
        others = f" and {format_count(len(refused) - 1, 'other cells')}" if len(refused) > 1 else ""
        print(f"litmobile: “{refused[0]}”{others} cannot work: {reason}.", file=sys.stderr)
