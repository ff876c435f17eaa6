"""What became of timm's networks under the three heads, as a document; see :mod:`litmobile.tools.census`."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import timm
import torch

RECIPE_SIZE = (320, 320)  # of the shipped SSDLite recipes
WORKS = "works"
SIZE = "×".join(map(str, RECIPE_SIZE))
LARGEST = 100_000_000  # parameters of a network that is still tried for real


@dataclass
class Trial:
    """What became of one network.

    Attributes:
        name: timm's.
        family: timm's module that defines it.
        strides: of the maps that it offers, finest first; None where timm cannot build it for maps.
        parameters: of the whole feature extractor.
        size: (height, width) in pixels that it was tried at: what timm publishes it for.
        failures: why it does not work, by role; "backbone" where it cannot be built. Empty where all is well.
        frozen: the most parameters that are frozen under one head because its maps do not need them.
        recipe_size: whether it takes images of ``RECIPE_SIZE``: "as it is", "image_size" where it has to be told, or
            "no".
        real: None where it was not tried with weights, "works", or why it does not.
    """

    name: str
    family: str
    strides: list[float] | None = None
    parameters: int = 0
    size: tuple[int, int] = (0, 0)
    failures: dict[str, str] = field(default_factory=dict)
    frozen: int = 0
    recipe_size: str = "no"
    real: str | None = None

    @property
    def offers(self) -> bool:
        """Whether it has maps at strides 8, 16 and 32."""
        return {8, 16, 32} <= set(self.strides or ())

    @property
    def works(self) -> bool:
        """Under all three heads."""
        return not self.failures


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]


def grouped(trials: Iterable[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    """Trials by what ``key`` says of them, in the order of the first of each group."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return dict(groups)


def largest_first(groups: dict[str, list[Trial]]) -> list[tuple[str, list[Trial]]]:
    """Groups by how many are in them."""
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def why(trial: Trial) -> str:
    """Every reason for which a network does not work, with the roles that it keeps it from."""
    roles: dict[str, list[str]] = defaultdict(list)
    for role, reason in trial.failures.items():
        roles[reason].append(role)
    return "; ".join(f"{', '.join(names)}: {reason.rstrip('.')}" for reason, names in roles.items())


def called(trials: Sequence[Trial], everyone: dict[str, list[Trial]]) -> str:
    """Names of networks; of a family that is meant whole, or offers the three strides nowhere, only how many."""
    parts = []
    for family, members in grouped(trials, lambda t: t.family).items():
        count, all_of_it = len(members), everyone[family]
        if count == len(all_of_it) > 1:
            parts.append(f"all {count} of *{family}*")
        elif count > 1 and not any(t.offers for t in all_of_it):
            parts.append(f"{count} of *{family}*")
        else:
            parts.append(", ".join(t.name for t in members))
    return ", ".join(parts)


def share(part: Sequence[object], whole: Sequence[object]) -> str:
    """A count and its share."""
    return f"{len(part)} ({len(part) / len(whole):.1%})" if whole else "0"


def family_row(name: str, members: Sequence[Trial]) -> list[object]:
    """What became of a family."""
    offering = [t for t in members if t.offers]
    real = next((f"{t.name}: {t.real}" for t in members if t.real is not None), "")
    by_size = [sum(t.recipe_size == how for t in offering if t.works) for how in ("as it is", "image_size")]
    return [name, len(members), len(offering), sum(t.works for t in offering), *by_size, real]


def figures(trials: Sequence[Trial]) -> list[tuple[str, object]]:
    """How many of how many, by what they were asked."""
    offering = [t for t in trials if t.offers]
    working = [t for t in offering if t.works]
    others = [t for t in trials if not t.offers]
    classifying = [t for t in others if not {"backbone", "classification"} & set(t.failures)]
    real = [t for t in trials if t.real is not None]
    by_size = grouped(working, lambda t: t.recipe_size)
    return [
        ("networks that timm lists" if len(trials) == len(timm.list_models()) else "networks tried", len(trials)),
        ("build with `features_only`", share([t for t in trials if t.strides is not None], trials)),
        ("offer maps at strides 8, 16 and 32", share(offering, trials)),
        ("**of these, work under all three heads**", f"**{share(working, offering)}**"),
        (f"of the working, take {SIZE} as they are", share(by_size.get("as it is", []), working)),
        (f"… with `image_size=[{', '.join(map(str, RECIPE_SIZE))}]`", share(by_size.get("image_size", []), working)),
        ("… not at all", share(by_size.get("no", []), working)),
        ("without the three strides, but work under the classifier", share(classifying, others)),
        (
            "families with a working network, whose smallest also works for real",
            share([t for t in real if t.real == WORKS], real),
        ),
    ]


