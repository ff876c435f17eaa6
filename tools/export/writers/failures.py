"""Failures of exporters as one sentence that names the backbone and the operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ....errors import UserError, first_line
from ....tasks.network import name_parts
from ..module import ExportModule

OPERATOR = re.compile(r"\b(?:aten|torchvision|torch\.ops|prims|edge)(?:::|\.)[\w.:]*\w")


@contextmanager
def explain_failure(module: ExportModule, kind: str) -> Iterator[None]:
    """Turns any failure of an exporter into a UserError.

    Args:
        module: what is exported.
        kind: of the file, e.g. "ONNX".

    Raises:
        UserError: names the backbone, the operator if the exporter names one, and the reason.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # exporters fail in any way
        raise UserError(describe_failure(module, kind, error)) from error


def describe_failure(module: ExportModule, kind: str, error: BaseException) -> str:
    """Returns the sentence; the innermost cause tells most."""
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    operator = next((found[0] for cause in causes if (found := OPERATOR.search(str(cause)))), None)
    subject = f"{name_parts(module.backbone, module.head)} cannot be exported to {kind}"
    innermost = next((cause for cause in reversed(causes) if str(cause).strip()), error)
    reason = first_line(innermost)
    return f"{subject}: the operator {operator} is not supported ({reason})." if operator else f"{subject}: {reason}."
