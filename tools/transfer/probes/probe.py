"""Runs a probe: classifies samples of the evaluated split by features of the training split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ....backbones.contract import check_choice
from ....errors import DataError
from ....tasks.classification.evidence import TOP, ClassificationEvidence
from ....tasks.data.module import DataModule
from ....tasks.data.split import Split
from ....tasks.data.stratified import order_stratified
from ....tasks.evidence import Evidence
from ....tasks.network import Network, hash_weights
from ....tasks.task import Task
from .accuracy import mean_recall
from .evidence import ProbeEvidence
from .features import FeatureSet, choose_probed_map, load_or_extract
from .knn import score_neighbours
from .ridge import divide_into_folds, score_ridge

FOLD_SEED = 0
#: numbers of neighbours by figure; few are the main one, because rare classes and small shares have few samples
NEIGHBOURS = {"knn5": 5, "knn20": 20}


class ProbeResult(NamedTuple):
    """Result of a probe.

    Attributes:
        figures: mean per-class accuracy by name, the main one first: "knn5" and "knn20", or "ridge".
        evidence: of the main figure, for each image of the split.
        identity: plain values that identify what was probed, for the file of the evidence.
    """

    figures: dict[str, float]
    evidence: Evidence
    identity: dict[str, Any]


class Scores(NamedTuple):
    """What a protocol returns.

    Attributes:
        by_figure: scores of the classes, ``[S, C]``, by name of the figure; the main one first, 0 … 1.
        settings: plain values that the protocol chose.
    """

    by_figure: dict[str, NDArray[np.float64]]
    settings: dict[str, Any]


def run_probe(
    task: Task,
    data: DataModule[Any],
    protocol: str,
    *,
    split: str = "val",
    cache: Path | None = None,
    device: torch.device,
) -> ProbeResult:
    """Classifies samples of ``split`` by features that the task's backbone has before training.

    A sample is an image, an annotated object, or a cell of a map; see :mod:`.samples`. Without weights, the features
    are random; seed PyTorch before the task is built.

    Args:
        task: a new task; its network must not have been built.
        data: its data module, which may have read splits before.
        protocol: "knn" or "ridge".
        split: "val" or "test".
        cache: folder in which features are kept, so that another protocol need not compute them.
        device: that computes features, see :func:`choose_device`.

    Raises:
        UserError: the protocol or the task is unknown to probes, weights do not fit, or data cannot be read.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    network = prepare(task, data, split)
    train, samples = (read_features(network, task.role, data, name, device, cache) for name in ("train", split))
    scores = PROTOCOLS[protocol](train, samples, data.splits["train"], len(data.classes))
    figures = {
        name: mean_recall(samples.labels, values.argmax(1), len(data.classes))
        for name, values in scores.by_figure.items()
    }
    main = next(iter(figures))
    evidence = make_evidence(task.role, samples, scores.by_figure[main], data.splits[split])
    identity = {
        "split": split,
        "source": str(data.splits[split].source),
        "weights": hash_weights(network.backbone),
        "settings": {"protocol": protocol, "map": choose_probed_map(network, task.role)} | scores.settings,
    }
    return ProbeResult(figures, evidence, identity)


def choose_device(config: Mapping[str, Any]) -> torch.device:
    """Returns the device that computes features in a run with this configuration: a GPU if there is one."""
    is_cpu = config["trainer"].get("accelerator") == "cpu" or not torch.cuda.is_available()
    return torch.device("cpu" if is_cpu else "cuda")


def prepare(task: Task, data: DataModule[Any], split: str) -> Network:
    """Reads the data, and returns the task's network with its initial weights."""
    data.preprocessing = task.preprocessing
    for stage in ("train", "test" if split == "test" else "validate"):
        data.setup(stage)
    task.network = task.build_network(data.classes)
    task.load_initial_weights()
    return task.network


def read_features(
    network: Network, role: str, data: DataModule[Any], split: str, device: torch.device, cache: Path | None
) -> FeatureSet:
    """Returns the features of a split.

    Raises:
        DataError: the split has no samples.
    """
    batches, fingerprint = data.evaluation_dataloader(split), data.fingerprints()[split]
    found = load_or_extract(network, role, batches, fingerprint, split == "train", device, cache)
    if not len(found.labels):
        raise DataError(f"{data.splits[split].source} has nothing to probe: no annotated object or pixel.")
    return found


def probe_neighbours(train: FeatureSet, samples: FeatureSet, split: Split, classes: int) -> Scores:
    """Scores classes by the nearest training samples; ``split`` is not used."""
    features, labels, queries = map(torch.from_numpy, (train.features, train.labels, samples.features))
    found = score_neighbours(features, labels, queries, classes, list(NEIGHBOURS.values()))
    return Scores({name: scores.numpy() for name, scores in zip(NEIGHBOURS, found, strict=True)}, {})


def probe_ridge(train: FeatureSet, samples: FeatureSet, split: Split, classes: int) -> Scores:
    """Scores classes by ridge regression; the penalty is chosen on folds of the training images of ``split``."""
    order = order_stratified(split.strata(), len(split), np.random.default_rng(FOLD_SEED)).images
    folds = divide_into_folds(order, train.images)
    result = score_ridge(
        train.features.astype(np.float64), train.labels, folds, samples.features.astype(np.float64), classes
    )
    # least squares on ±1 estimates 2 p − 1, for classes of equal frequency
    return Scores({"ridge": np.clip((result.scores + 1) / 2, 0, 1)}, {"penalty": result.penalty})


#: by name; a function of the samples to learn from and to classify, the training split and the number of classes
PROTOCOLS: dict[str, Callable[[FeatureSet, FeatureSet, Split, int], Scores]] = {
    "knn": probe_neighbours,
    "ridge": probe_ridge,
}


def make_evidence(role: str, samples: FeatureSet, scores: NDArray[np.float64], split: Split) -> Evidence:
    """Returns what is kept of each image of ``split``: scores where a sample is an image, otherwise confusions."""
    names = tuple(split.names.tolist())
    if role != ClassificationEvidence.role:
        return ProbeEvidence.from_predictions(split.classes, names, samples.images, samples.labels, scores.argmax(1))
    return ClassificationEvidence(
        classes=split.classes,
        names=names,
        scores=scores.astype(np.float32),
        ranking=np.argsort(-scores, axis=1, kind="stable")[:, :TOP].astype(np.int32),
        labels=samples.labels.astype(np.int32),
    )
