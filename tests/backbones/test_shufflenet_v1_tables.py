"""ShuffleNetV1 has the paper's channels and figures (arXiv 1707.01083), and refuses indivisible channels."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from torch import nn

from litmobile.backbones import ShuffleNetV1
from litmobile.backbones.contract import Variant
from support.families import build_on_meta, format_id

# table 1: channels of stage 2 by the number of groups, units in the stages 2, 3 and 4
STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
REPEATS = (4, 8, 4)
EVERY_GROUPS = pytest.mark.parametrize("groups", STAGE_2)

# -------------------------------------------------------------------------------------------------------- table 1 and 2


def stem_of(groups: int, width: float) -> int | None:
    """Returns a stem for the pairs whose default the groups do not divide."""
    return 8 if width == 0.25 and groups in (4, 8) else None


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 1.5, 2.0])
@EVERY_GROUPS
def test_stages_match_the_papers_table(groups: int, width: float) -> None:
    """Channels, repeats, bottlenecks and groups are the paper's."""
    network = build_on_meta(ShuffleNetV1, groups=groups, width=width, stem=stem_of(groups, width))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    stem, units = convolutions[0], [convolutions[k : k + 3] for k in range(1, len(convolutions), 3)]
    assert (stem.kernel_size, stem.stride, stem.groups) == ((3, 3), (2, 2), 1)
    assert len(units) == sum(REPEATS)
    before = stem.out_channels
    for number, (first, depthwise, last) in enumerate(units):
        stage = 0 if number < 4 else 1 if number < 12 else 2
        opens_stage = number in (0, 4, 12)
        channels = round(STAGE_2[groups] * width) * 2**stage
        bottleneck = next(n for n in itertools.count(channels // 4) if n % groups == 0)  # a quarter, rounded up
        assert (first.kernel_size, first.groups) == ((1, 1), 1 if number == 0 else groups)  # the very first has one
        assert (first.in_channels, first.out_channels) == (before, bottleneck)
        assert (depthwise.kernel_size, depthwise.groups) == ((3, 3), bottleneck)
        assert depthwise.stride == ((2, 2) if opens_stage else (1, 1))
        assert (last.kernel_size, last.groups, last.in_channels) == ((1, 1), groups, bottleneck)
        assert last.out_channels == (channels - before if opens_stage else channels)
        before = channels


@pytest.mark.parametrize(
    ("width", "stems"),
    [
        (0.5, {1: 12, 2: 12, 3: 12, 4: 12, 8: 16}),
        (1.0, dict.fromkeys(STAGE_2, 24)),
        (1.5, dict.fromkeys(STAGE_2, 24)),
        (2.0, dict.fromkeys(STAGE_2, 48)),
    ],
)
def test_stems_are_those_of_the_authors_release(width: float, stems: dict[int, int]) -> None:
    for groups, channels in stems.items():
        assert build_on_meta(ShuffleNetV1, groups=groups, width=width).features["c2"] == (channels, 4)


# groups: parameters and multiply-adds in millions, derived from the paper
FIGURES: dict[float, dict[int, tuple[str, str]]] = {
    0.25: {1: ("0.210", "11.0"), 2: ("0.267", "11.2"), 3: ("0.306", "11.0")},
    0.5: {
        1: ("0.534484", "38.5"),
        2: ("0.643932", "38.6"),
        3: ("0.718324", "37.6"),
        4: ("0.778040", "37.5"),
        8: ("1.011448", "40.5"),
    },
    1.0: {
        1: ("1.531936", "143.1"),
        2: ("1.733848", "140.8"),
        3: ("1.865728", "137.5"),
        4: ("1.968344", "134.3"),
        8: ("2.434768", "138.4"),
    },
    1.5: {
        1: ("2.993", "308.1"),
        2: ("3.272", "302.2"),
        3: ("3.442", "292.4"),
        4: ("3.574", "285.8"),
        8: ("4.270", "290.2"),
    },
    2.0: {
        1: ("4.919", "550.3"),
        2: ("5.258", "539.1"),
        3: ("5.451", "524.0"),
        4: ("5.594", "510.3"),
        8: ("6.522", "521.9"),
    },
}
# groups: top-1 error of tables 2 and 5 in %
ERRORS: dict[float, dict[int, float]] = {
    0.25: {1: 57.1, 2: 56.8, 3: 55.0, 4: 54.2, 8: 52.7},
    0.5: {1: 45.1, 2: 44.4, 3: 43.2, 4: 41.6, 8: 42.3},
    1.0: {1: 33.6, 2: 32.7, 3: 32.6, 4: 32.8, 8: 32.4},
    1.5: {3: 28.5},
    2.0: {3: 26.3},
}
EVERY_FIGURE = [(groups, width, *figures) for width, row in FIGURES.items() for groups, figures in row.items()]


def variant_of(groups: int, width: float) -> Variant:
    """Returns the variant with these arguments."""
    listed = {
        (arguments["groups"], arguments["width"], arguments["stem"]): variant
        for variant in ShuffleNetV1.variants
        for arguments in [ShuffleNetV1.defaults() | dict(variant.arguments)]
    }
    assert len(listed) == len(ShuffleNetV1.variants)
    return listed[groups, width, stem_of(groups, width)]


@pytest.mark.parametrize(("groups", "width", "parameters", "multiply_adds"), EVERY_FIGURE)
def test_parameters_and_multiply_adds_match_the_paper(
    groups: int, width: float, parameters: str, multiply_adds: str
) -> None:
    listed = variant_of(groups, width)
    assert listed.parameters is not None
    assert listed.multiply_adds is not None
    digits = len(parameters.partition(".")[2])
    assert f"{listed.parameters / 1e6:.{digits}f}" == parameters
    assert abs(listed.multiply_adds - float(multiply_adds)) < 0.06  # one digit of a rounded number


def test_every_variant_has_the_accuracy_of_the_papers_tables() -> None:
    for width, row in ERRORS.items():
        for groups, error in row.items():
            assert variant_of(groups, width).top1 == pytest.approx(100 - error)
    measured = [variant for variant in ShuffleNetV1.variants if variant.top1 is not None]
    assert len(measured) == sum(map(len, ERRORS.values()))


# --------------------------------------------------------------------------------------------- channels that do not fit

IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"groups": 4, "width": 0.25},
    {"groups": 8, "width": 0.25},
    {"groups": 8, "width": 0.7},
    {"groups": 3, "width": 0.1},
    {"groups": 3, "stem": 7},
    {"groups": 3, "width": 0.5, "stem": 7},
    {"groups": 1, "stem": 144},
    {"groups": 3, "stem": 1000},
    {"groups": 3, "width": 0.01},
    {"groups": 3, "width": 0.01, "stem": 1000},
)


