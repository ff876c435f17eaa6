"""Names the machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ...versions import list_versions

CPU_FACTS = Path("/proc/cpuinfo")


def describe_machine(device: torch.device, threads: int, packages: Iterable[str]) -> dict[str, Any]:
    """Returns the device's name, the threads and the versions of packages."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else name_processor()
    return {
        "device": device.type,
        "name": name,
        "threads": threads,
        "cores": os.cpu_count(),
        "versions": list_versions() | {package: find_version(package) for package in packages},
    }


def name_processor() -> str:
    """Returns the model of the processor, as Linux or else Python knows it."""
    if CPU_FACTS.is_file():
        for line in CPU_FACTS.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def find_version(package: str) -> str:
    """Returns the version of an installed package; empty if it does not say."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
