"""What all tasks share: classes, weight decay, learning-rate schedules, initial weights and checkpoints."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from litmobile.backbones import MobileNetV2, MobileNetV3
from litmobile.errors import TaskError, WeightsError
from litmobile.heads import LRASPP, Classifier, SSDLite
from litmobile.heads.contract import Head
from litmobile.tasks.detection import CocoDetection, DetectionTask
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.schedule import Cosine, Exponential, Poly, Schedule, Warmup, parameter_groups


def make_trainer(folder: Path, **options: object) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=folder, use_distributed_sampler=False, **(quiet | options))


def make_task(**options: object) -> DetectionTask:
    return DetectionTask(**({"backbone": MobileNetV2(0.35), "preprocessing": Preprocessing((64, 64))} | options))


def make_data(shapes: Path) -> CocoDetection:
    return CocoDetection(str(shapes), train="train", val="val", batch_size=4, num_workers=0)


def test_norms_and_biases_are_not_decayed() -> None:
    network = nn.Sequential(MobileNetV2(0.35), nn.Linear(4, 2))
    decayed, others = parameter_groups(network.parameters())
    assert all(p.ndim > 1 for p in decayed["params"])
    assert others["weight_decay"] == 0
    assert all(p.ndim == 1 for p in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(("steps", "warmup", "peak"), [(100, 10, 10), (100, 1000, 10), (5, 1000, 0), (100, 0, 0)])
@pytest.mark.parametrize("decay", [Cosine(), Poly(), Poly(1.0)], ids=["cosine", "poly", "line"])
def test_learning_rate_warms_up_then_falls_to_zero(decay: Schedule, steps: int, warmup: int, peak: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Warmup(decay, warmup).build(optimizer, steps, 1.0)
    rates = []
    for _ in range(steps + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[peak] == max(rates) == pytest.approx(1.0)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert min(rates[:-1]) > 0


SCHEDULES = {
    "cosine": (Cosine(0.1), lambda progress, epoch: 0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2),
    "poly": (Poly(0.9), lambda progress, epoch: (1 - progress) ** 0.9),
    "poly to an end value": (Poly(2.0, end=0.2), lambda progress, epoch: 0.2 + 0.8 * (1 - progress) ** 2),
    "exponential": (Exponential(0.9, 2.0), lambda progress, epoch: 0.9 ** (epoch // 2)),
}


@pytest.mark.parametrize(("schedule", "expected"), SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_follow_their_formulas(schedule: Schedule, expected: Callable[[float, float], float]) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    steps, epochs, warmup = 120, 6, 12
    rates = Warmup(schedule, warmup).build(optimizer, steps, epochs)
    for step in range(steps):
        if step >= warmup:
            rate = expected((step - warmup) / (steps - warmup), step * epochs / steps)
            assert optimizer.param_groups[0]["lr"] == pytest.approx(rate), step
        optimizer.step()
        rates.step()


@pytest.mark.parametrize("warmup", [0, 3, 7])
def test_schedule_per_epoch_is_that_of_torchvisions_recipe(warmup: int) -> None:
    """Its reference steps a cosine after every epoch, and the factor of a linear warm-up in the first."""
    epochs, per_epoch = 10, 8
    ours, theirs = (torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3) for _ in range(2))
    schedule = Warmup(Cosine(), warmup, per_epoch=True).build(ours, epochs * per_epoch, epochs)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, epochs)
    for step in range(epochs * per_epoch):
        found, expected = (optimizer.param_groups[0]["lr"] for optimizer in (ours, theirs))
        assert found == pytest.approx(expected * min(1.0, (step + 1) / (warmup + 1))), step
        ours.step()
        schedule.step()
        if step % per_epoch == per_epoch - 1:
            theirs.step()
            reference.step()


def test_decay_norms_decays_every_parameter(shapes: Path, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    task = make_task(decay_norms=True)
    trainer.fit(task, make_data(shapes))
    (group,) = trainer.optimizers[0].param_groups
    assert group["weight_decay"] == 4e-5
    assert len(group["params"]) == len(list(task.network.parameters()))


def test_backbone_init_std_sets_only_the_backbones_convolutions() -> None:
    torch.manual_seed(0)
    task = make_task(backbone_init_std=0.5, num_classes=3)
    task.configure_model()
    convolutions = {
        part: torch.cat([m.weight.flatten() for m in module.modules() if isinstance(m, nn.Conv2d)])
        for part, module in (("backbone", task.network.backbone), ("head", task.network.head))
    }
    assert convolutions["backbone"].std().item() == pytest.approx(0.5, rel=0.01)
    assert convolutions["head"].std().item() == pytest.approx(0.03, rel=0.01)


IMPOSSIBLE = [
    ("end", lambda: Cosine(1.0)),
    ("end", lambda: Poly(end=-0.1)),
    ("power", lambda: Poly(0.0)),
    ("rate", lambda: Exponential(1.5)),
    ("epochs", lambda: Exponential(0.9, 0.0)),
]


@pytest.mark.parametrize(("name", "make"), IMPOSSIBLE, ids=[name for name, _ in IMPOSSIBLE])
def test_invalid_schedules_are_refused(
    name: str, make: Callable[[], Schedule], assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be") as caught:
        make()
    assert_one_sentence(caught.value, name)


def test_schedule_counts_epochs(shapes: Path, tmp_path: Path) -> None:
    task = make_task(schedule=Exponential(0.5), warmup_steps=0)
    trained = make_trainer(tmp_path, max_epochs=3, limit_val_batches=0)
    trained.fit(task, make_data(shapes))  # ten images in batches of four: two steps an epoch
    assert trained.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.05 * 0.5**3)


def test_classes_come_from_the_data(shapes: Path, tmp_path: Path) -> None:
    task = make_task()
    make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_data(shapes))
    assert task.network.classes == ("disk", "ring", "square", "triangle", "star", "cross")


def test_num_classes_that_contradicts_the_data_is_refused(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="num_classes is 5, but the data has 6 classes: disk"):
        make_trainer(tmp_path, max_steps=1).fit(make_task(num_classes=5), make_data(shapes))


def test_backbone_without_the_feature_maps_is_refused() -> None:
    backbone = MobileNetV2(0.35)
    backbone.select(["c3"])
    with pytest.raises(ValueError, match=r"MobileNetV2 has no maps for detection: it offers c1 \(stride 2\)"):
        DetectionTask(backbone)


@pytest.mark.parametrize("head", [LRASPP, Classifier])
def test_a_head_of_another_role_is_refused_before_training(head: type[Head], shapes: Path, tmp_path: Path) -> None:
    maps = ["c3", "c5"]
    with pytest.raises(TaskError, match=f"trains heads for detection, but {head.__name__} is for {head.role}"):
        make_trainer(tmp_path, max_steps=1).fit(make_task(head=head, feature_maps=maps), make_data(shapes))


def test_head_that_does_not_fit_the_feature_maps_is_refused(shapes: Path, tmp_path: Path) -> None:
    task = make_task(head=LRASPP, feature_maps=["c5"])
    with pytest.raises(ValueError, match="LRASPP needs two maps"):
        make_trainer(tmp_path, max_steps=1).fit(task, make_data(shapes))


def test_backbone_weights_are_loaded_when_training_starts(shapes: Path, tmp_path: Path) -> None:
    pretrained = MobileNetV2(0.35)
    torch.save(pretrained.state_dict(), tmp_path / "weights.pth")
    frozen = partial(torch.optim.SGD, lr=0.0)
    task = make_task(backbone_weights=str(tmp_path / "weights.pth"), optimizer=frozen)
    make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_data(shapes))
    own, theirs = dict(task.network.backbone.named_parameters()), dict(pretrained.named_parameters())
    assert all(torch.equal(own[name], theirs[name]) for name in own)


def test_weights_with_other_normalisation_give_a_warning(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "MobileNet_V2_Weights.IMAGENET1K_V2"
    served = mobilenet_v2().state_dict()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *args, **kwargs: served)
    flags = r"mean=\[0.485, 0.456, 0.406\] --model.preprocessing.std=\[0.229, 0.224, 0.225\]"
    task = make_task(backbone=MobileNetV2(), backbone_weights="imagenet")
    with pytest.warns(UserWarning, match=f"{name} was trained on images normalised by .*{flags}"):
        make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_data(shapes))

    preprocessing = Preprocessing((64, 64), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    task = make_task(backbone=MobileNetV2(), backbone_weights="imagenet", preprocessing=preprocessing)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*was trained on images normalised")
        make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_data(shapes))


def save_network(classes: str, path: Path) -> dict[str, Tensor]:
    """Save a checkpoint of a small detector for ``classes`` like a run's, and return its tensors."""
    network = Network(MobileNetV2(0.35), SSDLite, classes.split(), Preprocessing((64, 64)), role="detection")
    state = network.state_dict()
    torch.save({"network": network.config(), "state_dict": {f"network.{k}": v for k, v in state.items()}}, path)
    return state


