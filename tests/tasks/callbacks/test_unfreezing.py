"""Frozen backbones: which parameters train in which epoch, and which statistics the norms use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from litmobile.backbones import Backbone, MobileNetV2, MobileViT, TimmBackbone
from litmobile.backbones.sequential import STAGE_ENDS
from litmobile.errors import UserError
from litmobile.tasks.callbacks.unfreezing import FreezeEpochs, StagedUnfreezing
from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tasks.preprocessing import Preprocessing
from support.data.images import write_class_folders
from support.families import FAMILIES, build_on_meta, format_id

CLASSES = ("ant", "bee", "cat")
STAGES = 6  # of MobileNetV2: up to c1, to c2, … c5, final


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("images"), 18, CLASSES)


class ChangeRecorder(Callback):
    """Records which tensors of the network change in each epoch."""

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}
        self.changed: list[set[str]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.before = {name: value.clone() for name, value in pl_module.network.state_dict().items()}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        after = pl_module.network.state_dict()
        self.changed.append({name for name in after if not torch.equal(after[name], self.before[name])})


def attach_unfreezing(backbone: Backbone, freeze_epochs: FreezeEpochs, interval: int) -> StagedUnfreezing:
    unfreezing = StagedUnfreezing(freeze_epochs, interval)
    unfreezing.attach(backbone)
    return unfreezing


def train(images: Path, folder: Path, watch: ChangeRecorder, epochs: int, **options: Any) -> ClassificationTask:
    task = ClassificationTask(
        MobileNetV2(0.35),
        preprocessing=Preprocessing((32, 32)),
        warmup_steps=0,
        **{"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)} | options,
    )
    trainer = Trainer(
        default_root_dir=folder, logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
        use_distributed_sampler=False, max_epochs=epochs, callbacks=[watch], num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task, FolderClassification(str(images), batch_size=5, num_workers=0))
    return task


@pytest.mark.parametrize(("freeze_epochs", "frozen"), [(0, 0), (1, 1), (2, 2), ("all", 3)], ids=str)
def test_backbone_changes_only_after_unfreezing(
    images: Path, tmp_path: Path, freeze_epochs: FreezeEpochs, frozen: int
) -> None:
    watch = ChangeRecorder()
    task = train(images, tmp_path, watch, 3, freeze_epochs=freeze_epochs)
    everything = set(task.network.state_dict())
    head = {name for name in everything if name.startswith("head.")}
    for epoch, changed in enumerate(watch.changed):
        assert changed == (head if epoch < frozen else everything), epoch


NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize(("freeze_epochs", "frozen"), [(1, 1), ("all", 2)], ids=str)
def test_norms_of_a_frozen_backbone_train(
    images: Path, tmp_path: Path, freeze_epochs: FreezeEpochs, frozen: int
) -> None:
    watch = ChangeRecorder()
    task = train(images, tmp_path, watch, 2, freeze_epochs=freeze_epochs, train_norms=True)
    everything = set(task.network.state_dict())
    norms = [name for name, module in task.network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    training = {f"{norm}.{tensor}" for norm in norms for tensor in NORM_TENSORS}
    training |= {name for name in everything if name.startswith("head.")}
    assert norms and training < everything
    for epoch, changed in enumerate(watch.changed):
        assert changed == (training if epoch < frozen else everything), epoch


def test_layer_norms_of_a_transformer_train_alone() -> None:
    backbone = MobileViT("xxs")
    unfreezing = StagedUnfreezing("all", 0, train_norms=True)
    unfreezing.attach(backbone)
    unfreezing.freeze_for(3)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)]
    trained = {id(p) for norm in norms for p in norm.parameters()}
    assert any(isinstance(norm, nn.LayerNorm) for norm in norms)
    assert {id(p) for p in backbone.parameters() if p.requires_grad} == trained
    assert all(norm.training for norm in norms)
    assert not any(module.training for module in backbone.modules() if isinstance(module, nn.Dropout))


def test_optimizer_includes_norms_of_a_permanently_frozen_backbone(images: Path, tmp_path: Path) -> None:
    task = train(images, tmp_path, ChangeRecorder(), 1, freeze_epochs="all", train_norms=True)
    optimised = [p for group in task.trainer.optimizers[0].param_groups for p in group["params"]]
    norms = [module for module in task.network.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(optimised) == 2 * len(norms) + len(list(task.network.head.parameters()))


def test_stages_unfreeze_one_by_one_deepest_first(images: Path, tmp_path: Path) -> None:
    watch = ChangeRecorder()
    task = train(images, tmp_path, watch, STAGES + 2, freeze_epochs=1, unfreeze_interval=1)
    trained = [
        {int(name.split(".")[2]) for name in changed if name.startswith("backbone.")} for changed in watch.changed
    ]
    layers = len(task.network.backbone.layers)
    starts = [0, 2, 4, 7, 14, 19, layers]  # the first layer of each stage, and the end
    assert trained == [set(range(start, layers)) for start in (*starts[::-1], 0)]
    assert all(p.requires_grad for p in task.network.parameters())


def test_optimizer_excludes_only_a_permanently_frozen_backbone(images: Path, tmp_path: Path) -> None:
    for frozen, optimised in (("all", "head"), (1, "network")):
        given: list[int] = []

        def optimizer(groups: Any, given: list[int] = given) -> torch.optim.Optimizer:
            given.append(sum(len(group["params"]) for group in groups))
            return torch.optim.SGD(groups, lr=0.1)

        task = train(images, tmp_path, ChangeRecorder(), 1, freeze_epochs=frozen, optimizer=optimizer)
        module = task.network if optimised == "network" else task.network.head
        assert given == [len(list(module.parameters()))]


def test_parameters_without_gradient_are_never_unfrozen() -> None:
    backbone = MobileNetV2(0.35)
    backbone.layers[0].requires_grad_(False)
    unfreezing = attach_unfreezing(backbone, 1, 0)
    for epoch in (0, 1, 5):
        unfreezing.freeze_for(epoch)
        assert not any(p.requires_grad for p in backbone.layers[0].parameters())
    assert all(p.requires_grad for p in backbone.layers[1].parameters())


@pytest.mark.parametrize("family", FAMILIES, ids=format_id)
def test_stages_cover_every_layer_once_in_order(family: type[Backbone]) -> None:
    backbone = build_on_meta(family)
    parameters = [p for stage in backbone.stages() for module in stage for p in module.parameters()]
    assert [id(p) for p in parameters] == [id(p) for p in backbone.parameters()]
    assert len(backbone.stages()) == sum(name in STAGE_ENDS for name in backbone.features)
    backbone.select(["c3"])
    assert sum(len(stage) for stage in backbone.stages()) == len(backbone.layers)


def test_backbone_without_stages_unfreezes_at_once(images: Path) -> None:
    backbone = TimmBackbone("resnet18")
    unfreezing = attach_unfreezing(backbone, 1, 1)
    unfreezing.freeze_for(0)
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
    assert unfreezing.freeze_for(1) and backbone.training and all(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize(
    ("frozen", "stages", "mentioned"), [(-1, 0, "-1"), (0, -2, "-2"), ("all", 1, "freeze_epochs=all")], ids=str
)
def test_invalid_freezing_options_are_refused(
    frozen: FreezeEpochs, stages: int, mentioned: str, assert_one_sentence: Any
) -> None:
    with pytest.raises(ValueError, match=r"freeze_epochs|unfreeze_interval") as caught:
        StagedUnfreezing(frozen, stages)
    assert_one_sentence(caught.value, mentioned)


def test_train_norms_without_a_frozen_backbone_is_refused(assert_one_sentence: Any) -> None:
    with pytest.raises(UserError) as caught:
        StagedUnfreezing(0, 0, train_norms=True)
    assert_one_sentence(caught.value, "freeze_epochs")


def test_norms_of_a_frozen_backbone_use_running_statistics() -> None:
    backbone = MobileNetV2(0.35)
    attach_unfreezing(backbone, "all", 0).freeze_for(0)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
