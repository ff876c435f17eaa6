"""Writes the results of the trials as Markdown."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import timm
import torch

from .trials import RECIPE_SIZE, Trial

COMMAND = "LITMOBILE_TIMM_COMPATIBILITY=1 python -m pytest -n 0 -s tests/tools/test_timm_compatibility.py"
INTRODUCTION = """\
Every network that timm lists is built as `TimmBackbone(name)` on the meta device, i.e. with shapes but without
values. It is tried under the classifier, LR-ASPP and SSDLite, at the image size that timm publishes it for. It works if
all three heads give a loss, if every map has the promised channels and size, and if every parameter that is not frozen
gets a gradient. The smallest working network of every family is also trained for one step with random weights:
selecting maps keeps their values, gradients are finite, and predictions are decoded. Networks of more than
100 M parameters are not trained. Accuracy is not measured."""


def format_size(size: tuple[int, int]) -> str:
    return "×".join(map(str, size))


def format_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def group(trials: Iterable[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return dict(groups)


def format_failures(trial: Trial) -> str:
    """Format every reason once, after the roles that it concerns."""
    roles: dict[str, list[str]] = defaultdict(list)
    for role, reason in trial.failures.items():
        roles[reason.rstrip(".")].append(role)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in roles.items())


def format_names(trials: Sequence[Trial], families: dict[str, list[Trial]]) -> str:
    """List the networks; give only a number for a whole family, or for a family without the strides."""
    parts = []
    for family, members in group(trials, lambda t: t.family).items():
        if len(members) == len(families[family]) > 1:
            parts.append(f"all {len(members)} of *{family}*")
        elif len(members) > 1 and not any(t.has_strides for t in families[family]):
            parts.append(f"{len(members)} of *{family}*")
        else:
            parts.append(", ".join(t.name for t in members))
    return ", ".join(parts)


def format_share(part: Sequence[object], whole: Sequence[object]) -> str:
    return f"{len(part)} ({len(part) / len(whole):.1%})" if whole else "0"


def format_strides(trial: Trial) -> str:
    if trial.strides is None:
        return format_failures(trial)
    return f"stride{'s' if len(trial.strides) > 1 else ''} {', '.join(f'{x:g}' for x in trial.strides)} only"


def format_frozen(trial: Trial) -> str:
    percent = 100 * trial.frozen / trial.parameters
    return f"{'less than 1' if percent < 1 else f'about {percent:.0f}'} % of the parameters"


def summary_rows(trials: Sequence[Trial]) -> list[tuple[str, object]]:
    suitable = [t for t in trials if t.has_strides]
    working = [t for t in suitable if t.works]
    others = [t for t in trials if not t.has_strides]
    trained = [t for t in trials if t.training is not None]

    def at_recipe_size(how: str) -> str:
        return format_share([t for t in working if t.recipe_size == how], working)

    return [
        ("networks that timm lists" if len(trials) == len(timm.list_models()) else "networks tried", len(trials)),
        ("build with `features_only`", format_share([t for t in trials if t.strides is not None], trials)),
        ("have maps at strides 8, 16 and 32", format_share(suitable, trials)),
        ("**of these, work under all three heads**", f"**{format_share(working, suitable)}**"),
        (f"of the working, take {format_size(RECIPE_SIZE)} as they are", at_recipe_size("as it is")),
        (f"… with `image_size={list(RECIPE_SIZE)}`", at_recipe_size("image_size")),
        ("… not at all", at_recipe_size("no")),
        (
            "do not have the three strides, but work under the classifier",
            format_share([t for t in others if not {"backbone", "classification"} & set(t.failures)], others),
        ),
        (
            "families with a working network whose smallest also trains",
            format_share([t for t in trained if t.training == "works"], trained),
        ),
    ]


def family_row(name: str, members: Sequence[Trial]) -> list[object]:
    working = [t for t in members if t.has_strides and t.works]
    by_size = [sum(t.recipe_size == how for t in working) for how in ("as it is", "image_size")]
    training = next((f"{t.name}: {t.training}" for t in members if t.training is not None), "")
    return [name, len(members), sum(t.has_strides for t in members), len(working), *by_size, training]


def format_document(trials: Sequence[Trial], minutes: float) -> str:
    """Format the document as Markdown; ``minutes`` is the processor time of the trials."""
    families = group(trials, lambda t: t.family)
    working = [t for t in trials if t.has_strides and t.works]
    versions = f"timm {timm.__version__}, PyTorch {torch.__version__.partition('+')[0]}"
    sections: list[tuple[str, list[Trial], Callable[[Trial], str]]] = [
        (
            "Have the three strides and do not work",
            [t for t in trials if t.has_strides and not t.works],
            format_failures,
        ),
        (
            f"Work, but not at {format_size(RECIPE_SIZE)}",
            [t for t in working if t.recipe_size == "no"],
            lambda trial: f"tried at {format_size(trial.size)}",
        ),
        (
            "Work, but some layers stay frozen because no map needs them",
            [t for t in working if t.frozen],
            format_frozen,
        ),
        ("Do not have the three strides", [t for t in trials if not t.has_strides], format_strides),
    ]
    parts = [
        "# timm's networks under the three heads",
        f"    {COMMAND}",
        f"{versions}, {datetime.date.today().isoformat()}; {minutes:.0f} minutes of processor time on one core.",
        INTRODUCTION,
        format_table(("", "networks"), summary_rows(trials)),
    ]
    for title, members, reason in sections:
        if members:
            groups = sorted(group(members, reason).items(), key=lambda item: -len(item[1]))
            rows = [(text, len(same), format_names(same, families)) for text, same in groups]
            parts += [f"## {title}", format_table(("", "networks", "which"), rows)]
    head = ("family", "networks", "with 8, 16, 32", "work", f"at {format_size(RECIPE_SIZE)}", "… with `image_size`")
    parts += [
        "## Families",
        "A family is a module of `timm.models`. The last column names its smallest working network and the result of\n"
        "training it for one step with random weights.",
        format_table((*head, "training"), (family_row(name, members) for name, members in sorted(families.items()))),
    ]
    return "\n\n".join(parts) + "\n"
