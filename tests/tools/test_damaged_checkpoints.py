"""Every command that reads a checkpoint refuses a damaged one in one sentence, and another checkpoint can be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from litmobile.tools.cli import main
from support.cli import get_refusal

NEW_RUN = ["fit", "--run", "{run}/new", "--config", "{run}/config.yaml"]
COMMANDS = {
    "fit": ["fit", "--run", "{run}"],
    "validate": ["validate", "--run", "{run}", "--ckpt_path={file}"],
    "test": ["test", "--run", "{run}", "--data.test=val", "--ckpt_path={file}"],
    "predict": ["predict", "--run", "{file}", "--out", "{run}/out", "{images}"],
    "weights": [*NEW_RUN, "--model.weights={file}"],
    "backbone_weights": [*NEW_RUN, "--model.backbone_weights={file}"],
}


@pytest.fixture
def damaged(run: Path, tmp_path: Path) -> Path:
    """A run whose last checkpoint has a changed byte."""
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    file = copy / "checkpoints" / "last.ckpt"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    return copy


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_commands_refuse_a_damaged_checkpoint(
    words: list[str], damaged: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = (damaged / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    filled = [word.format(run=damaged, file=file, images=shapes / "val") for word in words]
    refusal = get_refusal(*filled, capsys=capsys).strip().splitlines()[-1]
    assert refusal == (f"litmobile: {file} is damaged: its content does not match its checksum; use {other} instead.")
    assert not (damaged / "new").exists()


def test_run_resumes_from_the_checkpoint_that_is_named(damaged: Path) -> None:
    best = damaged / "checkpoints" / "best.ckpt"
    main(["fit", "--run", str(damaged), "--ckpt_path", str(best), "--trainer.max_epochs=2"])
    assert [entry["epoch"] for entry in json.loads((damaged / "metrics.json").read_text())] == [0, 1]


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_of_the_run_have_names(name: str, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    main(["validate", "--run", str(copy), f"--ckpt_path={name}"])
    main(["fit", "--run", str(copy), f"--ckpt_path={name}", "--trainer.max_epochs=2"])
    assert [entry["epoch"] for entry in json.loads((copy / "metrics.json").read_text())] == [0, 1]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, bytes(range(256)), b"a,b\r\n1,2\r\n", b'{"step": '], ids=repr)
@pytest.mark.parametrize("name", ["metrics.csv", "metrics.json"])
def test_run_with_a_damaged_history_resumes(name: str, content: bytes, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / name).write_bytes(content)
    main(["fit", "--run", str(copy)])


@pytest.mark.parametrize(
    ("key", "value"),
    [("global_step", None), ("global_step", 10**20), ("state_dict", []), ("loops", {}), ("optimizer_states", "x")],
    ids=str,
)
def test_run_with_wrong_content_in_its_checkpoint_is_refused(
    key: str, value: object, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without a checksum, as another program writes it."""
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    file = copy / "checkpoints" / "last.ckpt"
    torch.save(torch.load(file, weights_only=True) | {key: value}, file)
    refusal = get_refusal("fit", "--run", str(copy), "--trainer.max_epochs=2", capsys=capsys).strip().splitlines()[-1]
    assert refusal.startswith((f"litmobile: {file} ", "litmobile: The checkpoint's ")) and refusal.endswith(".")
