"""Reads what `litmobile compare` compares: runs, and detections in COCO's result format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ...errors import EvaluationError
from ...tasks.evidence import Evidence
from ..evaluations import read_evaluation
from .comparison import Side
from .names import check_names, name_groups


class Configuration(NamedTuple):
    """What the seeds of one configuration share.

    Attributes:
        text: the configuration without its seed; the path, if it is unknown.
        number: 0, or higher for runs whose seeds occurred before, e.g. those of other code.
    """

    text: str
    number: int


def read_sides(paths: Sequence[Path], split: str, annotations: Path | None, names: Sequence[str] | None) -> list[Side]:
    """Reads evidence; runs whose configurations differ in nothing but the seed are one configuration.

    Args:
        paths: folders of runs, or COCO result files.
        split: evaluated split of the runs, "val" or "test".
        annotations: COCO file that the result files belong to.
        names: what to call the configurations; by default, what distinguishes their paths.

    Raises:
        EvaluationError: a path is given twice, a run has no evidence, a file is not a result file, or its annotations
            are missing.
        ArgumentError: there are more or fewer names than configurations, or two are equal.
    """
    check_paths(paths, annotations)
    groups = group_seeds(paths)
    names = name_groups(groups) if names is None else check_names(names, name_groups(groups))
    read = make_reader(split, annotations)
    return [
        Side(name, [read(path) for path in group], [describe_source(path, split) for path in group])
        for name, group in zip(names, groups, strict=True)
    ]


def describe_source(path: Path, split: str) -> str:
    """Names a result file, or a run and its evaluated split."""
    return f"{path} ({split} split)" if path.is_dir() else str(path)


def check_paths(paths: Sequence[Path], annotations: Path | None) -> None:
    """Raises EvaluationError if a path does not exist or is given twice, or a file has no annotations."""
    given: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise EvaluationError(f"{path} does not exist; pass the folder of a run, or a file of detections.")
        if path.resolve() in given:
            raise EvaluationError(f"{path} is given twice; pass every run and every file once.")
        if annotations is None and not path.is_dir():
            raise EvaluationError(f"{path} is not the folder of a run; a file of detections needs --annotations FILE.")
        given.add(path.resolve())


def group_seeds(paths: Sequence[Path]) -> list[list[Path]]:
    """Returns the paths of each configuration, in the order in which they are given."""
    groups: dict[Configuration, list[Path]] = {}
    runs: Counter[tuple[str, object]] = Counter()
    for path in paths:
        text, seed = read_configuration(path)
        groups.setdefault(Configuration(text, runs[text, seed]), []).append(path)
        runs[text, seed] += 1
    return list(groups.values())


def read_configuration(path: Path) -> tuple[str, str]:
    """Returns the configuration of a run without its seed, and the seed; the path and "" if they are unknown."""
    file = path / "config.yaml"
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (UnicodeError, yaml.YAMLError) as error:
        raise EvaluationError(f"{file} is not a YAML file; restore it, or evaluate the run again.") from error
    if not isinstance(content, dict):
        return str(path), ""
    seed = content.pop("seed_everything", None)
    return yaml.safe_dump(content), str(seed)


def make_reader(split: str, annotations: Path | None) -> Callable[[Path], Evidence]:
    """Returns a function that reads the evidence of a run, or matches the detections of a result file.

    It raises EvaluationError if a run has no evidence, or a file is not one of detections in the annotated images.
    """

    def read_run(path: Path) -> Evidence:
        return read_evaluation(path, split).evidence

    if annotations is None:
        return read_run
    from ..evaluate.results import match_results, read_truth  # takes seconds, which runs do not need

    truth = read_truth(annotations)
    return lambda path: read_run(path) if path.is_dir() else match_results(path, truth)
