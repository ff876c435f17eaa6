"""`Network.save` writes one file, from which `litmobile.load` and the command line get the same network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.errors import UserError, WeightsError
from litmobile.heads import Classifier
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from support.exporting import make_images
from support.predicting import make_noise

OneSentence = Callable[..., None]
IMAGES = make_images(2, (64, 64))


def compute(network: Any) -> list[Tensor]:
    with torch.no_grad():
        output = network(IMAGES)
    return [output] if isinstance(output, Tensor) else list(output)


CHANGES: dict[str, Callable[[Network], Any]] = {
    "unchanged": lambda network: network,
    "channels last": lambda network: network.to(memory_format=torch.channels_last),
    "doubles": lambda network: network.double(),
    "bfloat16": lambda network: network.bfloat16(),
}


@pytest.mark.parametrize("task", ["detector", "classifier", "segmenter"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_loaded_network_gives_the_same_bits(
    task: str, change: Callable[[Network], Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    original = request.getfixturevalue(task)
    network = Network.from_config(original.config()).eval()
    network.load_state_dict(original.state_dict())
    change(network)
    path = network.save(tmp_path / "new" / "network.pt")
    for loaded in (litmobile.load(path, "cpu"), Network.load(str(path))):
        assert isinstance(loaded, Network) and not loaded.training
        assert loaded.config() == network.config()
        for ours, theirs in zip(compute(loaded), compute(network), strict=True):
            assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


def test_commands_take_a_saved_network(classifier: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    path, image = classifier.save(tmp_path / "network.pt"), tmp_path / "a.png"
    Image.fromarray(make_noise(70, 80)).save(image)
    main(["predict", "--run", str(path), "--out", str(tmp_path / "out"), str(image)])
    row = (tmp_path / "out" / "predictions.csv").read_text().splitlines()[1].split(",")
    best = classifier.predict(image).top(1)[0]
    assert (row[3], float(row[4])) == (best.name, pytest.approx(best.score, rel=1e-4))
    target = tmp_path / "network.pt2"
    main(["export", "--run", str(path), "--to", str(target), "--split=none"])
    exported = litmobile.load(target, "auto")
    torch.testing.assert_close(exported.predict(image).scores, classifier.predict(image).scores, rtol=1e-4, atol=1e-5)
    assert exported.epoch_and_step is None
    for result in exported.predict([image, image], batch_size=2):
        assert result.name == best.name


def test_profile_takes_a_saved_network(classifier: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = classifier.save(tmp_path / "network.pt")
    main(["profile", str(path), "--counts", "--json"])
    parameters = sum(value.numel() for value in classifier.parameters())
    assert str(parameters) in capsys.readouterr().out


def test_a_part_that_a_file_cannot_name_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    class Inner(Classifier):
        pass

    for head, mentioned in (
        (Inner, ("Inner", "module of its own")),
        (partial(Classifier, dropout=np.float64(0.1)), ("dropout", "float64")),
    ):
        network = Network(MobileNetV2(0.35), head, ["a", "b"], Preprocessing((64, 64)), role="classification")
        with pytest.raises(UserError) as caught:
            network.save(tmp_path / "network.pt")
        assert_one_sentence(caught.value, *mentioned)
        assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(classifier: Network, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for name in ("network.onnx", "network", "network.safetensors"):
        with pytest.raises(UserError) as caught:
            classifier.save(tmp_path / name)
        assert_one_sentence(caught.value, ".pt", name)


def test_damage_is_one_sentence(classifier: Network, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = classifier.save(tmp_path / "network.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        litmobile.load(path)
    assert_one_sentence(caught.value, path, "damaged")


def test_absent_device_is_one_sentence(classifier: Network, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = classifier.save(tmp_path / "network.pt")
    (tmp_path / "network.pt2").touch()
    for file, device in ((path, "abacus"), (path, "cuda:77"), (tmp_path / "network.pt2", "cuda")):
        with pytest.raises(UserError) as caught:
            litmobile.load(file, device)
        assert_one_sentence(caught.value, f"device={device}")
    with pytest.raises(UserError) as caught:
        litmobile.load(path, engine="openvino")
    assert_one_sentence(caught.value, "openvino", "exported")


def test_dir_shows_what_users_need(noise: NDArray[np.uint8]) -> None:
    names = {"load", "Network", "Preprocessing", "backbones", "heads", "tasks"}
    shown = {name for name in dir(litmobile) if not name.startswith("__")}
    assert shown == names
    assert all(getattr(litmobile, name) for name in names)
    assert litmobile.tasks.detection.DetectionTask.role == "detection"
