"""The hash of a cell: equal wherever and whenever it is computed, different where a figure could change."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from litmobile.tools.transfer import hashing
from litmobile.tools.transfer.hashing import hash_cell, identify_weights, simplify
from litmobile.tools.transfer.plan.cells import Cell
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.resolve import ResolvedCell, set_option
from support.studies import CachingResolver, write_plan

FULL = Cell("tones", "V2", "weights", "full")
#: a configuration whose hash must not change by accident, because finished cells would be lost
CONFIG: dict[str, Any] = {
    "seed_everything": 3,
    "trainer": {"max_epochs": 2, "callbacks": [{"class_path": "litmobile.tasks.callbacks.CpuThreads"}]},
    "model": {
        "class_path": "litmobile.tasks.classification.ClassificationTask",
        "init_args": {
            "backbone": {"class_path": "litmobile.backbones.MobileNetV2", "init_args": {"width": 0.5}},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 3e-4, "foreach": None}},
            "backbone_weights": "imagenet",
        },
    },
    "data": {
        "class_path": "litmobile.tasks.classification.FolderClassification",
        "init_args": {"root": "data/images", "batch_size": 16, "num_workers": 2},
    },
}


@pytest.fixture
def hash_of(tones: Path, tmp_path: Path) -> Callable[..., str]:
    """A function that returns the hash of a cell of the tiny plan with changes."""

    def hash_of(changes: dict[str, Any] | None = None, root: Path = tones, cell: Cell = FULL) -> str:
        return CachingResolver(read_plan(write_plan(tmp_path / "plan.yaml", root, changes))).resolve(cell).hash

    return hash_of


@pytest.fixture
def copied(tones: Path, tmp_path: Path) -> Path:
    """The same data in another folder."""
    return Path(shutil.copytree(tones, tmp_path / "elsewhere" / "photos"))


def test_hash_of_a_known_configuration_is_kept() -> None:
    assert hash_cell(CONFIG, {"train": {"images": 3}}, "val", "full") == "9ebcb425805a2b7a3d1a"


def test_hash_does_not_depend_on_the_place_of_the_data(hash_of: Callable[..., str], copied: Path) -> None:
    assert hash_of() == hash_of(root=copied)


@pytest.fixture(scope="module")
def resolved(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> ResolvedCell:
    """A cell of the tiny plan."""
    path = write_plan(tmp_path_factory.mktemp("plan") / "plan.yaml", tones)
    return CachingResolver(read_plan(path)).resolve(FULL)


def hash_with(resolved: ResolvedCell, option: str, value: Any) -> str:
    """Return the hash of a cell with one option changed."""
    config = copy.deepcopy(resolved.config)
    set_option(config, option, value)
    return hash_cell(config, resolved.data, resolved.split, resolved.cell.protocol)


THREADS = {"class_path": "litmobile.tasks.callbacks.CpuThreads", "init_args": {"count": 1}}
AVERAGE = {"class_path": "lightning.pytorch.callbacks.StochasticWeightAveraging", "init_args": {"swa_lrs": 0.1}}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("data.num_workers", 3),
        ("trainer.log_every_n_steps", 7),
        ("trainer.enable_model_summary", True),
        ("trainer.accelerator", "gpu"),
        ("trainer.callbacks", [THREADS]),
        ("trainer.callbacks", THREADS),
    ],
)
def test_hash_leaves_out_what_changes_no_figure(resolved: ResolvedCell, option: str, value: Any) -> None:
    assert hash_with(resolved, option, value) == resolved.hash


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("data.batch_size", 8),
        ("data.augmentation.flip", 0.25),
        ("model.optimizer.lr", 0.01),
        ("model.optimizer.fused", None),
        ("model.ema_decay", None),
        ("model.backbone.width", 0.5),
        ("model.preprocessing.fit", "stretch"),
        ("trainer.max_epochs", 3),
        ("trainer.gradient_clip_val", 1.0),
        ("trainer.callbacks", [THREADS, AVERAGE]),
    ],
)
def test_hash_has_what_changes_a_figure(resolved: ResolvedCell, option: str, value: Any) -> None:
    assert hash_with(resolved, option, value) != resolved.hash


def test_hash_has_split_protocol_and_seed(hash_of: Callable[..., str]) -> None:
    others = [
        hash_of({"tasks.tones.split": "test"}),
        hash_of(cell=Cell("tones", "V2", "weights", "frozen")),
        hash_of(cell=Cell("tones", "V2", None, "scratch")),
        hash_of(cell=Cell("tones", "V2", "weights", "full", seed=1)),
        hash_of(cell=Cell("tones", "V2", "weights", "full", learning_rate=0.01)),
    ]
    assert len({hash_of(), *others}) == 1 + len(others)


def test_hash_has_the_content_of_weights_not_their_name(hash_of: Callable[..., str], copied: Path) -> None:
    renamed = copied / "renamed.pth"
    (copied / "v2.pth").rename(renamed)
    assert hash_of({"backbones.V2.weights": str(renamed)}, root=copied) == hash_of()
    weights = torch.load(renamed, weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, renamed)
    assert hash_of({"backbones.V2.weights": str(renamed)}, root=copied) != hash_of()


def test_hash_has_names_and_sizes_of_images(hash_of: Callable[..., str], copied: Path) -> None:
    expected = hash_of()
    image = next((copied / "train" / "dark").iterdir())
    content = image.read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    assert cv2.imwrite(str(image), noise)
    assert hash_of(root=copied) != expected
    image.write_bytes(content)
    assert hash_of(root=copied) == expected
    image.rename(image.with_name(f"other-{image.name}"))
    assert hash_of(root=copied) != expected


def test_options_that_are_added_later_keep_the_hash() -> None:
    later = {**CONFIG, "data": {**CONFIG["data"]}, "model": {**CONFIG["model"]}}
    later["data"]["init_args"] = CONFIG["data"]["init_args"] | {
        "train_share": 1.0,
        "share_seed": 0,
        "val_from_train": None,
    }
    later["model"]["init_args"] = CONFIG["model"]["init_args"] | {"train_norms": False}
    assert hash_cell(later, {}, "val", "full") == hash_cell(CONFIG, {}, "val", "full")
    later["data"]["init_args"] = CONFIG["data"]["init_args"] | {"train_share": 0.5}
    assert hash_cell(later, {}, "val", "full") != hash_cell(CONFIG, {}, "val", "full")


def test_hash_of_a_probe_leaves_out_the_training() -> None:
    model = CONFIG["model"]["init_args"] | {"feature_maps": None, "weights": None, "preprocessing": {"size": [32, 32]}}
    config = CONFIG | {"model": {**CONFIG["model"], "init_args": model}}
    expected = hash_cell(config, {}, "val", "knn", is_probe=True)
    assert hash_cell(config | {"seed_everything": 4, "trainer": {}}, {}, "val", "knn", is_probe=True) == expected
    assert hash_cell(config, {}, "val", "ridge", is_probe=True) != expected


def test_numbers_and_class_paths_have_one_form() -> None:
    assert simplify({"a": 1.0, "b": None, "c": False, "d": {}, "e": [0.5, True]}) == {"a": 1, "e": [0.5, True]}
    assert simplify("litmobile.backbones.mobilenet_v2.MobileNetV2") == simplify("litmobile.backbones.MobileNetV2")
    assert simplify("mine.MobileNetV2") == "mine.MobileNetV2"


def test_published_weights_keep_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "hash_file", lambda *_: pytest.fail("a name is not a file"))
    assert identify_weights("MobileNet_V2_Weights.IMAGENET1K_V2") == "MobileNet_V2_Weights.IMAGENET1K_V2"
