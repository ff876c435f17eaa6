"""Reads the arguments of each class once, because jsonargparse does so dozens of times in every command.

It follows ``**options`` through the source code of all base classes, which took a third of the time of parsing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from jsonargparse import _signatures
from jsonargparse._parameter_resolvers import get_signature_parameters as read_signature

_known: dict[tuple[Any, str | None], list[Any]] = {}


def list_parameters(owner: Callable[..., Any], method: str | None = None, logger: Any = True) -> list[Any]:
    """Returns what jsonargparse's ``get_signature_parameters`` returns, in copies that the caller may change.

    Args:
        owner: a class or a function.
        method: name of a method of the class; None for its constructor.
        logger: for messages of jsonargparse.
    """
    key = owner, method
    if key not in _known:
        _known[key] = read_signature(owner, method, logger=logger)
    parameters = [copy.copy(parameter) for parameter in _known[key]]
    for parameter in parameters:
        if isinstance(parameter.default, dict | list):
            parameter.default = copy.deepcopy(parameter.default)
    return parameters


# jsonargparse has no hook for this
_signatures.get_signature_parameters = list_parameters  # pyright: ignore[reportPrivateImportUsage]
