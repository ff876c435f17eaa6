"""Images with equal pixels, within a split and across splits, and near-duplicates across splits."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.data.near_duplicates import group_near_duplicates
from ...tasks.data.verification import ImageFacts
from .figures import Facts, format_list, fraction

MAX_COPIES = 8  # of one image that are printed
MAX_EXAMPLES = 8  # near-duplicates of two splits that are reported

Group = list[dict[str, str]]  # images with equal pixels: their split, name and label


class ImageKeys(NamedTuple):
    """Names, labels and pixel digests of the images of a split.

    Attributes:
        names: file names.
        labels: class names, or digests of masks.
        digests: of the pixels, see :func:`digest`; "" for images that were not read.
    """

    names: list[str]
    labels: list[str]
    digests: list[str]


def digest(pixels: NDArray[Any]) -> str:
    """Hashes the pixels and their shape; the hash does not depend on the file's format and name."""
    found = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def find_candidates(splits: Mapping[str, ImageFacts]) -> dict[str, NDArray[np.intp]]:
    """Returns the indices of the images whose size and hash another image has, too; others have no equal pixels."""
    keys = {
        split: list(zip(map(tuple, facts.sizes.tolist()), facts.hashes.tolist(), strict=True))
        for split, facts in splits.items()
    }
    counts = Counter(itertools.chain.from_iterable(keys.values()))
    return {split: np.flatnonzero([counts[key] > 1 for key in found]) for split, found in keys.items()}


def find_near_duplicates(
    names: Mapping[str, NDArray[np.str_]], hashes: Mapping[str, NDArray[np.uint64]]
) -> list[Facts]:
    """Counts the images of each split that look like images of an earlier one, and gives examples of them."""
    numbers = group_near_duplicates(np.concatenate(list(hashes.values())))
    ends = np.cumsum([len(found) for found in hashes.values()])
    groups = dict(zip(hashes, np.split(numbers, ends[:-1]), strict=True))
    found: list[Facts] = []
    for earlier, split in itertools.combinations(hashes, 2):
        first_of_group = dict(zip(groups[earlier].tolist(), names[earlier].tolist(), strict=True))
        common = np.flatnonzero(np.isin(groups[split], groups[earlier]))
        examples = [
            {"name": str(names[split][index]), "earlier": first_of_group[int(groups[split][index])]}
            for index in common[:MAX_EXAMPLES]
        ]
        share = fraction(len(common), len(names[split]))
        found.append({"split": split, "earlier": earlier, "images": len(common), "share": share, "examples": examples})
    return found


def format_near_duplicates(found: Sequence[Facts]) -> str:
    """Formats the result of :func:`find_near_duplicates`."""
    lines: list[str] = []
    for row in found:
        count = f"{row['images']} ({100 * row['share']:.1f} %)" if row["images"] else "none"
        lines.append(f"images of {row['split']} that look like one of {row['earlier']}: {count}")
        lines += [f"  {example['name']} ~ {example['earlier']}" for example in row["examples"]]
    return "\n".join(lines)


def find_duplicates(splits: Mapping[str, ImageKeys]) -> Facts:
    """Finds images that a split shares with an earlier one ("leaks") or contains more than once, and groups them."""
    by_digest: dict[str, Group] = defaultdict(list)
    for split, images in splits.items():
        for name, label, key in zip(*images, strict=True):
            if key:
                by_digest[key].append({"split": split, "name": name, "label": label})
    groups = [group for group in by_digest.values() if len(group) > 1]
    pairs = itertools.combinations(splits, 2)
    return {
        "leaks": [count_leaks(groups, split, earlier, len(splits[split].names)) for earlier, split in pairs],
        "within_splits": [count_duplicates(groups, split) for split in splits],
        "groups": groups,
    }


def count_leaks(groups: Sequence[Group], split: str, earlier: str, images: int) -> Facts:
    """Counts the images of ``split`` that an ``earlier`` split also contains; ``images`` is the size of ``split``.

    ``relabelled`` of them have another class or mask there. Figures measured on leaked images are too good.
    """
    common = relabelled = 0
    for group in groups:
        earlier_labels = {image["label"] for image in group if image["split"] == earlier}
        labels = [image["label"] for image in group if image["split"] == split] if earlier_labels else []
        common += len(labels)
        relabelled += sum(earlier_labels != {label} for label in labels)
    share = fraction(common, images)
    return {"split": split, "earlier": earlier, "images": common, "share": share, "relabelled": relabelled}


def count_duplicates(groups: Sequence[Group], split: str) -> Facts:
    """Counts the images that ``split`` contains more than once; ``relabelled`` of them have several labels."""
    labels = [[image["label"] for image in group if image["split"] == split] for group in groups]
    several = [found for found in labels if len(found) > 1]
    relabelled = sum(len(set(found)) > 1 for found in several)
    return {"split": split, "images": len(several), "relabelled": relabelled}


def format_duplicates(found: Facts, label: Literal["class", "mask"]) -> str:
    """Formats the result of :func:`find_duplicates`; class labels are printed, digests of masks are not."""

    def format_count(text: str, row: Facts) -> str:
        if not row["images"]:
            return f"{text}: none"
        share = f" ({100 * row['share']:.1f} %)" if "share" in row else ""
        return f"{text}: {row['images']}{share}, {row['relabelled']} of them with a different {label}"

    def format_group(group: Group) -> str:
        shown = [f"{image['split']} {image['name']}" for image in group[:MAX_COPIES]]
        if label == "class":
            shown = [f"{text} ({image['label']})" for text, image in zip(shown, group, strict=False)]
        if len(group) > MAX_COPIES:
            shown.append(f"and {len(group) - MAX_COPIES} more")
        different = label == "mask" and len({image["label"] for image in group}) > 1
        return " = ".join(shown) + (", with different masks" if different else "")

    lines = [format_count(f"images of {row['split']} that are also in {row['earlier']}", row) for row in found["leaks"]]
    lines += [format_count(f"images that {row['split']} contains twice or more", row) for row in found["within_splits"]]
    lines.append(format_list("groups of images with equal pixels", [format_group(group) for group in found["groups"]]))
    return "\n".join(lines)
