"""What each backbone costs in the network of each task: counted, and measured on the engines of the plan."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ....errors import UserError
from ....tasks.atomic import write_text
from ....tasks.network import Network
from ...engines.torch_export import use_threads
from ...options.yaml_text import read_yaml
from ...profile.costs import describe_target
from ...profile.engines.prepared import Settings
from ...profile.engines.table import check_engines, list_packages
from ...profile.latency import measure_entries, prepare_target
from ...profile.machine import describe_machine
from ...profile.recipes import parse_model
from ...profile.targets import Target, deploy
from ..plan.contents import Plan
from ..store import CONFIG, Study
from .published import describe_architecture
from .results import TaskResults

COSTS = "costs.json"
VERSION = 1
SECONDS = 2.0  # of the measurement for each network on each engine
#: options of the model that its costs depend on
COSTED = ("backbone", "head", "feature_maps", "anchors", "num_classes", "preprocessing")

Facts = dict[str, Any]


def read_costs(study: Study) -> Facts:
    """Returns the content of the study's ``costs.json``; an empty one if it is missing or of another version."""
    try:
        found = json.loads((study.folder / COSTS).read_text(encoding="utf-8"))
        return found if found["version"] == VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def find_costs(study: Study, plan: Plan, tasks: Sequence[TaskResults], threads: int) -> Facts:
    """Returns costs by task and backbone; what is not known yet is counted and measured, and kept in ``costs.json``.

    All networks of a task are measured in turn, so a new backbone or engine means to measure the task again. While
    cells run, which would slow the engines, networks are only counted.

    Args:
        study: with finished cells.
        plan: whose engines are measured.
        tasks: the finished cells.
        threads: CPU threads of the engines.

    Raises:
        UserError: the package of an engine is missing, or a network cannot be exported.
    """
    engines = plan.engines
    if engines and study.is_running():
        print("Latency is not measured while cells run; write the report again when they have ended.")
        engines = ()
    check_engines(engines, "cpu")
    old = read_costs(study)
    known: Facts = old.get("tasks", {})
    machine = describe_machine(torch.device("cpu"), threads, list_packages(engines))
    found: Facts = {}
    for results in tasks:
        configs = read_configs(study, results)
        key = make_key(configs, results, engines, threads)
        if known.get(results.name, {}).get("key") != key:
            print(f"Measuring the networks of {results.name} …", flush=True)
            costs = measure_networks(configs, results, engines, threads)
            known[results.name] = {"key": key, "machine": machine, "backbones": costs}
            content = {"version": VERSION, "tasks": known}
            write_text(study.folder / COSTS, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        found[results.name] = known[results.name]
    return found


def read_configs(study: Study, results: TaskResults) -> dict[str, Facts]:
    """Returns the section ``model`` of the configuration of each backbone; all protocols have the same network."""
    configs: dict[str, Facts] = {}
    for row, cells in results.rows.items():
        if row.backbone not in configs:
            configs[row.backbone] = read_yaml(study.cell_folder(cells[0].digest) / CONFIG)["model"]
    return configs


def make_key(configs: Mapping[str, Facts], results: TaskResults, engines: Sequence[str], threads: int) -> str:
    """Returns a hash of everything that the costs of a task's networks depend on, but the machine."""
    models = {name: {option: config["init_args"].get(option) for option in COSTED} for name, config in configs.items()}
    content = [models, len(results.any_evidence.classes), list(engines), threads if engines else 0]
    return hashlib.blake2b(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=10).hexdigest()


def measure_networks(
    configs: Mapping[str, Facts], results: TaskResults, engines: Sequence[str], threads: int
) -> dict[str, Facts]:
    """Counts and measures the network of each backbone."""
    device = torch.device("cpu")
    with use_threads(threads), tempfile.TemporaryDirectory() as folder:
        targets = {
            name: deploy(name, build_network(config, results.any_evidence.classes), device)
            for name, config in configs.items()
        }
        costs = {name: describe(target, device) for name, target in targets.items()}
        if not engines:
            return {name: facts | {"latency": {}} for name, facts in costs.items()}
        settings = Settings(device, threads, Path(folder))
        entries = [entry for target in targets.values() for entry in prepare_target(target, engines, settings)]
        measured = measure_entries(entries, 0, SECONDS * len(entries), batch=1)
    latencies: dict[str, Facts] = {name: {} for name in targets}
    for facts in measured:
        wanted = ("milliseconds", "milliseconds_interval", "ratio", "ratio_interval", "rounds")
        latencies[facts["name"]][facts["engine"]] = {name: facts[name] for name in wanted}
    return {name: facts | {"latency": latencies[name]} for name, facts in costs.items()}


def describe(target: Target, device: torch.device) -> Facts:
    """Returns the facts about a network that the report needs."""
    facts = describe_target(target, device, with_layers=False, is_measured=False)
    wanted = ("network", "size", "parameters", "multiply_adds", "weight_bytes", "predicted_activation_bytes")
    architecture = describe_architecture(target.network.backbone)
    return {name: facts[name] for name in (*wanted, "is_reparameterized")} | {"architecture": architecture}


def build_network(config: Facts, classes: Sequence[str]) -> Network:
    """Builds the network of a cell with random weights, without its data.

    Raises:
        UserError: its configuration does not work any more.
    """
    try:
        return parse_model({"model": config}).model.build_network(tuple(classes)).eval()
    except SystemExit as error:
        raise UserError(f"The configuration of a cell does not work any more: {error}.") from error
