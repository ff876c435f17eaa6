"""What is installed is what stands in the tree."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("backbones", "heads", "tasks", "configs", "tools")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without looking anything up on the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("litmobile-*.whl"))


def test_the_list_of_packages_is_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = [path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")]
    assert sorted(listed) == sorted(["litmobile", *(".".join(("litmobile", *path.parts)) for path in found)])


def test_the_wheel_holds_every_module_and_configuration(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".yaml"):
                assert f"litmobile/{path.relative_to(ROOT).as_posix()}" in held


def test_every_module_of_the_wheel_can_be_imported(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    names = [path.relative_to(tmp_path).with_suffix("") for path in (tmp_path / "litmobile").rglob("*.py")]
    modules = sorted(".".join(path.parts).removesuffix(".__init__") for path in names)
    script = f"import importlib\nfor name in {modules}:\n    importlib.import_module(name)\n"
    script += "import litmobile; print(litmobile.__file__)"
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert str(tmp_path) in answer.stdout


def test_networks_do_without_lightning() -> None:
    script = "import sys, litmobile, litmobile.backbones, litmobile.heads, litmobile.tasks; litmobile.load\n"
    script += "assert not any(name.split('.')[0] in ('lightning', 'pytorch_lightning') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
