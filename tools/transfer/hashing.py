"""The name of a cell: a hash of everything that can change its figures, and of nothing else.

The same cell has the same hash in another folder, on another machine, at another commit and with other versions of
packages, so that finished cells can be committed and are found again.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...backbones.weights import is_file_name
from ...errors import UserError
from ...tasks.data.fingerprint import hash_arrays, take_fingerprint
from ...tasks.data.split import Split
from ...tasks.network import checkpoint_file

#: of the scheme; raise it when the same configuration comes to mean another training
VERSION = 1
DIGEST_BYTES = 10
BLOCK_BYTES = 1 << 20

#: options that cannot change a figure; all others are hashed
IGNORED = {
    "trainer": {
        # what is written, printed and measured beside the training
        *("logger", "default_root_dir", "enable_progress_bar", "enable_model_summary", "log_every_n_steps"),
        *("enable_checkpointing", "profiler", "enable_autolog_hparams", "model_registry"),
        # the machine; a cell always has one device
        *("accelerator", "devices", "num_nodes", "strategy"),
    },
    "data": {
        # where the data lie; the fingerprints say what they are
        *("root", "train", "val", "test", "images", "annotations", "masks", "image_root"),
        # batches are the same with any number of workers
        *("num_workers", "start_method"),
    },
}
#: callbacks that only print, measure or set the number of threads
IGNORED_CALLBACKS = {
    *("CpuThreads", "ProgressBar", "TQDMProgressBar", "RichProgressBar", "ModelSummary", "RichModelSummary"),
    *("LearningRateMonitor", "DeviceStatsMonitor", "ThroughputMonitor"),
}
#: values that mean what a version without the option did; add each new option whose default is not null or false
NEUTRAL = {"data": {"train_share": 1, "share_seed": 0}}
#: options of the model that name weights
WEIGHTS = ("weights", "backbone_weights")
#: what the figures of a probe depend on, beside data and weights
PROBED = ("backbone", "feature_maps", "preprocessing", "weights", "backbone_weights")
PROBED_DATA = ("train_share", "share_seed", "val_from_train")


def hash_cell(config: dict[str, Any], data: dict[str, Any], split: str, protocol: str, is_probe: bool = False) -> str:
    """Returns the hash of a cell, 20 hexadecimal digits.

    Args:
        config: the resolved configuration, as a run's config.yaml has it.
        data: plain values that identify the data, see :func:`identify_splits`.
        split: the split that is evaluated.
        protocol: name of the protocol.
        is_probe: whether nothing is trained.

    Raises:
        UserError: a file of weights does not exist.
    """
    content = {
        "version": VERSION,
        "protocol": protocol,
        "split": split,
        "data": data,
        "config": simplify_config(probed_part(config) if is_probe else config),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def probed_part(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the figures of a probe depend on."""
    model, data = (config[key]["init_args"] for key in ("model", "data"))
    seed = {} if data.get("train_share", 1) == 1 else {"seed_everything": config["seed_everything"]}
    return seed | {
        "model": {"class_path": config["model"]["class_path"], "init_args": {key: model[key] for key in PROBED}},
        "data": {"init_args": {key: data[key] for key in PROBED_DATA if key in data}},
    }


def simplify_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns what is hashed of a resolved configuration."""
    simple = {key: value for key, value in config.items() if key in ("seed_everything", "trainer", "model", "data")}
    if "trainer" in simple:
        trainer = {key: value for key, value in config["trainer"].items() if key not in IGNORED["trainer"]}
        callbacks = [entry for entry in as_list(trainer.get("callbacks")) if class_name(entry) not in IGNORED_CALLBACKS]
        simple["trainer"] = trainer | {"callbacks": callbacks}
    options = simple["data"]["init_args"].items()
    neutral = NEUTRAL["data"]
    kept = {key: value for key, value in options if key not in IGNORED["data"] and neutral.get(key, ...) != value}
    simple["data"] = simple["data"] | {"init_args": kept}
    model = dict(simple["model"]["init_args"])
    for key in WEIGHTS:
        if model.get(key) is not None:
            model[key] = identify_weights(model[key])
    simple["model"] = simple["model"] | {"init_args": model}
    return simplify(simple)


def simplify(value: Any) -> Any:
    """Returns a value of a configuration in the form that is hashed.

    Options that are null, false or empty are left out, because later versions, also of torch and lightning, add such
    ones. Whole numbers have no decimal point, and our classes have names without the module.
    """
    if isinstance(value, dict):
        simple = {key: simplify(entry) for key, entry in value.items()}
        return {key: entry for key, entry in simple.items() if entry not in (None, {}, []) and entry is not False}
    if isinstance(value, list | tuple):
        return [simplify(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.startswith("litmobile.") and value.replace(".", "").isidentifier():
        return f"litmobile.{value.rpartition('.')[2]}"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def as_list(value: Any) -> list[Any]:
    """Returns the callbacks of a configuration, which may be one or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def class_name(entry: Any) -> str:
    """Returns the name of the class that an entry of a configuration describes."""
    path = entry.get("class_path", "") if isinstance(entry, dict) else str(entry)
    return path.rpartition(".")[2]


def identify_weights(source: str) -> str:
    """Returns what identifies weights: the hash of their file, or their published name.

    Raises:
        UserError: the file does not exist.
    """
    if not is_file_name(source):
        return source
    path = checkpoint_file(Path(source).expanduser())
    if not path.is_file():
        raise UserError(f"The weights {source} do not exist; pass a file or the name of published weights.")
    return hash_file(path.resolve(), path.stat().st_mtime_ns)


@cache
def hash_file(path: Path, changed: int) -> str:
    """Returns the hash of a file's content; ``changed``, the time of its last change, tells the cache of a new one."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def identify_splits(splits: dict[str, Split]) -> dict[str, Any]:
    """Returns plain values that identify splits wherever they lie: fingerprints, and sizes of images and masks.

    Files are not read, because large data sets would take hours. A change that keeps the size of a file is not seen.
    """
    return {
        name: {**take_fingerprint(split), "bytes": hash_arrays(*file_sizes(split))} for name, split in splits.items()
    }


def file_sizes(split: Split) -> list[np.ndarray]:
    """Returns the sizes of the files of images, and of masks if there are some, in bytes; -1 for a missing file."""
    pixels = getattr(split, "pixels", None)
    if pixels is not None:  # the source contains pixels instead of image files
        return [pixels]
    getters = [split.path, *([mask] if (mask := getattr(split, "mask_path", None)) else [])]
    return [np.array([file_size(getter(index)) for index in range(len(split))], "<i8") for getter in getters]


def file_size(path: Path) -> int:
    """Returns the size of a file in bytes; -1 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