def test_training_starts_from_a_network_with_other_classes(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = save_network("star disk pyramid", tmp_path / "other.ckpt")
    task = make_task(weights=str(tmp_path / "other.ckpt"), optimizer=partial(torch.optim.SGD, lr=0.0))
    with caplog.at_level("INFO"):
        make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_data(shapes))
    assert f"Network: loaded {len(source)} tensors from {tmp_path / 'other.ckpt'}" in caplog.text
    assert "keeps the weights of disk, star; 4 classes start from random weights (ring, square, " in caplog.text
    by_class = {f"head.{name}" for name in task.network.head.class_dimensions()}
    for name, parameter in task.network.named_parameters():
        assert name in by_class or torch.equal(parameter, source[name]), name


@pytest.mark.parametrize("option", ["weights", "backbone_weights"])
def test_initial_weights_are_not_needed_after_training_started(option: str, shapes: Path, tmp_path: Path) -> None:
    path, saved, data = tmp_path / "other.ckpt", tmp_path / "last.ckpt", make_data(shapes)
    save_network("a b c", path)
    first, task = make_trainer(tmp_path, max_steps=1, limit_val_batches=0), make_task(**{option: str(path)})
    first.fit(task, data)
    first.save_checkpoint(saved)
    path.unlink()
    make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, data)  # the same task again
    make_trainer(tmp_path).validate(make_task(**{option: str(path)}), data, ckpt_path=saved, verbose=False)
    make_trainer(tmp_path, max_steps=1).fit(make_task(**{option: str(path)}), data, ckpt_path=saved)
    with pytest.raises(WeightsError, match="The weights file"):
        make_trainer(tmp_path, max_steps=1).fit(make_task(**{option: str(path)}), data)


