"""Classes named in files: which modules may be imported for them, and what a checkpoint may name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import litmobile
from litmobile import class_paths
from litmobile.backbones import Backbone, MobileNetV2
from litmobile.class_paths import allow_class, allow_code, import_class, package_folders
from litmobile.errors import ClassPathError, WeightsError
from litmobile.heads import SSDLite
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from support.harmful import HARMFUL, describe_class, write_module
from support.predicting import save_network

OWN = """
from pathlib import Path
from litmobile.backbones import MobileNetV2

Path(__file__).with_suffix(".imported").touch()

class Own(MobileNetV2):
    pass
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is allowed, and no module of a test before is imported."""
    monkeypatch.setattr(class_paths, "_allowed_folders", set())
    monkeypatch.setattr(class_paths, "_allowed_paths", set())
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith(("harmful_module", "own_pa"))]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder on the path with a module of the user's; the file own_part.imported shows that it was imported."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own_part.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    return folder


def refuse(path: str) -> ClassPathError:
    with pytest.raises(ClassPathError) as refused:
        import_class(path, Backbone)
    return refused.value


def test_a_module_on_the_path_needs_permission(own: Path, assert_one_sentence: Callable[..., None]) -> None:
    assert_one_sentence(refuse("own_part.Own"), "own_part.Own", own / "own_part.py", f"--allow-code {own}")
    assert not (own / "own_part.imported").exists()


@pytest.mark.parametrize("init", [True, False], ids=["package", "folder without __init__.py"])
def test_a_package_on_the_path_needs_permission(init: bool, own: Path) -> None:
    package = own / "own_package"
    package.mkdir()
    (own / "own_part.py").rename(package / "part.py")
    if init:
        (package / "__init__.py").touch()
    assert f"--allow-code {own} " in str(refuse("own_package.part.Own"))
    allow_code(own)
    assert issubclass(import_class("own_package.part.Own", Backbone), MobileNetV2)


def test_links_of_an_installer_are_trusted(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_paths, "package_folders", lambda: frozenset({tmp_path / "site"}))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "own_part.py").symlink_to(own / "own_part.py")
    refuse("own_part.Own")
    sys.path.insert(0, str(tmp_path / "site"))
    import_class("own_part.Own", Backbone)


def test_permission_is_for_one_folder(own: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, own / "below"):
        folder.mkdir(exist_ok=True)
        allow_code(folder)
        refuse("own_part.Own")
    allow_code(own)
    assert import_class("own_part.Own", Backbone).__name__ == "Own"


def test_permission_is_for_one_class(own: Path) -> None:
    allow_class("own_part.Other")
    refuse("own_part.Own")
    allow_class("own_part.Own")
    import_class("own_part.Own", Backbone)


def test_a_module_that_the_program_imported_is_trusted(own: Path) -> None:
    import own_part  # pyright: ignore[reportMissingImports]

    assert import_class("own_part.Own", Backbone) is own_part.Own


def test_an_editable_installation_is_trusted(own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "own.pth").write_text(f"# comment\nimport sys\n{own}\n")
    monkeypatch.setattr("site.getsitepackages", lambda: [str(site)])
    package_folders.cache_clear()
    try:
        import_class("own_part.Own", Backbone)
    finally:
        package_folders.cache_clear()


@pytest.mark.parametrize("path", ["this.Zen", "antigravity.Backbone", "idlelib.idle.Backbone"])
def test_modules_of_the_standard_library_are_not_imported(path: str) -> None:
    refuse(path)
    assert path.rpartition(".")[0] not in sys.modules


@pytest.mark.parametrize(
    "path", ["", "Own", "own part.Own", "tqdm.__main__.Own", "..Own", "no_such_module.Own", "torch.no_such.Own"]
)
def test_paths_that_name_no_class_are_one_sentence(path: str, assert_one_sentence: Callable[..., None]) -> None:
    assert_one_sentence(refuse(path), f"cannot use {path}: ")


@pytest.mark.parametrize("code", ["1 / 0", "raise SystemExit(3)", "import no_such_module", "class"])
def test_a_module_that_fails_is_named(code: str, own: Path, assert_one_sentence: Callable[..., None]) -> None:
    (own / "own_part.py").write_text(code)
    allow_code(own)
    assert_one_sentence(refuse("own_part.Own"), "cannot use own_part.Own: ")


def make_checkpoint(folder: Path, part: str, config: object) -> Path:
    """Write a checkpoint whose backbone or head is the class that ``config`` describes."""
    network = Network(MobileNetV2(0.35), SSDLite, ["a"], Preprocessing((64, 64)), role="detection")
    path = save_network(network, folder / "sent.ckpt")
    content = torch.load(path, weights_only=True)
    content["network"][part] = config
    torch.save(content, path)
    return path


@pytest.mark.parametrize("part", ["backbone", "head"])
def test_a_checkpoint_runs_no_code(part: str, tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    sys.path.insert(0, str(tmp_path))
    write_module(tmp_path, tmp_path / "marker")
    for path in HARMFUL:
        file = make_checkpoint(tmp_path, part, describe_class(path, tmp_path / "marker"))
        with pytest.raises(WeightsError) as refused:
            litmobile.load(file)
        assert_one_sentence(refused.value, file, f"cannot use {path}")
    assert not (tmp_path / "marker").exists()
    assert not {"antigravity", "harmful_module"} & sys.modules.keys()


def test_predict_builds_own_parts_with_permission(own: Path, tmp_path: Path) -> None:
    file = make_checkpoint(tmp_path, "backbone", {"class_path": "own_part.Own", "init_args": {"width": 0.35}})
    words = ["predict", "--run", str(file), "--out", str(tmp_path / "out"), str(tmp_path / "none.jpg")]
    with pytest.raises(SystemExit, match="--allow-code"):
        main(words)
    assert not (own / "own_part.imported").exists()
    sys.path.remove(str(own))
    with pytest.raises(SystemExit, match=r"none\.jpg"):  # the network is built; there is no image
        main([*words, "--allow-code", str(own)])
    assert (own / "own_part.imported").exists()
