"""Which of timm's networks work under all three heads: `python -m litmobile.tools.census --out docs/timm_census.md`.

Every network is built without weights, put under each head and run as far as the loss, which costs shapes and no
arithmetic. Of every family, which is a file of timm's, the smallest network that passed is then trained for one step.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from ..backbones import TimmBackbone
from ..backbones.checks import check_selection
from ..backbones.timm_backbone import feature_info, find_trained_parameters
from ..backbones.weights import first_line
from ..errors import UserError
from ..heads import LRASPP, BoxTargets, Classifier, SSDLite
from ..tasks.network import Network
from ..tasks.preprocessing import Preprocessing
from .census_document import LARGEST, RECIPE_SIZE, WORKS, Trial, document
from .complexity import without_values

HEADS = {"classification": Classifier, "segmentation": LRASPP, "detection": SSDLite}
CLASSES = ("one", "two")
BATCH = 2  # batch norm cannot train on a map of one pixel of one image


def family(name: str) -> str:
    """The module of timm that defines a network."""
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def reason(error: Exception, name: str) -> str:
    """An error as a reason that several networks may share: its first line, without the network's name."""
    said = first_line(error).replace(name, "it")
    return said if isinstance(error, ValueError | AssertionError) and said else f"{type(error).__name__}: {said}"


# ------------------------------------------------------------------------------------------------ one network, one head


def targets(role: str, size: tuple[int, int]) -> Any:
    """Of a batch, on the default device: class 0 everywhere, and one object an image."""
    if role == "classification":
        return torch.zeros(BATCH, dtype=torch.long)
    if role == "segmentation":
        return torch.zeros(BATCH, *size, dtype=torch.long)
    box = torch.tensor([0.25 * size[1], 0.25 * size[0], 0.75 * size[1], 0.75 * size[0]])
    return BoxTargets(box.expand(BATCH, 1, 4), torch.zeros(BATCH, 1, dtype=torch.long))


def under_head(backbone: TimmBackbone, role: str, size: tuple[int, int]) -> Network:
    """A copy of ``backbone`` under the head of ``role``."""
    return Network(copy.deepcopy(backbone), HEADS[role], CLASSES, Preprocessing(size), role=role)


def check_maps(backbone: TimmBackbone, maps: dict[str, Tensor], size: tuple[int, int]) -> None:
    """Raises ValueError unless the maps are as ``backbone`` promises; their sizes may be rounded either way."""
    for name, x in maps.items():
        channels, stride = backbone.features[name]
        if x.ndim != 4 or x.shape[1] != channels:
            raise UserError("a map does not have the channels that timm says.")
        if any(
            found not in (side // stride, -(-side // stride)) for found, side in zip(x.shape[2:], size, strict=True)
        ):
            raise UserError("the head runs, but a map is not of the image's size over its stride.")


def try_head(backbone: TimmBackbone, role: str, size: tuple[int, int]) -> int:
    """Runs the network on the meta device as far as the loss.

    Returns:
        how many parameters of the backbone are frozen because its maps do not need them.

    Raises:
        Exception: whatever goes wrong; ValueError for a broken promise.
    """
    network = under_head(backbone, role, size).eval()  # batch statistics take long without values, too
    maps = network.backbone(torch.empty(BATCH, 3, *size))
    losses = network.head.loss(network.head(maps, size), targets(role, size))
    check_maps(backbone, maps, size)
    trained = find_trained_parameters(losses.values())
    if any(parameter.requires_grad and parameter not in trained for parameter in network.parameters()):
        raise UserError("parameters get no gradient.")
    return sum(parameter.numel() for parameter in network.backbone.parameters() if not parameter.requires_grad)


def timms_strides(name: str) -> list[float] | None:
    """Strides of the maps of a network that is no backbone, if timm builds it for maps."""
    try:
        return sorted(set(feature_info(timm.create_model(name, features_only=True)).reduction()))
    except Exception:  # a foreign network can fail in any way
        return None


def takes_recipe_size(backbone: TimmBackbone) -> str:
    """See :class:`Trial`."""
    attempts: dict[str, Callable[[], TimmBackbone]] = {
        "as it is": lambda: backbone,
        "image_size": lambda: TimmBackbone(backbone.name, image_size=RECIPE_SIZE),
    }
    for how, make in attempts.items():
        try:
            tried = make().eval()
            with torch.no_grad():
                check_maps(tried, tried(torch.empty(1, 3, *RECIPE_SIZE)), RECIPE_SIZE)
        except Exception:  # networks refuse a size in every way there is
            continue
        return how
    return "no"


def try_shapes(name: str) -> Trial:
    """Tries a network without values."""
    trial = Trial(name, family(name))
    with without_values():
        try:
            backbone = TimmBackbone(name)
        except Exception as error:  # a foreign network can fail in any way
            trial.failures["backbone"] = reason(error, name)
            trial.strides = timms_strides(name)
            return trial
        trial.strides = [feature.stride for feature in backbone.features.values()]
        trial.parameters = sum(parameter.numel() for parameter in backbone.parameters())
        trial.size = backbone.image_size
        for role in HEADS:
            try:
                trial.frozen = max(trial.frozen, try_head(backbone, role, trial.size))
            except Exception as error:  # a foreign network can fail in any way
                trial.failures[role] = reason(error, name)
        if trial.offers:
            trial.recipe_size = takes_recipe_size(backbone)
    return trial


def try_for_real(trial: Trial) -> Trial:
    """Tries a network with random weights: that narrowing keeps its maps, a step of training, and predictions."""
    torch.manual_seed(0)
    size = trial.size
    told = None
    if trial.recipe_size != "no" and max(size) > max(RECIPE_SIZE):  # large images take long
        size = RECIPE_SIZE
        told = size if trial.recipe_size == "image_size" else None
    try:
        backbone = TimmBackbone(trial.name, image_size=told)
        for role in HEADS:
            check_selection(lambda: copy.deepcopy(backbone), backbone.feature_names(role), torch.randn(1, 3, *size))
            check_training(under_head(backbone, role, size), role, size)
    except Exception as error:  # a foreign network can fail in any way
        trial.real = reason(error, trial.name)
    else:
        trial.real = WORKS
    return trial


def check_training(network: Network, role: str, size: tuple[int, int]) -> None:
    """Raises ValueError unless every trainable parameter gets a finite gradient, and predictions come out."""
    images = torch.rand(BATCH, 3, *size)
    network.train()
    losses = network.head.loss(network(images), targets(role, size))
    torch.stack(list(losses.values())).sum().backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.isfinite().all()):
            raise UserError(f"{key} has no finite gradient.")
    with torch.no_grad():
        found = network.head.decode(network.eval()(images), size)
    if len(found) != BATCH:
        raise UserError(f"{len(found)} predictions for {BATCH} images.")


