"""Packages offer what they list for type checkers, and import it on first use."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

PACKAGES = ["litmobile.backbones", "litmobile.tasks"]
PACKAGES += [f"litmobile.tasks.{task}" for task in ("classification", "detection", "segmentation")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_can_be_imported(package: str) -> None:
    module = importlib.import_module(package)
    exports = [value for _, value in inspect.getmembers(module) if inspect.isclass(value)]
    assert len(exports) > 1
    assert all(getattr(module, value.__name__) is value for value in exports)


@pytest.mark.parametrize("package", ["litmobile", *PACKAGES])
def test_unknown_export_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        getattr(importlib.import_module(package), "Nothing")  # noqa: B009 — pyright knows that it is missing


@pytest.mark.parametrize("package", ["litmobile", *PACKAGES])
def test_package_imports_neither_lightning_nor_torch(package: str) -> None:
    code = f"import sys, {package}; print({{'lightning', 'timm', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
