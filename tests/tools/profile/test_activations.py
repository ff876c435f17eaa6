"""`litmobile profile` reports the activation memory of MobileNetV2's table 3 (arXiv 1801.04381)."""

from __future__ import annotations

from typing import Any

import pytest

from litmobile.backbones import Backbone, MobileNetV1, MobileNetV2, MobileNetV3, ShuffleNetV1
from litmobile.tools.profile.backbone.facts import backbone_facts
from support.families import format_id

Row = tuple[int, int, int]  # size, channels, kilobytes


def read_activations(family: type[Backbone], arguments: dict[str, Any], where: str) -> list[Row]:
    """Return the largest activation at each resolution that has one."""
    held = [(row["resolution"][0], row[where]) for row in backbone_facts(family, arguments, (224, 224))["activations"]]
    return [(size, row["channels"], round(row["kilobytes"])) for size, row in held if row]


@pytest.mark.parametrize(
    ("family", "arguments", "rows"),
    [
        # the paper prints 199 kB for the last row, twice 7 × 7 × 1024 × 2 bytes
        (MobileNetV1, {}, [(112, 64, 1606), (56, 128, 803), (28, 256, 401), (14, 512, 201), (7, 1024, 100)]),
        # the paper says three groups, but gives the channels of two, and 32 channels at 112 × 112
        (
            ShuffleNetV1,
            {"width": 2.0, "groups": 2},
            [(112, 48, 1204), (56, 48, 301), (28, 400, 627), (14, 800, 314), (7, 1600, 157)],
        ),
        # the paper's 32, 64 and 160 at 56, 28 and 14 pixels are handed on at half of these sizes; it fuses the stem
        # with the first block (16 channels, not 32), and the last convolution with the pool (320, not 1280)
        (MobileNetV2, {}, [(112, 32, 803), (56, 24, 151), (28, 32, 50), (14, 96, 38), (7, 1280, 125)]),
    ],
    ids=format_id,
)
def test_activations_between_blocks_equal_table_3(
    family: type[Backbone], arguments: dict[str, Any], rows: list[Row]
) -> None:
    """Kilobytes are height × width × channels × 2 bytes."""
    assert read_activations(family, arguments, "between_blocks") == rows


def test_largest_activations_of_mobilenet_v2_are_expansions() -> None:
    # the first block of a stage expands at the resolution of the stage before
    assert read_activations(MobileNetV2, {}, "anywhere") == [
        (112, 96, 2408),
        (56, 144, 903),
        (28, 192, 301),
        (14, 576, 226),
        (7, 1280, 125),
    ]


@pytest.mark.parametrize(
    ("family", "arguments"), [(MobileNetV2, {}), (MobileNetV3, {}), (MobileNetV3, {"variant": "small"})], ids=format_id
)
def test_an_expansion_that_is_a_map_stays_inside_its_block(family: type[Backbone], arguments: dict[str, Any]) -> None:
    features = family(**arguments).features
    (at_16,) = (row for row in read_activations(family, arguments, "between_blocks") if row[0] == 14)
    assert at_16[1] == features["c4"].channels < features["c4_expansion"].channels
