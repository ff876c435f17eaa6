"""The figures of `litmobile backbones` match the papers, and its tables match its JSON."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import subprocess
import sys
from typing import Any

import pytest

from litmobile.backbones.sequential import SequentialBackbone
from litmobile.errors import WeightsError
from litmobile.tools.backbones import command
from litmobile.tools.cli import main
from litmobile.tools.profile.backbone.families import shipped_families
from litmobile.tools.profile.counts import without_values

Facts = dict[str, Any]

FAMILIES = {name: family for name, family in shipped_families().items() if family.variants}


def run_command(*words: str) -> str:
    """Run the command and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["backbones", *words])
    return out.getvalue()


@pytest.fixture(scope="module")
def overview_and_table() -> tuple[Facts, str]:
    """All variants as JSON by family and as printed tables; both use the same counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "family_facts", functools.cache(command.family_facts))
        facts = json.loads(run_command("--json"))
        return {family["name"]: family for family in facts["families"]}, run_command()


@pytest.fixture(scope="module")
def overview(overview_and_table: tuple[Facts, str]) -> Facts:
    return overview_and_table[0]


@pytest.fixture(scope="module")
def table(overview_and_table: tuple[Facts, str]) -> str:
    return overview_and_table[1]


def format_arguments(arguments: Facts) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_variant_costs_match_papers_and_references(name: str, overview: Facts) -> None:
    variants = overview[name]["variants"]
    assert len(variants) == len(FAMILIES[name].variants)
    for found, variant in zip(variants, FAMILIES[name].variants, strict=True):
        assert found["arguments"] == dict(variant.arguments)
        assert found["size"] == [variant.size, variant.size]
        assert found["top1"] == variant.top1
        if variant.parameters is None:
            assert found["with_classifier"] is None
        else:
            assert found["with_classifier"]["parameters"] == variant.parameters
            assert found["with_classifier"]["multiply_adds"] == pytest.approx(variant.multiply_adds * 1e6, abs=60_000)
            assert found["parameters"] < variant.parameters


def test_overview_table_equals_json(overview: Facts, table: str) -> None:
    lines = [line.split() for line in table.splitlines()]
    for family in overview.values():
        for variant in family["variants"]:
            whole = variant["with_classifier"] or {"parameters": None, "multiply_adds": None}
            figures = [(whole["parameters"], 2), (variant["parameters"], 2)]
            figures += [(whole["multiply_adds"], 1), (variant["multiply_adds"], 1)]
            row = [
                *(format_arguments(variant["arguments"]) or "defaults").split(),
                str(variant["size"][0]),
                "–" if variant["top1"] is None else f"{variant['top1']:.1f}",
                *("–" if value is None else f"{value / 1e6:.{digits}f}" for value, digits in figures),
                *(str(found["channels"]) for found in variant["feature_maps"]),
            ]
            assert row in [line[: len(row)] for line in lines], row
        for weights in family["weights"]:
            top1 = "–" if weights["top1"] is None else f"{weights['top1']:.2f}"
            assert [weights["name"], top1, *(format_arguments(weights["arguments"]) or "nothing").split()] in lines


def test_table_fits_120_columns(table: str) -> None:
    assert max(map(len, table.splitlines())) <= 120


@pytest.mark.parametrize("name", FAMILIES)
def test_published_weights_fit_with_the_given_arguments(name: str, overview: Facts) -> None:
    family = FAMILIES[name]
    assert issubclass(family, SequentialBackbone)
    of_variants = [
        (found, variant["arguments"]) for variant in overview[name]["variants"] for found in variant["weights"]
    ]
    for found, arguments in [*((found, {}) for found in overview[name]["weights"]), *of_variants]:
        with without_values():
            family(**arguments | found["arguments"]).check_published_weights(found["name"])
        for missing in found["arguments"]:
            given = {key: value for key, value in found["arguments"].items() if key != missing}
            with without_values(), pytest.raises(WeightsError, match=missing):
                family(**arguments | given).check_published_weights(found["name"])
    assert {found["name"] for found in overview[name]["weights"]} == set(family.published)
    shapes = set(family.shape_arguments)
    for variant in overview[name]["variants"]:  # a variant lists the weights that need no other shapes
        of_variant = {found["name"] for found in variant["weights"]}
        for found in overview[name]["weights"]:
            own = {key: value for key, value in found["arguments"].items() if key in shapes}
            assert (found["name"] in of_variant) == (own == variant["arguments"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("MobileNetV2", "litmobile backbones lists all networks; litmobile profile MobileNetV2 shows what one costs."),
        ("--jsn", "litmobile backbones takes --json only, not '--jsn'."),
        ("--json MobileNetV2", "takes --json only, not 'MobileNetV2'."),
        ("--json=yes", "litmobile backbones takes --json only, not '--json=yes'."),
    ],
)
def test_wrong_options_give_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run_command(*words.split())
    message = refused.value.code
    assert isinstance(message, str)  # exits with status 1
    assert sentence in message
    assert message.startswith("litmobile: ")
    assert "\n" not in message


def test_help_lists_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["backbones", "--help"])
    assert done.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_lightning_is_not_imported() -> None:
    script = (
        "import sys; from litmobile.tools.cli import main; main(['backbones']); "
        "assert not any(name.startswith('lightning') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
