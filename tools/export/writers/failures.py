"""Failures of exporters as one sentence that names the backbone and the operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ....errors import UserError
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
    messages = []
    cause: BaseException | None = error
    while cause is not None:
        messages.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    operator = next((found[0] for text in messages for found in [OPERATOR.search(text)] if found), None)
    subject = f"{type(module.head).__name__} on {type(module.backbone).__name__} cannot be exported to {kind}"
    innermost = next((text for text in reversed(messages) if text.strip()), type(error).__name__)
    reason = innermost.strip().partition("\n")[0].rstrip(".")
    return f"{subject}: the operator {operator} is not supported ({reason})." if operator else f"{subject}: {reason}."
