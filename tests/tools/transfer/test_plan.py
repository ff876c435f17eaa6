"""Plans of studies, and one sentence for each mistake in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import UserError
from litmobile.tools.transfer.plan.cells import Group, list_cells, list_more_cells, list_rate_cells
from litmobile.tools.transfer.plan.contents import Claim
from litmobile.tools.transfer.plan.reading import read_plan
from support.studies import write_plan

KNN = {"backbones": ["V2"], "protocols": ["knn"]}
SCRATCH = {"backbones": ["V1"], "protocols": ["scratch"]}
CLAIM = {"claim": "V2 is better", "backbone": "V2", "others": ["V1"], "expected": "better"}
REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown-key": ({"backbone": {}}, ["'backbone' is not a key", "did you mean backbones?"]),
    "unknown-key-of-a-task": ({"tasks.tones.recpie": "x"}, ["tasks.tones", "did you mean recipe?"]),
    "no-recipe": ({"tasks.tones.recipe": None}, ["tasks.tones", "recipe is missing"]),
    "no-cells": ({"cells": []}, ["cells must be a list of blocks"]),
    "split": ({"tasks.tones.split": "train"}, ["split must be val or test, not 'train'"]),
    "options": ({"tasks.tones.options": "--data.root=x"}, ["options must be a list of options"]),
    "weights-auto": ({"backbones.V2.weights": "auto"}, ["the same on every machine", "'auto'"]),
    "unknown-backbone": ({"cells": [SCRATCH | {"backbones": ["v2"]}]}, ["cells[0]", "did you mean V2?"]),
    "unknown-protocol": ({"cells": [SCRATCH | {"protocols": ["froze"]}]}, ["did you mean frozen?"]),
    "share-of-0": ({"cells": [SCRATCH | {"shares": [0]}]}, ["shares must be a list of numbers above 0 up to 1"]),
    "seed-as-text": ({"cells": [SCRATCH | {"seeds": ["a"]}]}, ["seeds must be a list of whole numbers"]),
    "seed-twice": ({"cells": [SCRATCH | {"seeds": [0, 0]}]}, ["seeds has 0 twice"]),
    "one-rate": ({"learning_rates": {"values": [0.1]}}, ["values has one value"]),
    "engine": ({"engines": ["onnxrun"]}, ["engines", "did you mean onnxruntime?"]),
    "accuracy": ({"backbones.V2.top1": "72 %"}, ["backbones.V2: top1 must be a number of % up to 100, not '72 %'"]),
    "claims": ({"claims": "V2 is better"}, ["claims must be a list of claims"]),
    "claim": ({"claims": [CLAIM | {"claim": ""}]}, ["claims[0]: claim must be text"]),
    "claim-about": ({"claims": [CLAIM | {"backbone": ["V2"]}]}, ["backbone must be one of V2, V1, not ['V2']"]),
    "claim-against": ({"claims": [CLAIM | {"others": ["V2"]}]}, ["others has 'V2', which is unknown"]),
    "expected": ({"claims": [CLAIM | {"expected": "worse"}]}, ["expected must be one of better, not better, close"]),
    "margin": ({"claims": [CLAIM | {"margin": 0}]}, ["margin must be a positive number"]),
}


@pytest.mark.parametrize(("changes", "mentioned"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_sentence(changes: dict[str, Any], mentioned: list[str], tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml", tmp_path, changes)
    with pytest.raises(UserError) as refused:
        read_plan(path)
    text = str(refused.value).removeprefix(str(path))
    assert text != str(refused.value)
    assert text[-1] in ".?"
    assert ". " not in text
    for words in mentioned:
        assert words in text


def test_a_missing_plan_is_one_sentence(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(UserError) as refused:
        read_plan(tmp_path / "none.yaml")
    assert_one_sentence(refused.value, "none.yaml does not exist")


def test_claims_are_read(tmp_path: Path) -> None:
    changes = {"claims": [CLAIM, CLAIM | {"others": "all", "margin": 0.1}], "backbones.V2.top1": 72}
    plan = read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, changes))
    assert plan.claims == (
        Claim("V2 is better", "V2", ("V1",), "better", 0.02),
        Claim("V2 is better", "V2", ("V1",), "better", 0.1),
    )
    assert [backbone.top1 for backbone in plan.backbones.values()] == [72, None]


def test_a_block_is_a_product(tmp_path: Path) -> None:
    block = {"backbones": "all", "protocols": ["scratch", "full"], "shares": [0.5, 1], "seeds": [0, 1, 2]}
    cells = list_cells(read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, {"cells": [block]})))
    assert len(set(cells)) == len(cells) == 2 * 2 * 2 * 3
    assert {cell.weights for cell in cells if cell.protocol == "scratch"} == {None}
    assert {str(cell) for cell in cells} >= {
        "tones, V1, full, 50 % of the images, seed 2",
        "tones, V2, scratch, seed 0",
    }


@pytest.mark.parametrize(
    "blocks",
    [
        [SCRATCH, SCRATCH | {"backbones": "all"}],
        [KNN, KNN | {"seeds": [1]}],  # a probe of all images has no seed
    ],
    ids=["block", "seeds-of-a-probe"],
)
def test_a_repeated_cell_is_refused(blocks: Any, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    plan = read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, {"cells": blocks}))
    with pytest.raises(UserError) as refused:
        list_cells(plan)
    assert_one_sentence(refused.value, "The plan has 1 cell twice", "tones")


def test_a_probe_runs_once_for_all_seeds(tmp_path: Path) -> None:
    block = {"backbones": ["V2"], "protocols": ["full", "knn"], "shares": [0.5, 1], "seeds": [0, 1]}
    cells = list_cells(read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, {"cells": [block]})))
    assert [(cell.share, cell.seed) for cell in cells if cell.is_probe] == [(0.5, 0), (0.5, 1), (1, 0)]
    assert len([cell for cell in cells if not cell.is_probe]) == 4


def test_each_group_has_a_grid_of_rates(tmp_path: Path) -> None:
    changes = {"learning_rates": {"values": [0.01, 0.1]}, "cells": [SCRATCH | {"seeds": [0, 1]}]}
    changes["cells"].append({"backbones": ["V2"], "protocols": ["full", "knn"]})
    plan = read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, changes))
    trials = list(list_rate_cells(plan, list_cells(plan)))
    assert [(*cell.group[1:], cell.learning_rate) for cell in trials] == [
        *(("V1", "scratch", rate) for rate in (0.01, 0.1)),
        *(("V2", "full", rate) for rate in (0.01, 0.1)),
    ]
    assert {(cell.role, cell.seed, cell.share) for cell in trials} == {("learning rate", 0, 1.0)}


def test_more_seeds_leave_out_cells_of_the_blocks(tmp_path: Path) -> None:
    changes = {"cells": [SCRATCH | {"seeds": [0, 3]}], "more_seeds": {"leaders": 1, "seeds": [3, 4]}}
    plan = read_plan(write_plan(tmp_path / "plan.yaml", tmp_path, changes))
    more = list_more_cells(plan, [Group("tones", "V1", "scratch")], list_cells(plan))
    assert [cell.seed for cell in more] == [4]
