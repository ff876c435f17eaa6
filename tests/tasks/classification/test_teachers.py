"""Distillation: the classes of a teacher, the student's loss, and checkpoints without the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.errors import TaskError, WeightsError
from litmobile.heads import LRASPP, Classifier
from litmobile.tasks.classification import RunTeacher, Teacher, TimmTeacher
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from support.data.images import write_class_folders

CPU = torch.device("cpu")
CLASSES = ("ant", "bee", "cat")


class Fixed(Teacher):
    """A teacher that predicts the same logits for every image."""

    def __init__(self, values: Tensor, **options: Any) -> None:
        super().__init__(**options)
        self.values = values

    def prepare(self, classes: Any, device: torch.device) -> None:
        """Loads nothing."""

    def logits(self, images: Tensor) -> Tensor:
        self.seen = images
        return self.values.expand(len(images), -1)


def save(path: Path, classes: tuple[str, ...], head: Any = Classifier, role: str = "classification") -> Network:
    network = Network(MobileNetV2(0.35), head, classes, Preprocessing((32, 32), mean=(0.1, 0.2, 0.3)), role=role)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"network": network.config(), "state_dict": state}, path)
    return network.eval()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("distillation_weight", [0.3, 1.0])
def test_the_loss_equals_hintons(temperature: float, distillation_weight: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    terms = Fixed(teacher, temperature=temperature, distillation_weight=distillation_weight).add_distillation(
        {"a": torch.tensor(2.0)}, student, teacher
    )
    truth, predicted = (teacher / temperature).softmax(1), (student / temperature).softmax(1)
    expected = distillation_weight * temperature**2 * (truth * (truth.log() - predicted.log())).sum() / 6
    torch.testing.assert_close(terms["distillation"], expected)
    assert terms["a"].item() == pytest.approx((1 - distillation_weight) * 2.0)


def test_equal_logits_give_no_loss_and_no_gradient() -> None:
    logits = torch.randn(4, 7, requires_grad=True)
    term = Fixed(logits.detach(), temperature=3.0).add_distillation({}, logits, logits.detach())["distillation"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6) and logits.grad is not None
    assert logits.grad.abs().max().item() < 1e-6


@pytest.mark.parametrize("size", [None, 48])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32], ids=str)
def test_images_are_resized_for_the_teacher(size: int | None, kind: torch.dtype) -> None:
    images = torch.randint(0, 256, (2, 3, 32, 64), dtype=torch.uint8)
    teacher = Fixed(torch.zeros(3), size=size)
    teacher.predict(images if kind == torch.uint8 else images.float() / 255)
    assert teacher.seen.shape[2:] == ((32, 64) if size is None else (48, 48))
    if size is None:
        assert torch.equal(teacher.seen, images.float() / 255)


def test_a_run_matches_classes_by_name_and_normalises(tmp_path: Path) -> None:
    network = save(tmp_path / "teacher.ckpt", ("cat", "dog", "ant", "bee"))
    teacher = RunTeacher(str(tmp_path / "teacher.ckpt"))
    teacher.prepare(CLASSES, CPU)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(images), network(images)[:, [2, 3, 0]], rtol=0, atol=0)


def test_a_timm_network_uses_its_own_normalisation(tmp_path: Path) -> None:
    network = timm.create_model("mobilenetv1_100", num_classes=3).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    teacher = TimmTeacher("mobilenetv1_100.ra4_e3600_r224_in1k", str(tmp_path / "weights.pth"))
    teacher.prepare(CLASSES, CPU)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(images.float() / 255 * 2 - 1)  # Inception's mean and std, 0.5 each
    torch.testing.assert_close(teacher.predict(images), expected, rtol=1e-4, atol=1e-5)


def test_published_weights_are_fetched_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    network = timm.create_model("mobilenetv1_100", num_classes=3)
    monkeypatch.setattr("litmobile.tasks.classification.teachers.fetch", lambda name: network.state_dict())
    TimmTeacher("mobilenetv1_100").prepare(CLASSES, CPU)
    with pytest.raises(TaskError, match="trained on the student's classes"):
        TimmTeacher("mobilenetv1_100").prepare(("ant", "bee"), CPU)


def test_an_unsuitable_teacher_is_refused(tmp_path: Path, assert_one_sentence: Any) -> None:
    save(tmp_path / "other.ckpt", ("ant", "bee"))
    save(tmp_path / "segments.ckpt", CLASSES, LRASPP, "segmentation")
    torch.save(timm.create_model("mobilenetv1_100", num_classes=7).state_dict(), tmp_path / "seven.pth")
    cases = {
        "cat": RunTeacher(str(tmp_path / "other.ckpt")),
        "LRASPP": RunTeacher(str(tmp_path / "segments.ckpt")),
        "mobilenetv1_100 with 3 classes": TimmTeacher("mobilenetv1_100", str(tmp_path / "seven.pth")),
    }
    for mentioned, teacher in cases.items():
        with pytest.raises(TaskError) as caught:
            teacher.prepare(CLASSES, CPU)
        assert_one_sentence(caught.value, mentioned)
    with pytest.raises(FileNotFoundError):
        RunTeacher(str(tmp_path / "nowhere")).prepare(CLASSES, CPU)
    with pytest.raises(WeightsError):
        TimmTeacher("mobilenetv1_100", str(tmp_path / "nowhere.pth")).prepare(CLASSES, CPU)


@pytest.mark.parametrize(
    ("options", "mentioned"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"distillation_weight": 0.0}, "distillation_weight"),
        ({"distillation_weight": 1.5}, "distillation_weight"),
        ({"size": 16}, "size"),
    ],
    ids=str,
)
def test_invalid_values_are_refused(options: dict[str, Any], mentioned: str, assert_one_sentence: Any) -> None:
    with pytest.raises(ValueError, match=mentioned) as caught:
        RunTeacher("run", **options)
    assert_one_sentence(caught.value, mentioned)
    with pytest.raises(ValueError, match="timm has no network"):
        TimmTeacher("mobilenetv9")


def test_checkpoints_do_not_contain_the_teacher(tmp_path: Path) -> None:
    images = write_class_folders(tmp_path / "images", 18, CLASSES)
    save(tmp_path / "teacher.ckpt", CLASSES)
    main([
        "fit", "--model=ClassificationTask", "--model.backbone=MobileNetV2", "--model.backbone.width=0.35",
        "--model.preprocessing.size=[32,32]", "--model.teacher=RunTeacher", "--model.mixup=0.2",
        f"--model.teacher.run={tmp_path / 'teacher.ckpt'}", "--model.teacher.temperature=2",
        "--data=FolderClassification", f"--data.root={images}", "--data.batch_size=5", "--data.num_workers=0",
        "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1",
        "--trainer.enable_progress_bar=false", f"--run={tmp_path / 'run'}",
    ])  # fmt: skip
    assert "train/distillation" in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    stored = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert set(stored["state_dict"]) == {f"network.{name}" for name in litmobile.load(tmp_path / "run").state_dict()}


def test_gradients_equal_cross_entropy_at_temperature_one() -> None:
    student = torch.randn(3, 4, requires_grad=True)
    teacher = torch.randn(3, 4)
    Fixed(teacher, distillation_weight=1.0).add_distillation({}, student, teacher)["distillation"].backward()
    other = student.detach().clone().requires_grad_()
    F.cross_entropy(other, teacher.softmax(1)).backward()
    torch.testing.assert_close(student.grad, other.grad)
