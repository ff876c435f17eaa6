"""The plan of docs/choose_backbone.md leads to a report, and the report to a configuration that trains."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from litmobile.backbones import MobileNetV2, MobileNetV3, ShuffleNetV2
from litmobile.tools.cli import main
from litmobile.tools.transfer.plan.cells import list_cells
from litmobile.tools.transfer.plan.reading import read_plan
from support.studies import write_tones

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "choose_backbone.md").read_text(encoding="utf-8")
PLAN: dict[str, Any] = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0])
NETWORKS = {
    "MobileNetV2": MobileNetV2(),
    "MobileNetV3-Small": MobileNetV3(variant="small"),
    "ShuffleNetV2": ShuffleNetV2(),
}


def test_the_plan_is_a_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    plan = read_plan(tmp_path / "plan.yaml")
    assert list(plan.backbones) == list(NETWORKS)
    assert len(list_cells(plan)) == 3 * (2 + 3)


@pytest.mark.slow
def test_the_page_leads_to_a_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights are random, because a test downloads nothing, and trainings are as short as possible."""
    monkeypatch.chdir(tmp_path)
    write_tones(Path("data/images"))
    for name, network in NETWORKS.items():
        torch.save(network.state_dict(), f"{name}.pth")
        PLAN["backbones"][name]["weights"] = f"{name}.pth"
    task = PLAN["tasks"]["my images"]
    tiny = ["--model.preprocessing.size=[32,32]", "--trainer.max_epochs=1", "--data.batch_size=8"]
    task["options"] += [*tiny, "--trainer.accelerator=cpu"]
    PLAN["learning_rates"]["values"] = PLAN["learning_rates"]["values"][:2]
    PLAN["cells"][1]["seeds"] = [0, 1]
    PLAN["engines"] = ["eager"]
    Path("plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    main(["transfer", "plan.yaml", "--to", "study", "--jobs", "2"])
    answer = capsys.readouterr().out
    assert "my images: " in answer and "by ms (eager): " in answer
    report = Path("study/report.md").read_text(encoding="utf-8")
    config = re.search(r"cells/\w+/config\.yaml", report[report.index("| full |") :])
    assert config is not None
    main(["fit", "--config", f"study/{config[0]}", "--run", "runs/best"])
    assert Path("runs/best/val.json").is_file()
