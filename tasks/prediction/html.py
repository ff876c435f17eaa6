"""Shows a result in a notebook: a small drawing and a table, without scripts."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

import cv2

from ...errors import UserError
from ..drawing import shrink_image

if TYPE_CHECKING:
    from .result import ImageResult

MAX_SIDE = 640  # pixels of the embedded drawing
MAX_ROWS = 20


def build_html(result: ImageResult) -> str:
    """Builds a ``<div>`` with the text, the drawing as an embedded JPEG, and a table of ``result``.

    The drawing is left out if the image can no longer be read.
    """
    entries = result.entries()
    rows = "".join(
        f"<tr><td>{escape(entry.name)}</td><td>{escape(entry.figure)}</td></tr>" for entry in entries[:MAX_ROWS]
    )
    if len(entries) > MAX_ROWS:
        rows += f"<tr><td>{len(entries) - MAX_ROWS} more</td><td></td></tr>"
    table = f"<table>{rows}</table>" if rows else ""
    return f"<div><p>{escape(repr(result))}</p>{embed_drawing(result)}{table}</div>"


def embed_drawing(result: ImageResult) -> str:
    """Returns an ``<img>`` with the drawing, or nothing if the image can no longer be read."""
    try:
        drawing = shrink_image(result.draw(), MAX_SIDE)
    except UserError:
        return ""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))[1].tobytes()
    source = base64.b64encode(encoded).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{escape(repr(result))}"/>'
