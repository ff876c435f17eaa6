"""The wheel contains the tree, and declares the packages that its code imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("backbones", "heads", "tasks", "configs", "tools")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without access to the network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("litmobile-*.whl"))


#: extras whose packages the product does not import
DEV = ("test", "dev")


def test_declared_packages_equal_the_tree(pyproject: dict[str, Any]) -> None:
    packages = [path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")]
    expected = ["litmobile", *(".".join(("litmobile", *path.parts)) for path in packages)]
    assert sorted(pyproject["tool"]["setuptools"]["packages"]) == sorted(expected)


def test_imported_distributions_are_declared(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    extras = [needed for extra, needed in project["optional-dependencies"].items() if extra not in DEV]
    declared = {re.split(r"[^\w-]", text)[0].lower() for text in sum(extras, project["dependencies"])}
    files = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    modules = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"litmobile"}
    assert {"torch", "cv2", "yaml"} <= modules
    distributions = packages_distributions()
    undeclared = {m for m in modules if not declared & {name.lower() for name in distributions.get(m, ())}}
    assert not undeclared


def test_wheel_contains_every_module_recipe_and_style(wheel: Path) -> None:
    contents = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".yaml", ".css", ".js", ".html", ".svg"):
                assert f"litmobile/{path.relative_to(ROOT).as_posix()}" in contents


def test_wheel_declares_its_types(wheel: Path) -> None:
    assert "litmobile/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_every_module_of_the_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    names = [path.relative_to(tmp_path).with_suffix("") for path in (tmp_path / "litmobile").rglob("*.py")]
    modules = sorted(".".join(path.parts).removesuffix(".__init__") for path in names)
    script = f"import importlib\nfor name in {modules}:\n    importlib.import_module(name)\n"
    script += "import sys, litmobile; print(litmobile.__file__)\n"
    script += "assert 'hotcoco' not in sys.modules, 'only an evaluation imports it'"
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert str(tmp_path) in answer.stdout


def test_networks_do_not_import_lightning() -> None:
    script = "import sys, litmobile, litmobile.backbones, litmobile.heads, litmobile.tasks; litmobile.load\n"
    script += "assert not any(name.split('.')[0] in ('lightning', 'pytorch_lightning') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
