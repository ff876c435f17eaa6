"""Files that are not plain checkpoints run no code and are refused by path."""

from __future__ import annotations

import os
import pickle
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.backbones import MobileNetV2, load_weights
from litmobile.backbones.weights import read_state
from litmobile.errors import WeightsError
from support.twins import FORMATS, Twin, write_legacy, write_zip

# --------------------------------------------------------------------------------------------------------- unsafe files


class Opens:
    """Unpickling this creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.marker), "w")


class Shells:
    """Unpickling this runs a shell command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


class Evaluates:
    """Unpickling this evaluates Python."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return eval, (f"open({str(self.marker)!r}, 'w')",)


def pickled(content: object, path: Path) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def archived(content: object, path: Path) -> Path:
    """Writes a file in the format of torch.save that contains a custom pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
        archive.writestr("archive/version", "3\n")
    return path


WRITERS = {"zip": write_zip, "before PyTorch 1.6": write_legacy, "pickle": pickled, "hand-made archive": archived}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin", ".safetensors"])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("payload", [Opens, Shells, Evaluates])
def test_malicious_file_is_refused_without_running_code(
    payload: type, write: Callable[..., Path], suffix: str, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    backbone = MobileNetV2(width=0.35)
    content = {"layers.0.conv.weight": torch.zeros(16, 3, 3, 3), "evil": payload(marker)}
    path = write(content, tmp_path / f"weights{suffix}")
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone, path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("payload", [Opens, Shells, Evaluates])
def test_malicious_files_would_run_code_if_trusted(payload: type, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.load(write_zip({"evil": payload(marker)}, tmp_path / "weights.pth"), weights_only=False)
    assert marker.exists()


def test_pickled_network_is_refused_with_advice(tmp_path: Path) -> None:
    """The message says to save the state_dict instead."""
    torch.save(MobileNetV2(width=0.35), tmp_path / "network.pth")
    with pytest.raises(WeightsError, match="save its state_dict"):
        load_weights(MobileNetV2(width=0.35), tmp_path / "network.pth")


@pytest.mark.parametrize("wrapper", ["model", "state_dict"], ids=["torchvision's references", "timm's train.py"])
def test_torchvisions_and_timms_training_checkpoints_load(wrapper: str, tmp_path: Path) -> None:
    backbone = MobileNetV2(width=0.35)
    content = {wrapper: backbone.state_dict(), "epoch": 3, "args": Namespace(lr=0.1, model="mobilenet_v2")}
    assert load_weights(backbone, write_zip(content, tmp_path / "checkpoint.pth")).missing == ()


# ------------------------------------------------------------------------------------------------- files of other kinds


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_truncated_file_is_refused_by_path(kind: str, share: float, twin: Twin, tmp_path: Path) -> None:
    suffix, write = FORMATS[kind]
    path = write(twin.ours().state_dict(), tmp_path / f"weights{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError) as caught:
        load_weights(twin.ours(), path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_file_truncated_anywhere_is_refused_by_path(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(MobileNetV2(width=0.35).state_dict(), tmp_path / "weights.pth")
    whole = path.read_bytes()
    failures = {}
    cuts = (*range(0, 2000, 61), *range(2000, 70_000, 8_000), *range(70_000, len(whole) - 1, len(whole) // 9))
    for cut in cuts:
        path.write_bytes(whole[:cut])
        try:
            read_state(path)
        except WeightsError as error:
            assert str(path) in str(error)  # noqa: PT017
        except Exception as error:  # any other exception is a failure
            failures[cut] = repr(error)
        else:
            failures[cut] = "read"
    assert failures == {}


OTHER_FILES = {
    "empty": b"",
    "text": b"hello world\n",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "an unfetched LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
    "JSON": b'{"weights": [1, 2, 3]}',
    "YAML": b"weights: here\n",
    "an image": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "the start of an archive": b"PK\x03\x04",
}
MISREAD = {"a table": b"epoch,loss\n1,2\n", "a sentence": b"this is no checkpoint"}


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(content, id=name) for name, content in OTHER_FILES.items()),
        *(pytest.param(content, id=name) for name, content in MISREAD.items()),
    ],
)
def test_other_kinds_of_file_are_refused_by_path(content: bytes, suffix: str, twin: Twin, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_weights(twin.ours(), path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3, "name": "mobilenet"}, "contains no tensors"),
        ({}, "contains no tensors"),
        ({"state_dict": {}}, "contains no tensors"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(1), "holds a Tensor"),
        (3, "holds a int"),
    ],
    ids=str,
)
def test_other_content_is_refused_by_its_type(content: object, said: str, twin: Twin, tmp_path: Path) -> None:
    """The message says what the checkpoint holds instead of a dictionary of tensors."""
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=f"weights.pth {said}"):
        load_weights(twin.ours(), tmp_path / "weights.pth")


def test_empty_checkpoint_message_lists_no_tensors(twin: Twin, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_weights(twin.ours(), write_zip({"epoch": 3}, tmp_path / "weights.pth"))
    assert "are ," not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.ckpt", "weights.safetensors"])
def test_missing_file_is_refused_by_its_name(name: str, twin: Twin, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="The weights file") as caught:
        load_weights(twin.ours(), tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_folder_is_refused_as_weights_file(twin: Twin, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(twin.ours(), tmp_path)
