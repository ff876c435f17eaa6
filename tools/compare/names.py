"""Names of the configurations that are compared, as a user would call them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import ArgumentError, format_count, format_name

#: end of the text that the paths of several seeds share, e.g. "_s" of "net_s0" and "net_s1"
SEED_WORD = re.compile(r"[\W_]*(?:(?<=[\W_])(?:seed|run|s))?[\W_]*$", re.IGNORECASE)


def name_groups(groups: Sequence[Sequence[Path]]) -> list[str]:
    """Returns a name for the paths of each configuration.

    It is the last part of the path that is not the same in all of them, or more parts if names would be equal. Several
    seeds have the name that their paths share, e.g. "net" for ``net_s0`` and ``net_s1``. If they share none, or others
    share it too, the first names them.
    """
    # resolve() would replace the name of a link
    absolute = [[Path(os.path.abspath(path)) for path in group] for group in groups]  # noqa: PTH100
    common = [find_shared_path(group) for group in absolute]
    shared: list[Path | None] = []
    for number, path in enumerate(common):
        others = [other for group in absolute[:number] + absolute[number + 1 :] for other in group]
        is_clear = path is not None and common.count(path) == 1 and not any(o.is_relative_to(path) for o in others)
        shared.append(path if is_clear else None)
    names = shorten_paths([path or group[0] for path, group in zip(shared, absolute, strict=True)])
    return [
        name + (f" (and {len(group) - 1} more)" if len(group) > 1 and path is None else "")
        for name, path, group in zip(names, shared, groups, strict=True)
    ]


def find_shared_path(paths: Sequence[Path]) -> Path | None:
    """Returns what the paths of several seeds have in common, without a word for the seed; None if that is nothing."""
    prefix = os.path.commonprefix([str(path) for path in paths])  # noqa: RUF071 — it ends inside of a name
    if any(str(path)[len(prefix) :][:1].isdigit() for path in paths):
        prefix = prefix.rstrip("0123456789")  # of "seed10" and "seed11"
    name = SEED_WORD.sub("", prefix)
    return Path(name) if name and len(paths) > 1 else None


def shorten_paths(paths: Sequence[Path]) -> list[str]:
    """Returns the parts in which different paths end and differ, without ``.json`` if they still do."""
    while len(paths) > 1 and len({path.name for path in paths}) == 1:
        paths = [path.parent for path in paths]
    stems = [path.with_suffix("") if path.suffix == ".json" else path for path in paths]
    kept = stems if len(set(stems)) == len(paths) else paths
    lengths = range(1, 1 + max(len(path.parts) for path in kept))
    candidates = [["/".join(path.parts[-length:]) for path in kept] for length in lengths]
    names = next(names for names in candidates if len(set(names)) == len(paths))
    return [format_name(name) for name in names]


def check_names(names: Sequence[str], defaults: Sequence[str]) -> Sequence[str]:
    """Returns the names that the user chose, in the order of the configurations.

    Raises:
        ArgumentError: there are more or fewer than configurations, or two are equal.
    """
    if len(names) != len(defaults):
        counted = f"{format_count(len(names), 'names')} for {format_count(len(defaults), 'configurations')}"
        raise ArgumentError(f"--names has {counted}: {', '.join(defaults)}.")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ArgumentError(f"--names: {repeated[0]} occurs twice; the names must differ.")
    return names
