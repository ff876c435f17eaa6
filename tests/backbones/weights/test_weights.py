"""Pretrained weights are read in every format and naming, and those that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from litmobile.backbones import TimmBackbone, load_weights
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.errors import WeightsError
from support.families import FAMILIES, format_id
from support.twins import (
    FORMATS,
    State,
    Twin,
    assert_equal_maps,
    clone_state,
    compute_maps,
    write_safetensors,
    write_zip,
)

# ---------------------------------------------------------------------------------------------------------- local files


@pytest.mark.parametrize("selected", [None, ("c4_expansion",), ("c2", "c3")], ids=str)
@pytest.mark.parametrize("names", ["torchvision's names", "our names"])
@pytest.mark.parametrize(("suffix", "write"), FORMATS.values(), ids=FORMATS)
def test_file_loads_in_every_format_and_naming(
    suffix: str,
    write: Callable[[Mapping[str, Any], Path], Path],
    names: str,
    selected: tuple[str, ...] | None,
    twin: Twin,
    sources: dict[str, State],
    tmp_path: Path,
) -> None:
    """It loads before and after ``select``."""
    path = write(sources[names], tmp_path / f"weights{suffix}")

    backbone = twin.ours()
    if selected:
        backbone.select(selected)
    report = load_weights(backbone, path)
    assert_equal_maps(compute_maps(backbone), sources["maps"])
    assert report.source == str(path)
    assert report.loaded == len(backbone.state_dict())
    assert report.missing == ()
    # tensors that select removed are not reported, those of the classifier are
    classifier = [name for name in sources[names] if name.startswith("classifier.")]
    assert set(report.unexpected) == set(classifier)


def test_selecting_after_loading_keeps_what_was_loaded(twin: Twin, tmp_path: Path) -> None:
    backbone = twin.ours()
    load_weights(backbone, write_zip(twin.theirs().state_dict(), tmp_path / "weights.pth"))
    before = compute_maps(backbone)
    backbone.select(["c3"])
    assert_equal_maps(compute_maps(backbone), before)


@pytest.mark.parametrize("family", FAMILIES, ids=format_id)
def test_narrowed_network_loads_the_whole_networks_file(family: type[SequentialBackbone], tmp_path: Path) -> None:
    """No tensor is missing and none is unexpected."""
    whole = family()
    path = write_safetensors(whole.state_dict(), tmp_path / "whole.safetensors")
    narrow = family()
    narrow.select(list(narrow.features)[:2])
    report = load_weights(narrow, path)
    assert (report.missing, report.unexpected) == ((), ())
    assert_equal_maps(compute_maps(narrow), compute_maps(whole))


def test_path_may_be_a_string(twin: Twin, tmp_path: Path) -> None:
    path = write_zip(twin.theirs().state_dict(), tmp_path / "weights.pth")
    assert load_weights(twin.ours(), str(path)) == load_weights(twin.ours(), path)


def test_half_precision_weights_load_into_float32(twin: Twin, tmp_path: Path) -> None:
    state = {name: x.half() if x.is_floating_point() else x for name, x in twin.theirs().state_dict().items()}
    backbone = twin.ours()
    load_weights(backbone, write_zip(state, tmp_path / "weights.pth"))
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


def test_report_names_missing_and_unexpected_tensors(twin: Twin, tmp_path: Path) -> None:
    backbone = twin.ours()
    state = clone_state(backbone)
    dropped = ["layers.0.conv.weight", "layers.1.body.project.norm.running_mean"]
    for name in dropped:
        del state[name]
    state["head.weight"], state["layers.99.conv.weight"] = torch.zeros(1), torch.zeros(1)
    before = {name: backbone.state_dict()[name].clone() for name in dropped}
    report = load_weights(backbone, write_zip(state, tmp_path / "partial.pth"))
    assert report.missing == tuple(dropped)
    assert report.unexpected == ("head.weight", "layers.99.conv.weight")
    assert report.loaded == len(state) - 2
    for name in dropped:
        assert torch.equal(backbone.state_dict()[name], before[name])
    for text in (*dropped, "head.weight", "layers.99.conv.weight", "partial.pth", "2 missing", "2 unexpected"):
        assert text in str(report)


def test_report_of_a_complete_load_is_short(twin: Twin, tmp_path: Path) -> None:
    """It mentions neither missing nor unexpected tensors."""
    backbone = twin.ours()
    report = load_weights(backbone, write_zip(backbone.state_dict(), tmp_path / "own.pth"))
    assert str(report) == f"loaded {len(backbone.state_dict())} tensors from {tmp_path / 'own.pth'}"


def test_report_shortens_long_lists(twin: Twin, tmp_path: Path) -> None:
    backbone = twin.ours()
    first = dict(list(backbone.state_dict().items())[:3])
    report = load_weights(backbone, write_zip(first, tmp_path / "little.pth"))
    assert len(report.missing) > 4
    assert str(report).endswith(", …")
    assert report.missing[4] not in str(report)


def test_files_without_batch_counters_miss_nothing(twin: Twin, tmp_path: Path) -> None:
    state = {k: v for k, v in twin.theirs().state_dict().items() if not k.endswith("num_batches_tracked")}
    assert load_weights(twin.ours(), write_zip(state, tmp_path / "old.pth")).missing == ()


# ---------------------------------------------------------------------------------------------- weights that do not fit


def test_other_in_channels_is_named_for_a_timm_network(tmp_path: Path, assert_one_sentence) -> None:
    path = write_zip(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(WeightsError) as caught:
        load_weights(TimmBackbone("resnet18", in_channels=1), path)
    assert_one_sentence(caught.value, ["net.conv1.weight", "set in_channels"])


def test_foreign_weights_are_refused_with_their_tensors(twin: Twin, tmp_path: Path) -> None:
    path = write_zip({"encoder.weight": torch.zeros(2), "encoder.bias": torch.zeros(2)}, tmp_path / "foreign.pth")
    with pytest.raises(WeightsError, match="contains no tensors of") as caught:
        load_weights(twin.ours(), path)
    assert "encoder.weight" in str(caught.value)
    assert "foreign.pth" in str(caught.value)
