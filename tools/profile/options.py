"""Options of `litmobile profile`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import Namespace

from ...backbones.contract import Backbone
from ...errors import UserError, check_range
from ..options.parser import Parser
from ..options.sizes import add_size_option
from .backbone.families import add_constructor_options
from .engines.peers import TORCHVISION
from .engines.table import ENGINES, check_engines
from .targets import KINDS, TIMM

DESCRIPTION = """\
Says what networks cost: parameters, multiply-adds, memory access, size of the weights, activation memory, and latency
and throughput on several engines. All networks are measured in turn with a reference network, so that load on the
machine cancels out. A TARGET is {kinds}. Constructor arguments of a single backbone are options (--width 0.5); of
several they follow a colon (MobileNetV3:variant=small,width=0.75). Options of recipes begin with --model, e.g.
--model.backbone=MobileNetV2."""


def split_targets(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates the targets from the options after them.

    Raises:
        UserError: no target is given, or one of them twice.
    """
    count = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    texts, others = list(words[:count]), list(words[count:])
    if not texts and not {"-h", "--help"} & set(others):
        raise UserError(f"litmobile profile needs a target before the options: {KINDS}.")
    if twice := next((text for k, text in enumerate(texts) if text in texts[:k]), None):
        raise UserError(f"The target {twice} is given twice.")
    return texts, others


def split_model_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates the options that begin with ``--model``, each as one word, from all others."""
    others: list[str] = []
    found: list[str] = []
    k = 0
    while k < len(words):
        word = words[k]
        if not word.startswith("--model"):
            others.append(word)
        elif "=" in word or k + 1 == len(words) or words[k + 1].startswith("--"):
            found.append(word)
        else:
            found.append(f"{word}={words[k + 1]}")
            k += 1
        k += 1
    return others, found


def parse_options(
    texts: Sequence[str], words: Sequence[str], family: type[Backbone] | None
) -> tuple[Namespace, dict[str, Any]]:
    """Parses the options.

    Args:
        texts: the targets.
        words: the options.
        family: class of a single backbone, whose constructor arguments are options; None for other targets.

    Returns:
        the command's options, and the constructor arguments that differ from their defaults.

    Raises:
        UserError: an option is unknown, missing, has a wrong value or contradicts another.
    """
    description = textwrap.fill(DESCRIPTION.format(kinds=KINDS).replace("\n", " "), 100)
    parser = Parser(prog=f"litmobile profile {' '.join(texts) or 'TARGET...'}", description=description)
    parser.add_argument("--engines", nargs="+", default=["eager"], help=f"some of {', '.join(ENGINES)}")
    help_reference = (
        f"target that the others are compared with, or {TORCHVISION}NAME; on PyTorch eager (default: first)"
    )
    parser.add_argument("--reference", type=str | None, help=help_reference)
    add_size_option(parser, "the target's own")
    parser.add_argument("--classes", type=int | None, help="number of classes of networks that are not trained")
    parser.add_argument("--batch", type=int, default=8, help="images per call of the throughput; 1 leaves it out")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each engine")
    parser.add_argument("--device", type=Literal["cpu", "cuda"], default="cpu", help="of PyTorch's engines")
    parser.add_argument("--seconds", type=float, default=10.0, help="time of the latency, and again of the throughput")
    parser.add_argument("--counts", action="store_true", help="count and predict only, measure nothing")
    parser.add_argument("--layers", action="store_true", help="list each layer; a single target always does")
    parser.add_argument("--split", type=Literal["val", "test"] | None, help="evaluated split of runs, for the chart")
    parser.add_argument("--json", action="store_true", help="print all facts as JSON, for programs")
    parser.add_argument("--page", type=Path | None, metavar="FILE", help="write tables and charts to this HTML file")
    parser.add_argument("--svg", type=Path | None, metavar="FILE", help="write the chart of figure against latency")
    parser.add_argument("--allow-code", type=Path | None, metavar="FOLDER", help="folder of your own modules")
    defaults: dict[str, Any] = {}
    if family is not None:
        defaults = add_constructor_options(parser, family, skip=["name"] if texts[0].startswith(TIMM) else [])
    options = parser.parse_words(words)
    check_range("--threads", options.threads, ge=1)
    check_range("--batch", options.batch, ge=1)
    check_range("--seconds", options.seconds, gt=0)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda needs a GPU that PyTorch can use; this machine has none.")
    if options.counts and (options.svg or options.reference):
        raise UserError(f"--counts measures nothing, so leave out {'--svg' if options.svg else '--reference'}.")
    options.engines = list(dict.fromkeys(name for word in options.engines for name in word.split(",") if name))
    check_engines(options.engines, options.device)
    return options, {key: options[key] for key, default in defaults.items() if options[key] != default}
