"""The command line as a user types it, with a tiny generated data set."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import litmobile
from litmobile.heads import RASPP
from litmobile.tools import sample_data
from litmobile.tools.cli import main
from litmobile.tools.options.configurations import list_shipped
from support.cli import SHAPES, get_refusal, run_fit

FIT = ("fit", "--config", SHAPES)
CLASSIFY = (
    "fit",
    "--model=ClassificationTask",
    "--model.backbone=EffNet",
    "--data=FolderClassification",
    "--data.root=x",
)
SEGMENT = (
    "fit",
    "--model=SegmentationTask",
    "--model.backbone=MobileNetV2",
    "--data=FolderSegmentation",
    "--data.root=x",
)


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run_fit(shapes, "--run", str(folder))
    return folder


def print_config(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main([*words, "--print_config"])
    assert done.value.code in (0, None)
    return capsys.readouterr().out


def test_run_writes_all_its_files(run: Path) -> None:
    for name in (
        "config.yaml",
        "metrics.csv",
        "metrics.json",
        "val.json",
        "val.txt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (run / name).stat().st_size > 0, name
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert len(list((run / "images").glob("val-*.jpg"))) == 2


def test_report_has_twelve_figures_and_ap_per_class(run: Path) -> None:
    report = json.loads((run / "val.json").read_text())
    assert len(report["figures"]) == 12
    assert list(report["AP_per_class"]) == ["disk", "ring", "square", "triangle", "star", "cross"]
    assert len((run / "val.txt").read_text().splitlines()) == 12 + 2 + 6


def test_metric_history_has_every_validation(run: Path) -> None:
    history = json.loads((run / "metrics.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1]
    assert all("val/AP" in entry and "train/loss" in entry for entry in history)
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/loss", "train/classification", "train/boxes", "train/lr", "val/AP", "val/AP50"} <= set(header)


def test_config_of_a_run_records_its_options(run: Path, shapes: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["backbone"]["class_path"].endswith("MobileNetV2")
    assert config["model"]["init_args"]["backbone"]["init_args"]["width"] == 0.35
    assert config["data"]["init_args"]["root"] == str(shapes)
    assert config["seed_everything"] == 0


def test_run_loads_without_its_data_and_predicts(run: Path, shapes: Path) -> None:
    network = litmobile.load(run)
    assert network.classes == ("disk", "ring", "square", "triangle", "star", "cross")
    found = network.predict(next((shapes / "val").glob("*.jpg")))
    assert found.boxes.shape == (len(found.scores), 4)


def test_validate_repeats_the_figures_of_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = max(entry["val/AP"] for entry in json.loads((run / "metrics.json").read_text()))
    main(["validate", "--run", str(run)])
    report = json.loads((run / "val.json").read_text())
    assert report["figures"]["AP"] == pytest.approx(best, abs=1e-6)
    assert "AP per class" in capsys.readouterr().err + (run / "val.txt").read_text()


def test_flags_override_the_config_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = print_config(capsys, "validate", "--run", str(run), "--data.batch_size=3")
    config = yaml.safe_load(text)
    assert config["data"]["init_args"]["batch_size"] == 3
    assert config["ckpt_path"] == str(run / "checkpoints" / "best.ckpt")


def test_fit_continues_a_run(shapes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_fit(shapes, "--run", str(folder), "--trainer.max_epochs=1")
    main(["fit", "--run", str(folder), "--trainer.max_epochs=3"])
    history = json.loads((folder / "metrics.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1, 2]
    assert yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["max_epochs"] == 3


def test_two_runs_of_one_config_are_bit_identical(run: Path, shapes: Path, tmp_path: Path) -> None:
    run_fit(shapes, "--run", str(tmp_path / "second"))
    first, second = (litmobile.load(folder).state_dict() for folder in (run, tmp_path / "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_test_reads_the_test_split(run: Path) -> None:
    main(["test", "--run", str(run), "--data.test=val"])
    assert json.loads((run / "test.json").read_text())["split"] == "test"


def test_shipped_config_is_found_by_name_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list_shipped():
        assert "class_path" in print_config(capsys, "fit", "--config", name)


def test_backbone_is_replaced_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    swap = ["--model.backbone=MobileNetV2", "--model.backbone.width=0.5"]
    backbone = yaml.safe_load(print_config(capsys, "fit", "--config", SHAPES, *swap))["model"]["init_args"]["backbone"]
    assert backbone["class_path"].endswith("MobileNetV2")
    assert backbone["init_args"]["width"] == 0.5
    assert "variant" not in backbone["init_args"]


@pytest.mark.parametrize("name", list_shipped())
def test_printed_config_reproduces_itself(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once = print_config(capsys, "fit", "--config", name)
    (tmp_path / "printed.yaml").write_text(once)
    assert print_config(capsys, "fit", "--config", str(tmp_path / "printed.yaml")) == once


@pytest.mark.parametrize("name", ["segmentation/lraspp_camvid", "segmentation/lraspp_cityscapes"])
def test_another_head_has_its_own_arguments(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load(print_config(capsys, "fit", "--config", name, "--model.head=RASPP"))
    given = config["model"]["init_args"]["head"]["init_args"]
    assert given == {option: value for option, value in RASPP.defaults().items() if option in given}
    assert given["channels"] == 256


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_flags_may_stand_before_the_config(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model.backbone.width=0.5", "--data.batch_size=3"]
    configs = ["--config", SHAPES, "--config=detection/ssdlite_bccd"]
    assert print_config(capsys, command, *flags, *configs) == print_config(capsys, command, *configs, *flags)
    assert print_config(capsys, command, *configs[:2], *flags, configs[2]) == print_config(
        capsys, command, *configs, *flags
    )


@pytest.mark.parametrize(
    ("typo", "key"),
    [
        ("--model.backbone.widht=0.5", "--model.backbone.widht is not an option; did you mean --model.backbone.width?"),
        ("--model.bakbone=MobileNetV2", "did you mean --model.backbone?"),
        ("--model.head.scale=3", "--model.head.scale"),
        ("--data.batchsize=3", "did you mean --data.batch_size?"),
        ("--trainer.max_epoch=3", "did you mean --trainer.max_epochs?"),
        ("--model.preprocessing.siz=[64,96]", "--model.preprocessing.siz"),
        ("--model.preprocessing.fitt=pad", "--model.preprocessing.fitt"),
    ],
)
def test_typo_is_refused_with_its_key(typo: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert key in get_refusal("fit", "--config", SHAPES, typo, capsys=capsys)


@pytest.mark.parametrize(
    ("text", "typo", "option"),
    [
        (
            "model: {class_path: DetectionTask, init_args: {warmup_stepz: 3}}",
            "model.warmup_stepz",
            "model.warmup_steps",
        ),
        ("model: {head: {init_args: {los: focal}}}", "model.head.los", "model.head.loss"),
        ("data: {batch_sise: 4}", "data.batch_sise", "data.batch_size"),
        ("trainer: {max_epoch: 1}", "trainer.max_epoch", "trainer.max_epochs"),
    ],
    ids=["class", "nested class", "class without init_args", "trainer"],
)
def test_typo_in_a_file_is_refused_with_its_full_key(
    text: str, typo: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    answer = get_refusal("fit", "--config", SHAPES, "--config", str(file), capsys=capsys)
    assert f"--{typo} is not an option; did you mean --{option}?" in answer


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fit", "--config", "detection/nothing"], "There is no configuration 'detection/nothing'"),
        (["fit", "--config", SHAPES, "--data.root=/nowhere"], "/nowhere"),
        (["validate", "--run", "/nowhere"], "/nowhere is not the folder of a run"),
        (["fit", "--config", SHAPES, "--model.backbone.width=-1"], "width must be greater than 0"),
        (["fit", "--config", SHAPES, "--model.feature_maps=[c9]"], "has no map 'c9'"),
        (["train"], "there is no command 'train'"),
        (["fit"], "--config NAME, --run FOLDER, or --model and --data are required;"),
        (["validate"], "--config NAME, --run FOLDER, or --model and --data are required;"),
        (
            [*SEGMENT, "--model.inference.fl=true"],
            "--model.inference.fl is not an option; did you mean --model.inference.flip?",
        ),
        ([*SEGMENT, "--model.head=RASPP", "--model.head.pool=large"], "--model.head.pool is not an option."),
        (
            [*SEGMENT, "--model.optimizer=AdamW", "--model.optimizer.lrr=3"],
            "--model.optimizer.lrr is not an option; did you mean --model.optimizer.lr?",
        ),
        ([*SEGMENT, "--data.colours=[1,2,3]"], "--data.colours takes list[list[int]], not [1, 2, 3]."),
        (
            [
                *(*SEGMENT, "--data.augmentation=ScaleCropAugmentation"),
                "--data.augmentation.extra=[albumentations.ToGray]",
            ],
            "--data.augmentation.extra takes list[dict[str, Any]], not ",
        ),
        (
            [*FIT, "--model.backbone=MobileViT", "--model.backbone.variant=m"],
            "backbone.variant takes xxs or xs or s, not m.",
        ),
        (
            [*FIT, "--model.backbone=ShuffleNetV1", "--model.backbone.groups=5"],
            "groups takes 1 or 2 or 3 or 4 or 8, not 5.",
        ),
        ([*FIT, "--model.backbone=MobileViT", "--model.backbone.width=1"], "--model.backbone.width is not an option."),
        (
            [*FIT, "--model.backbone=MobileNetV4"],
            "; did you mean MobileNetV3?",
        ),
        ([*FIT, "--model.backbone=nope.Nope"], "--model.backbone cannot use nope.Nope: No module named 'nope'."),
        ([*FIT, "--model.optimizer.lr=abc"], "--model.optimizer.lr takes a number or Tensor, not abc."),
        ([*FIT, "--data.batch_size=x"], "--data.batch_size takes a whole number, not x."),
        ([*FIT, "--data.batch_size=null"], "needs a value for batch_size, not null."),
        ([*FIT, "--data.batch_size"], "An option of --data needs a value."),
        ([*FIT, "--model=SSDLite"], "--model: there is no class SSDLite; choose among ClassificationTask, "),
        (["inspect", *FIT[1:], "--no_images"], "--no_images is not an option; did you mean --no-images?"),
        (["sample-data", f"--root={__file__}/x"], "cannot be read or written: Not a directory."),
        ([*CLASSIFY, "--data.train_sizes=64"], "--data.train_sizes takes list[int | tuple[int, int]], not 64."),
        (
            [*SEGMENT, "--data.augmentation=ScaleCropAugmentation", "--data.augmentation.crop=64"],
            "--data.augmentation.crop takes two whole numbers in brackets",
        ),
        (
            [*SEGMENT, "--data.augmentation=ScaleCropAugmentation", "--data.augmentation.scale=2"],
            "--data.augmentation.scale takes tuple, not 2.",
        ),
        ([*SEGMENT, "--data.colours=red"], "--data.colours takes list[list[int]], not red."),
        (
            [*SEGMENT, "--model.loss=PixelLoss", "--model.loss.class_weights=frequency"],
            "--model.loss.class_weights takes list[float] or median_frequency or log_frequency, not frequency.",
        ),
        ([*SEGMENT, "--model.inference.window=64"], "--model.inference.window takes two whole numbers in brackets"),
        ([*CLASSIFY, "--data.classes=ants"], "--data.classes takes list[str], not ants."),
        ([*CLASSIFY, "--model.teacher=RunTeacher"], "--model.teacher.run is required."),
        (
            [*CLASSIFY, "--model.head=Classifier", "--model.head.loss=foo"],
            "--model.head.loss takes cross_entropy or binary, not foo.",
        ),
        ([*FIT, "--trainer.max_epochs=x"], "--trainer.max_epochs takes a whole number, not x."),
        (["fit", "--data.root=x"], "--data must name a class, e.g. --data=FolderClassification."),
        ([*FIT, "--data=Nothing"], "--data: there is no class Nothing; choose among CocoDetection, "),
    ],
)
def test_user_errors_are_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in get_refusal(*words, capsys=capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model.num_classes=3"], "num_classes is 3, but the data has 6 classes"),
        (["--model.backbone_weights=nothing.pth"], "The weights file nothing.pth"),
        (["--model.feature_maps=[c9]"], "MobileNetV2 has no map 'c9': it offers c1"),
        (["--data.val=absent"], "has no split 'absent'"),
    ],
)
def test_contradictions_are_refused_before_training(
    words: list[str], sentence: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        run_fit(shapes, "--run", str(tmp_path / "run"), *words)
    assert sentence in str(refused.value.code)
    assert not (tmp_path / "run").exists(), "a failed start left files"


def test_existing_folder_survives_a_failed_start(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(SystemExit):
        run_fit(shapes, "--run", str(tmp_path / "run"), "--model.num_classes=3")
    assert (tmp_path / "run").is_dir()


def test_malicious_weights_are_refused_and_run_no_code(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (marker,))

    torch.save({"weights": Attack()}, tmp_path / "weights.pth")
    with pytest.raises(SystemExit) as refused:
        run_fit(shapes, "--run", str(tmp_path / "run"), f"--model.backbone_weights={tmp_path / 'weights.pth'}")
    assert "was refused" in str(refused.value.code)
    assert not marker.exists()


def test_checkpoint_of_another_network_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["validate", "--run", str(run), "--model.backbone=MobileNetV3"])
    assert "but this run builds" in str(refused.value.code)


def test_help_does_not_import_torch() -> None:
    script = "import sys; from litmobile.tools.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    start = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "litmobile COMMAND --help" in answer.stdout
    assert (
        time.perf_counter() - start < 30
    )  # generous, because a busy machine is slow; what matters is that torch is not imported


@pytest.mark.parametrize(
    "reason", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EISDIR, errno.ELOOP], ids=os.strerror
)
def test_file_system_errors_are_one_sentence(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deny(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(reason, os.strerror(reason), str(self))

    monkeypatch.setattr(Path, "mkdir", deny)  # the tests may run as root, who may write everywhere
    message = get_refusal("sample-data", "--root", str(tmp_path / "shapes"), "--train=1", "--val=1", capsys=capsys)
    assert "cannot be read or written" in message and str(tmp_path) in message and os.strerror(reason) in message


@pytest.mark.parametrize("is_turned", [False, True])
def test_an_interruption_has_its_own_status(
    is_turned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*arguments: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if is_turned:
                sys.exit(1)  # as Lightning does
            raise

    monkeypatch.setattr(sample_data, "write_shapes", stop)
    assert get_refusal("sample-data", capsys=capsys) == "130 litmobile: interrupted\n"


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it

    monkeypatch.setattr(sample_data, "write_shapes", fail)
    assert "A file cannot be read or written: No space left on device." in get_refusal("sample-data", capsys=capsys)


def test_sample_data_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample-data", "--root", str(tmp_path / "shapes"), "--train", "3", "--val", "2"]
    main(words)
    main(words)
    assert "3 images" in capsys.readouterr().out
    assert "delete it" in get_refusal(*words[:3], "--train", "4", capsys=capsys)