def test_weights_and_backbone_weights_exclude_each_other(assert_one_sentence) -> None:
    with pytest.raises(TaskError, match="set weights or backbone_weights, not both") as caught:
        make_task(weights="some.ckpt", backbone_weights="imagenet")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: DetectionTask(MobileNetV3("small"), preprocessing=Preprocessing((64, 64))), "but this run builds"),
        (lambda: make_task(feature_maps=["c3", "c4_expansion", "final"]), "trained with other feature_maps"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(other: object, sentence: str, shapes: Path, tmp_path: Path) -> None:
    first = make_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    first.fit(make_task(), make_data(shapes))
    first.save_checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(TaskError, match=sentence):
        make_trainer(tmp_path).validate(other(), make_data(shapes), ckpt_path=tmp_path / "last.ckpt", verbose=False)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "focal"])
def test_network_overfits_one_batch(loss: str, shapes: Path) -> None:
    data = make_data(shapes)
    data.preprocessing = Preprocessing((96, 96))
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    task = DetectionTask(MobileNetV2(0.35), head=partial(SSDLite, loss=loss), num_classes=6)
    task.configure_model()
    optimizer = torch.optim.AdamW(parameter_groups(task.network.parameters()), lr=3e-3)
    losses = []
    for _ in range(25):
        terms = task.network.head.loss(task.network.train()(batch.images), batch.targets)
        total = sum(terms.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < 0.5 * losses[0]