# ----------------------------------------------------------------------------------------------------- all the networks


def serve(connection: Connection) -> None:
    """The worker's process: answers every (function, argument) that comes in with the function's result."""
    torch.set_num_threads(1)
    connection.send("ready")
    while True:
        try:
            work, argument = connection.recv()
        except EOFError:  # the census ended
            return
        connection.send(work(argument))


def start_worker() -> tuple[BaseProcess, Connection]:
    """A worker, and our end of the line to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=serve, args=(theirs,), daemon=True)
    worker.start()
    theirs.close()  # else nobody would notice that the worker ended
    ours.recv()  # ready: importing takes seconds that no network is to pay for
    return worker, ours


def end(worker: BaseProcess) -> None:
    """Ends a worker, whatever it does."""
    worker.kill()
    worker.join()


def in_worker(work: Callable[[Any], Trial], arguments: Iterable[Any], limit: float) -> Iterator[Trial | str]:
    """``work`` of every argument in a process of its own, which a crash or ``limit`` seconds end; then, the reason."""
    worker, connection = start_worker()
    for argument in arguments:
        connection.send((work, argument))
        try:
            result = connection.recv() if connection.poll(limit) else f"takes longer than {limit:g} s"
        except EOFError:
            result = "ends the process"
        if isinstance(result, str):
            end(worker)
            worker, connection = start_worker()
        yield result
    end(worker)


def smallest_of_each_family(trials: Sequence[Trial]) -> list[Trial]:
    """Of the networks that offer the three strides and work, the one of the fewest parameters of each family."""
    smallest: dict[str, Trial] = {}
    for trial in trials:
        if trial.offers and trial.works:
            smallest[trial.family] = min(smallest.get(trial.family, trial), trial, key=lambda t: t.parameters)
    return list(smallest.values())


def census(names: Sequence[str], limit: float, say: Callable[[str], None] = print) -> list[Trial]:
    """Tries the networks ``names``, and the smallest of each family for real.

    Args:
        names: timm's.
        limit: seconds that a network may take.
        say: told what is tried.
    """
    trials = []
    for name, result in zip(names, in_worker(try_shapes, names, limit), strict=True):
        trial = result if isinstance(result, Trial) else Trial(name, family(name), failures={"backbone": result})
        trials.append(trial)
        say(f"{len(trials)}/{len(names)} {name}: {'works' if trial.works else trial.failures}")
    chosen = smallest_of_each_family(trials)
    for trial in chosen:
        if trial.parameters > LARGEST:
            trial.real = f"too large to try ({trial.parameters / 1e6:.0f} M parameters)"
    small = [trial for trial in chosen if trial.real is None]
    for trial, result in zip(small, in_worker(try_for_real, small, limit), strict=True):
        trial.real = result.real if isinstance(result, Trial) else result
        if trial.real != WORKS:
            trial.failures["for real"] = str(trial.real)
        say(f"{trial.name} for real: {trial.real}")
    return trials


def main() -> None:
    """Tries the networks and writes what became of them."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.census", description=__doc__)
    parser.add_argument(
        "patterns", nargs="*", default=["*"], help='timm names to try, such as "resnet*" (default: all)'
    )
    parser.add_argument("--out", type=Path, help="Markdown file to write (default: to the screen)")
    parser.add_argument("--json", type=Path, help="file for what was found of every network")
    parser.add_argument("--limit", type=float, default=300, help="seconds a network may take (default: %(default)s)")
    options = parser.parse_args()
    names = timm.list_models(options.patterns)
    if not names:
        parser.error(f"timm has no network called {' or '.join(options.patterns)}")
    for path in filter(None, (options.out, options.json)):
        if not path.parent.is_dir():  # better known now than after the work
            parser.error(f"there is no folder {path.parent} to write {path.name} into")
    trials = census(names, options.limit)
    text = document(trials, minutes=sum(os.times()[:4]) / 60)  # this process and its workers
    if options.json:
        options.json.write_text(json.dumps([asdict(trial) for trial in trials], indent=1))
    if options.out:
        options.out.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
