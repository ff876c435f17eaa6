"""Versions of the packages that figures depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

#: packages that training and evaluation compute with
PACKAGES = ("litmobile", "torch", "torchvision", "lightning", "timm", "numpy", "opencv-python-headless", "hotcoco")


@cache
def list_versions() -> dict[str, str]:
    """Returns the versions of Python and of those packages that are installed."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