def document(trials: Sequence[Trial], minutes: float) -> str:
    """The census as Markdown.

    Args:
        trials: of every network that was tried.
        minutes: of processor time that it took.
    """
    families = grouped(trials, lambda t: t.family)
    offering = [t for t in trials if t.offers]
    working = [t for t in offering if t.works]
    lists = [
        ("Offer the three strides and do not work", [t for t in offering if not t.works], why),
        (f"Work, but not at {SIZE}", [t for t in working if t.recipe_size == "no"], its_size),
        (
            "Work, with what timm computes beside the selected maps frozen",
            [t for t in working if t.frozen],
            share_frozen,
        ),
        ("Do not offer the three strides", [t for t in trials if not t.offers], offered),
    ]
    lines = [*header(minutes), *table(("", "networks"), figures(trials)), ""]
    for title, listed, key in lists:
        lines += listing(title, listed, key, families)
    lines += [
        "## Families",
        "",
        "A family is a module of `timm.models`. The last column names its smallest working network and says what",
        "became of it with random weights.",
        "",
        *table(
            ("family", "networks", "with 8, 16, 32", "work", f"at {SIZE}", "… with `image_size`", "for real"),
            (family_row(name, members) for name, members in sorted(families.items())),
        ),
    ]
    return "\n".join(lines) + "\n"


def header(minutes: float) -> list[str]:
    """What was done, with what and when."""
    versions = f"timm {timm.__version__}, PyTorch {torch.__version__.partition('+')[0]}"
    return [
        "# timm's networks under the three heads",
        "",
        "    python -m litmobile.tools.census --out docs/timm_census.md",
        "",
        f"{versions}, {datetime.date.today().isoformat()}; {minutes:.0f} minutes of processor time on one core.",
        "",
        "Every network that timm lists is built as `TimmBackbone(name)` on the meta device: shapes without values. It",
        "goes under the classifier, LR-ASPP and SSDLite, at the image size that timm publishes it for. It works where",
        "all three heads give a loss, every map has the channels and the size that it promises, and every parameter",
        "that is not frozen gets a gradient. Of every family, the smallest network that works is also run with random",
        "weights: the maps keep their values when the network is narrowed to them, gradients are finite, predictions",
        f"are decoded. Those of more than {LARGEST / 1e6:.0f} M parameters are left out. Accuracy is not looked at.",
        "",
    ]


def its_size(trial: Trial) -> str:
    """The size that a network was tried at."""
    return f"tried at {'×'.join(map(str, trial.size))}"


def share_frozen(trial: Trial) -> str:
    """How much of a network is frozen."""
    part = trial.frozen / trial.parameters
    return f"{'less than 1' if part < 0.01 else 'about ' + format(100 * part, '.0f')} % of the parameters"


def offered(trial: Trial) -> str:
    """Why a network does not offer the three strides."""
    if trial.strides is None:
        return why(trial)
    listed = ", ".join(f"{stride:g}" for stride in trial.strides)
    return f"stride{'s' if len(trial.strides) > 1 else ''} {listed} only"


def listing(
    title: str, trials: Sequence[Trial], key: Callable[[Trial], str], families: dict[str, list[Trial]]
) -> list[str]:
    """A section that names networks by reason; nothing where there are none."""
    if not trials:
        return []
    rows = [(reason, len(group), called(group, families)) for reason, group in largest_first(grouped(trials, key))]
    return [f"## {title}", "", *table(("", "networks", "which"), rows), ""]
