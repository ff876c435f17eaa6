"""What timm calls the layers of the mobile networks that it has as well, so that its weights load into ours."""

from __future__ import annotations

from collections.abc import Sequence

STEM = {"conv": "conv_stem", "norm": "bn1"}
# the convolutions of a block by its parts, and what they are called there
SEPARABLE = {"depthwise": "conv_dw", "project": "conv_pw"}
INVERTED = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}


def block_names(prefix: str, parts: Sequence[str]) -> dict[str, str]:
    """Names of the modules with weights in a block of ``parts`` → timm's full names, which begin with ``prefix``.

    ``parts`` are those of an inverted residual, in order; without "expand" it is timm's depthwise separable block.
    """
    convolutions = INVERTED if "expand" in parts else SEPARABLE
    names: dict[str, str] = {}
    for part in parts:
        if part == "squeeze_excite":
            names |= {f"{part}.{layer}": f"{prefix}.se.conv_{layer}" for layer in ("reduce", "expand")}
        else:
            norm = f"bn{list(convolutions).index(part) + 1}"
            names |= {f"{part}.conv": f"{prefix}.{convolutions[part]}", f"{part}.norm": f"{prefix}.{norm}"}
    return names
