"""Reads the tables of costs above the recipes, and builds the networks of their rows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import yaml
from torch import nn

from litmobile.tasks.network import Network
from litmobile.tasks.task import Task
from litmobile.tools.options.configurations import find_configuration, merge_configurations
from litmobile.tools.profile.counts import count, without_values
from litmobile.tools.training import TrainingParser

HEADING = "#   options to add"
PLAIN = "as below"  # the row of the network that the recipe trains without added options


def read_rows(recipe: str, columns: str) -> Iterator[tuple[tuple[str, ...], re.Match[str]]]:
    """Yields the options and the columns of each row between the heading and the next empty comment.

    Args:
        recipe: name of the configuration.
        columns: regular expression of the columns after the options; a row may continue after a backslash.
    """
    lines = find_configuration(recipe).read_text().replace("\\\n#    ", "").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(HEADING)) + 1
    for line in lines[start : lines.index("#", start)]:
        found = re.fullmatch(rf"#   (?P<options>{PLAIN}|--.+?) +{columns}", line)
        assert found, f"{recipe}: {line!r} is not a row of the table"
        yield () if found["options"] == PLAIN else tuple(found["options"].split()), found


@functools.cache
def make_parser() -> TrainingParser:
    """Makes the parser of a task's options, which takes a second."""
    parser = TrainingParser()
    parser.add_lightning_class_args(Task, "model", subclass_mode=True)
    return parser


class Costs(NamedTuple):
    """Parameters, those outside batch norms, and MAdds in G."""

    parameters: int
    without_norms: int
    multiply_adds: float


def count_costs(recipe: str, options: Sequence[str], classes: int, size: tuple[int, int]) -> Costs:
    """Counts the costs of the recipe's network with the added options, for images of ``size``."""
    network = build_network(recipe, options, [str(k) for k in range(classes)])
    with without_values():
        counted = count(network, torch.empty(1, 3, *size))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    of_norms = sum(parameter.numel() for norm in norms for parameter in norm.parameters())
    return Costs(counted.parameters, counted.parameters - of_norms, counted.multiply_adds / 1e9)


def build_network(recipe: str, options: Sequence[str], classes: Sequence[str]) -> Network:
    """Builds the network of the recipe with the added options as the command line does, without values."""
    parser = make_parser()
    config = merge_configurations([find_configuration(recipe)], options)["model"]
    text = yaml.safe_dump(config, default_flow_style=True, width=10**6)
    arguments = parser.parse_args([f"--model={text}", *options])
    with without_values():
        return parser.instantiate_classes(arguments).model.build_network(classes).eval()
