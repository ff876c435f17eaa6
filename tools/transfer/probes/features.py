"""Features of a frozen backbone: computed once for each backbone, split and preprocessing, and kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ....errors import WeightsError
from ....tasks.atomic import replace_file
from ....tasks.data.fingerprint import Fingerprint
from ....tasks.network import Network, hash_weights
from .samples import Cut, Samples, choose_map, find_cut

VERSION = 1  # of the files; raise it when features change


class FeatureSet(NamedTuple):
    """Samples of a split.

    Attributes:
        features: ``[S, D]`` float32.
        labels: class indices, ``[S]``.
        images: index of the image of each sample, ``[S]``, ascending.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    images: NDArray[np.int64]


@torch.inference_mode()
def extract_features(
    network: Network, role: str, batches: Iterable[Any], is_training: bool, device: torch.device
) -> FeatureSet:
    """Computes the features of all samples in ``batches``, which come without augmentation.

    Args:
        network: its head is not used.
        role: of the task, e.g. "detection", which decides what a sample is; see :mod:`.samples`.
        batches: of the task's data.
        is_training: whether the samples are for training, for which segmentation takes fewer cells.
        device: that computes.

    Raises:
        UserError: probes do not support tasks of this role.
        WeightsError: a feature is NaN or infinite.
        DataError: an image cannot be read.
    """
    cut, name = find_cut(role), choose_probed_map(network, role)
    stride = network.backbone.features[name].stride
    network.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it
    parts = [cut_samples(cut, network, name, stride, batch, is_training, device) for batch in batches]
    features, labels, images = (torch.cat(tensors).cpu().numpy() for tensors in zip(*parts, strict=True))
    if not np.isfinite(features).all():
        raise WeightsError(f"Features of the map {name} are NaN or infinite: check the backbone's weights.")
    return FeatureSet(features.astype(np.float32), labels.astype(np.int64), images.astype(np.int64))


def cut_samples(
    cut: Cut, network: Network, name: str, stride: int, batch: Any, is_training: bool, device: torch.device
) -> Samples:
    """Returns the samples of a batch, on the CPU."""
    values = network.maps(batch.images.to(device))[name].cpu()
    return cut(values, stride, batch, is_training)


def choose_probed_map(network: Network, role: str) -> str:
    """Returns the name of the map that features are taken from; see :func:`.samples.choose_map`."""
    features = [network.backbone.features[name] for name in network.feature_maps]
    return choose_map(role, network.feature_maps, features)


def load_or_extract(
    network: Network,
    role: str,
    batches: Iterable[Any],
    fingerprint: Fingerprint,
    is_training: bool,
    device: torch.device,
    cache: Path | None,
) -> FeatureSet:
    """Reads features from the folder ``cache``, or computes them and writes them there.

    Args:
        network: see :func:`extract_features`, also for the other arguments.
        role: of the task.
        batches: of the split.
        fingerprint: of the split.
        is_training: whether the samples are for training.
        device: that computes.
        cache: folder; None keeps nothing.
    """
    if cache is None:
        return extract_features(network, role, batches, is_training, device)
    path = cache / f"{hash_source(network, role, fingerprint, is_training)}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return FeatureSet(*(stored[name] for name in FeatureSet._fields))
    found = extract_features(network, role, batches, is_training, device)
    with replace_file(path) as part, part.open("wb") as file:
        np.savez(file, **found._asdict())
    return found


def hash_source(network: Network, role: str, fingerprint: Fingerprint, is_training: bool) -> str:
    """Returns a hash of all that features depend on, of 32 hexadecimal digits."""
    source = {
        "version": VERSION,
        "backbone": network.backbone.config(),
        "weights": hash_weights(network.backbone),
        "map": choose_probed_map(network, role),
        "preprocessing": asdict(network.preprocessing),
        "role": role,
        "data": fingerprint,
        "is_training": is_training,
    }
    text = json.dumps(source, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
