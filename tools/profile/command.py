"""`litmobile profile`: says what networks cost, and measures them on several engines."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from ...class_paths import allow_code
from ...errors import UserError
from ...tasks.atomic import write_text
from ..engines.torch_export import use_threads
from ..options.outputs import check_output
from ..options.sizes import parse_size
from .charts import build_page, build_svg, check_figures, read_figure
from .costs import describe_target
from .engines.peers import TORCHVISION, prepare_torchvision
from .engines.prepared import Settings
from .engines.table import list_packages
from .latency import REFERENCE_ENGINE, Entry, find_slow_operators, measure_entries, prepare_target
from .machine import describe_machine
from .options import parse_options, split_model_options, split_targets
from .tables import profile_text
from .targets import Choice, Target, build_target, find_family, is_recipe

Facts = dict[str, Any]


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile profile WORDS``.

    Raises:
        UserError: a target or an engine does not exist, or an option is wrong.
    """
    texts, others = split_targets(words)
    others, model_options = split_model_options(others)
    for k, word in enumerate(others[:-1]):
        if word == "--allow-code":  # now, because targets may be in the folder
            allow_code(Path(others[k + 1]).expanduser())
    families = [find_family(text) for text in texts]
    if model_options and not any(map(is_recipe, texts)):
        raise UserError(f"{model_options[0].partition('=')[0]} needs a recipe among the targets.")
    family = families[0] if len(texts) == 1 and ":" not in texts[0] else None
    options, arguments = parse_options(texts, others, family)
    # what would otherwise be noticed after minutes of measurements
    if options.reference is not None and not options.reference.startswith(TORCHVISION):
        find_family(options.reference)
    for option in ("page", "svg"):
        if options[option] is not None:
            options[option] = options[option].expanduser()
            check_output(f"--{option}", options[option])
    choice = Choice(options.size and parse_size(options.size), options.classes, model_options)
    device = torch.device(options.device)
    with use_threads(options.threads):
        targets = {text: build_target(text, choice, device, arguments) for text in texts}
        facts = describe_targets(list(targets.values()), options, device)
        if options.svg is not None:
            check_figures(facts["targets"])
        if not options.counts:
            facts |= measure_targets(targets, options, choice, device)
    print(json.dumps(facts, indent=1, allow_nan=False) if options.json else profile_text(facts))
    for path, build in ((options.page, build_page), (options.svg, build_svg)):
        if path is not None:
            write_text(path, build(facts))
            print(f"Wrote {path}", file=sys.stderr)  # standard output may be JSON


def describe_targets(targets: Sequence[Target], options: Namespace, device: torch.device) -> Facts:
    """Finds all facts about the targets but their latency."""
    with_layers = options.layers or len(targets) == 1
    facts: Facts = {
        "machine": describe_machine(device, options.threads, list_packages(options.engines)),
        "targets": [],
        "reference": None,
        "latency": [],
        "operators": {},
    }
    for target in targets:
        described = describe_target(target, device, with_layers, is_measured=not options.counts)
        described["evaluation"] = target.folder and read_figure(target.folder, options.split)
        facts["targets"].append(described)
    return facts


def measure_targets(targets: Mapping[str, Target], options: Namespace, choice: Choice, device: torch.device) -> Facts:
    """Measures the targets, given by the words that name them, in turn with the reference."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(device, options.threads, Path(folder))
        entries = [entry for target in targets.values() for entry in prepare_target(target, options.engines, settings)]
        reference = prepare_reference(options.reference, targets, choice, settings)
        keys = [(entry.name, entry.engine) for entry in entries]
        if reference[:2] not in keys:
            entries.append(reference)
            keys.append(reference[:2])
        return {
            "reference": {"name": reference.name, "engine": reference.engine},
            "latency": measure_entries(entries, keys.index(reference[:2]), options.seconds, options.batch),
            "operators": find_slow_operators(entries, options.threads),
        }


def prepare_reference(text: str | None, targets: Mapping[str, Target], choice: Choice, settings: Settings) -> Entry:
    """Prepares the reference, on PyTorch's eager mode: a target by its words, by default the first; or torchvision's.

    Raises:
        UserError: ``text`` names nothing.
    """
    first = next(iter(targets.values()))
    if text is not None and text.startswith(TORCHVISION):
        prepared = prepare_torchvision(text, settings.device)
        return Entry(text, REFERENCE_ENGINE, first.network.preprocessing.size, prepared)
    target = first if text is None else targets.get(text) or build_target(text, choice, settings.device)
    return prepare_target(target, [REFERENCE_ENGINE], settings)[0]
