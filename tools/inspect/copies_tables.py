"""What `litmobile inspect` found to be there more than once, as lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .copies import Copies, Copy, Repeated, Shared
from .text import listed, percent

MOST_COPIES = 8  # of one picture that are named


class Wording(NamedTuple):
    """How it is said that equal pictures are labelled unlike each other.

    Attributes:
        another: of one of them.
        different: of all of them.
        readable: whether labels are names, which can be printed.
    """

    another: str
    different: str
    readable: bool


CLASSES = Wording("under another class", "under different classes", readable=True)
MASKS = Wording("with another mask", "with different masks", readable=False)


def copies_text(found: Copies, wording: Wording) -> str:
    """What is there more than once: across splits, within, and where."""
    lines = [*(shared_text(pair, wording) for pair in found.shared)]
    lines += [repeated_text(split, wording) for split in found.repeated]
    groups = (group_text(group, wording) for group in found.groups)
    return "\n".join([*lines, listed("pictures that are there more than once, by their pixels", groups)])


def shared_text(found: Shared, wording: Wording) -> str:
    """How many images a split has in common with an earlier one."""
    if not found.images:
        return f"pictures of {found.split} that {found.earlier} has as well: none"
    return (
        f"pictures of {found.split} that {found.earlier} has as well: {found.images} ({percent(found.share)}), "
        f"{found.relabelled} of them {wording.another}"
    )


def repeated_text(found: Repeated, wording: Wording) -> str:
    """How many pictures a split has more than once."""
    if not found.pictures:
        return f"pictures that {found.split} has more than once: none"
    return (
        f"pictures that {found.split} has more than once: {found.pictures}, "
        f"{found.relabelled} of them {wording.different}"
    )


def group_text(group: Sequence[Copy], wording: Wording) -> str:
    """Where a picture is that there are several of."""
    named = [place_text(copy, wording) for copy in group[:MOST_COPIES]]
    if len(group) > MOST_COPIES:
        named.append(f"and {len(group) - MOST_COPIES} more")
    unlike = not wording.readable and len({copy.label for copy in group}) > 1
    return " = ".join(named) + (f", {wording.different}" if unlike else "")


def place_text(copy: Copy, wording: Wording) -> str:
    """Where a copy is."""
    return f"{copy.split} {copy.name}" + (f" ({copy.label})" if wording.readable else "")
