"""Names of code that a configuration or a checkpoint must never run, and a module that shows that it ran."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback

from litmobile.heads import Head, SSDLite

#: import paths of functions and classes, with arguments that would leave a file
HARMFUL = {
    "os.system": {"command": "touch {marker}"},
    "subprocess.Popen": {"args": ["touch", "{marker}"]},
    "builtins.exec": {"source": "open('{marker}', 'w')"},
    "builtins.open": {"file": "{marker}", "mode": "w"},
    "pathlib.Path.touch": {"self": "{marker}"},
    "pathlib.Path.unlink": {"self": "{marker}"},
    "functools.partial": {"func": "os.system"},
    "importlib.import_module": {"name": "harmful_module"},
    "antigravity.geohash": {},
    "torch.serialization.load": {"f": "{marker}"},
    "support.harmful.make_callback": {"marker": "{marker}"},
    "support.harmful.make_head": {"marker": "{marker}"},
    "support.harmful.make_optimizer": {"marker": "{marker}"},
    "support.harmful.Caller": {"marker": "{marker}"},
    "harmful_module.run": {},
    "harmful_module.Part": {},
}

MODULE = """
import pathlib
pathlib.Path({marker!r}).touch()

def run(*arguments):
    pathlib.Path({marker!r}).touch()

class Part:
    pass
"""


def write_module(folder: Path, marker: Path) -> None:
    """Write the module ``harmful_module``, which creates the file ``marker`` when it is imported."""
    (folder / "harmful_module.py").write_text(MODULE.format(marker=str(marker)))


def describe_class(path: str, marker: Path) -> dict[str, object]:
    """Return what a configuration says to build the class at ``path``."""
    arguments = {
        name: [text.format(marker=marker) for text in value] if isinstance(value, list) else value.format(marker=marker)
        for name, value in HARMFUL[path].items()
    }
    return {"class_path": path, "init_args": arguments}


def make_callback(marker: str) -> Callback:
    """Leave a file; its type says that it returns a part."""
    Path(marker).touch()
    return Callback()


def make_optimizer(marker: str) -> torch.optim.Optimizer:
    """Leave a file; its type says that it returns a part."""
    Path(marker).touch()
    return torch.optim.SGD([])


def make_head(features: object, num_classes: int, marker: str) -> Head:
    """Leave a file; its type says that it returns a part."""
    Path(marker).touch()
    return SSDLite({}, num_classes)  # type: ignore[arg-type]


class Caller:
    """A class whose instances can be called, but that is no part."""

    def __init__(self, marker: str) -> None:
        Path(marker).touch()

    def __call__(self, *arguments: object) -> None:
        """Do nothing."""
