"""Every published variant has the paper's parameters, multiply-adds, maps and accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones.contract import Variant
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.heads import Classifier
from litmobile.tools.profile.counts import without_values
from support.families import ROLES, VARIANTS, build_on_meta, count_parameters


def with_classifier(family: type[SequentialBackbone], variant: Variant) -> tuple[SequentialBackbone, Classifier]:
    """Returns the variant, narrowed for its published classifier, and that classifier."""
    backbone = build_on_meta(family, **variant.arguments)
    maps = backbone.feature_names("classification")
    features = {name: backbone.features[name] for name in maps}
    backbone.select(maps)
    with without_values():
        return backbone, Classifier(features, variant.classes, **variant.classifier)


COUNTED = [case for case in VARIANTS if case.values[1].parameters is not None]


@pytest.mark.parametrize(("family", "variant"), COUNTED)
def test_variant_has_published_parameters_and_multiply_adds(family: type[SequentialBackbone], variant: Variant) -> None:
    backbone, classifier = with_classifier(family, variant)
    assert count_parameters(backbone) + count_parameters(classifier) == variant.parameters
    images = torch.zeros(1, 3, variant.size, variant.size, device="meta")
    with FlopCounterMode(display=False) as counter:
        classifier.eval()(backbone.eval()(images), (variant.size, variant.size))
    assert counter.get_total_flops() / 2e6 == pytest.approx(variant.multiply_adds, rel=1e-3)


@pytest.mark.parametrize("output_stride", [32, pytest.param(16, marks=pytest.mark.slow), 8])
@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_maps_have_the_recorded_channels_and_size(
    family: type[SequentialBackbone], variant: Variant, output_stride: int
) -> None:
    """The size is the image's, divided by the stride and rounded up."""
    backbone = build_on_meta(family, **variant.arguments, output_stride=output_stride).eval()
    nominal = build_on_meta(family, **variant.arguments).features
    assert backbone.features == {
        name: feature._replace(stride=min(feature.stride, output_stride)) for name, feature in nominal.items()
    }
    strides = [feature.stride for feature in nominal.values()]
    assert strides == sorted(strides)
    for height, columns in ((32, 32), (65, 97), (33, 224)):
        maps = backbone(torch.zeros(1, 3, height, columns, device="meta"))
        assert tuple(maps) == tuple(backbone.features)
        for name, (channels, stride) in backbone.features.items():
            assert maps[name].shape == (1, channels, -(-height // stride), -(-columns // stride)), name


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_maps_are_named_by_nominal_stride(family: type[SequentialBackbone], variant: Variant) -> None:
    features = build_on_meta(family, **variant.arguments).features
    by_position = {name: feature.stride for name, feature in features.items() if name in ("c1", "c2", "c3", "c4", "c5")}
    assert by_position == {f"c{k}": 2**k for k in range(1, len(by_position) + 1)}
    own = {"c3_first": 8, "c4_expansion": 16, "final": 32}
    assert all(feature.stride == own[name] for name, feature in features.items() if name not in by_position)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_default_features_have_the_strides_of_their_role(family: type[SequentialBackbone], variant: Variant) -> None:
    """They are available, finest first."""
    backbone = build_on_meta(family, **variant.arguments)
    ends_at_8 = max(feature.stride for feature in backbone.features.values()) == 8
    assert set(backbone.default_features) == ({"classification"} if ends_at_8 else set(ROLES))
    strides: Mapping[str, tuple[int, ...]] = {
        "classification": (8,) if ends_at_8 else (32,),
        "detection": (16, 32),
        "segmentation": (8, 32),
    }
    for role, maps in backbone.default_features.items():
        assert tuple(backbone.features[name].stride for name in maps) == strides[role]
