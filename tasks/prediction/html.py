"""Shows a result in a notebook: a small drawing and a table, without scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2

from ..drawing import shrink_image
from ..images import Image

MAX_SIDE = 640  # pixels of the embedded drawing
MAX_ROWS = 20


def build_html(text: str, drawing: Image | None, entries: Sequence[tuple[str, str]]) -> str:
    """Builds a ``<div>`` with a text, a drawing as an embedded JPEG, and a table.

    Args:
        text: what the result is.
        drawing: ``[H, W, 3]`` uint8 RGB; None without one.
        entries: names and figures.
    """
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(figure)}</td></tr>" for name, figure in entries[:MAX_ROWS])
    if len(entries) > MAX_ROWS:
        rows += f"<tr><td>{len(entries) - MAX_ROWS} more</td><td></td></tr>"
    table = f"<table>{rows}</table>" if rows else ""
    embedded = "" if drawing is None else embed_drawing(drawing, text)
    return f"<div><p>{escape(text)}</p>{embedded}{table}</div>"


def embed_drawing(drawing: Image, text: str) -> str:
    """Returns an ``<img>`` with the drawing ``[H, W, 3]``, and ``text`` in place of it."""
    small = shrink_image(drawing, MAX_SIDE)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1].tobytes()
    source = base64.b64encode(encoded).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{escape(text)}"/>'