@pytest.mark.parametrize("arguments", IMPOSSIBLE, ids=format_id)
def test_indivisible_channels_are_refused_with_remedies(arguments: dict[str, Any], assert_one_sentence) -> None:
    """Every suggested remedy can be built."""
    with pytest.raises(ValueError, match="cannot be built") as caught:
        build_on_meta(ShuffleNetV1, **arguments)
    assert_one_sentence(caught.value, "ShuffleNetV1", [f"{name}={value}" for name, value in arguments.items()])
    advice = str(caught.value).partition("; use ")[2].rstrip(".").split(" or ")
    assert advice != [""]
    for remedy in advice:
        name, value = re.fullmatch(r"(stem|width|groups)=([\d.]+)(?: without a stem)?", remedy).groups()  # type: ignore[union-attr]
        changed = {name: float(value) if name == "width" else int(value)}
        assert changed.items().isdisjoint(arguments.items())  # a remedy changes something
        kept = arguments | ({"stem": None} if "without" in remedy else {})
        build_on_meta(ShuffleNetV1, **kept | changed)  # everything else stays unchanged


@pytest.mark.parametrize("groups", [4, 8])
def test_quarter_width_needs_a_stem_for_the_groups(groups: int, assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="cannot be built") as caught:
        build_on_meta(ShuffleNetV1, groups=groups, width=0.25)
    assert_one_sentence(caught.value, "stem=8", "width=0.5", "groups=3")
    assert build_on_meta(ShuffleNetV1, groups=groups, width=0.25, stem=8).features["c2"].channels == 8


@pytest.mark.parametrize("stem", [0, -8])
def test_stem_without_channels_is_refused(stem: int, assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="stem") as caught:
        build_on_meta(ShuffleNetV1, stem=stem)
    assert_one_sentence(caught.value, stem, "at least 1")
