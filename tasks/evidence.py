"""What an evaluation keeps of each image, from which figures, intervals and comparisons are computed later."""

from __future__ import annotations

import io
import json
import math
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ..errors import EvaluationError
from ..versions import list_versions
from .atomic import write_bytes
from .data.fingerprint import hash_arrays, iterate_arrays

VERSION = 2  # of the file; files of other versions are refused
INFO = "info"  # the array of a file that holds everything but arrays

Weights = NDArray[np.float64]
FiguresByWeighting = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Evidence(ABC):
    """What an evaluation keeps of each image.

    Figures are computed for weighted images: a weight of 2 counts an image twice. A resample of a bootstrap is a
    weighting, and weights of 1 give the figures of the evaluation.

    Attributes:
        classes: names of the classes.
        names: file names of the evaluated images, in the order of the split, N of them.
    """

    #: kind of task, e.g. "detection"
    role: ClassVar[str]
    #: names of the figures, the main one first; :meth:`per_class` gives that one
    figure_names: ClassVar[tuple[str, ...]]

    classes: tuple[str, ...]
    names: tuple[str, ...]

    @abstractmethod
    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        """Returns figures by name, ``[R]`` each; NaN for a figure without objects, pixels or images.

        Args:
            weights: of the images, ``[R, N]``: whole numbers, for which all sums are exact.
            names: some of :attr:`figure_names`; others than these are not computed.
        """

    @abstractmethod
    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the main figure of each class, ``[R, C]``; NaN without objects, pixels or images of it.

        Args:
            weights: of the images, ``[R, N]``: whole numbers, for which all sums are exact.
        """

    def figures_and_classes(
        self, weights: Weights, names: Sequence[str]
    ) -> tuple[FiguresByWeighting, NDArray[np.float64]]:
        """Returns what :meth:`figures` and :meth:`per_class` return; tasks may share work between both."""
        return self.figures(weights, names), self.per_class(weights)

    @abstractmethod
    def image_scores(self) -> NDArray[np.float64]:
        """Returns a figure of each image alone, ``[N]`` in 0 … 1, higher is better; NaN where it says nothing."""

    @abstractmethod
    def images_per_class(self) -> NDArray[np.int64]:
        """Returns the number of images with each class, ``[C]``."""

    @abstractmethod
    def annotations(self, image: int) -> list[NDArray[Any]]:
        """Returns arrays that depend on nothing but the annotations of one image."""

    def compact(self) -> Self:
        """Returns the evidence without what only shows single errors: all figures and comparisons stay the same."""
        return self

    def hash_annotations(self) -> list[str]:
        """Returns a hash of the annotations of each image."""
        return [hash_arrays(*self.annotations(image)) for image in range(len(self.names))]


class StoredEvidence(NamedTuple):
    """Content of an evidence file.

    Attributes:
        evidence: what the evaluation kept.
        identity: what was evaluated: split, epoch and step, hashes of weights, images and annotations, and versions
            of packages.
    """

    evidence: Evidence
    identity: dict[str, Any]


def evidence_path(folder: Path, split: str) -> Path:
    """Returns the evidence file of the evaluation of a split, "val" or "test", in a run's ``folder``."""
    return folder / f"{split}-evidence.npz"


def save_evidence(path: Path, evidence: Evidence, identity: dict[str, Any], is_compressed: bool = False) -> None:
    """Writes an evidence file: an ``.npz`` archive, whose array ``info`` is JSON.

    Flags are stored as bits. Hashes of images and annotations, and versions of packages, are added to ``identity``.

    Args:
        path: the file, which is replaced at once or not at all.
        evidence: what the evaluation kept.
        identity: plain values that identify the evaluated weights and settings.
        is_compressed: whether to compress the archive, which takes time.
    """
    images = hash_arrays(np.array(evidence.names))
    annotations = hash_arrays(np.array(evidence.classes), np.array(evidence.hash_annotations()))
    arrays = dict(iterate_arrays(evidence))
    info = {
        "version": VERSION,
        "role": evidence.role,
        "classes": evidence.classes,
        "names": evidence.names,
        "shapes": {name: array.shape for name, array in arrays.items() if array.dtype == bool},
        "identity": identity | {"images": images, "annotations": annotations, "versions": list_versions()},
    }
    stored = {name: np.packbits(array) if array.dtype == bool else array for name, array in arrays.items()}
    content = io.BytesIO()
    stored[INFO] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
    save = np.savez_compressed if is_compressed else np.savez
    save(content, **stored)  # pyright: ignore[reportArgumentType] — no array has the name of an argument
    write_bytes(path, content.getvalue())


def load_evidence(path: Path, kinds: tuple[type[Evidence], ...]) -> StoredEvidence:
    """Reads an evidence file.

    Args:
        path: the file.
        kinds: classes of the evidence of all tasks.

    Raises:
        EvaluationError: the file is missing, damaged, of another version, or contains NaN or infinite values.
    """
    try:
        with np.load(path) as archive:  # refuses objects, which could run code
            arrays = {name: archive[name] for name in archive.files}
        spoiled = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        info = json.loads(arrays.pop(INFO).tobytes())
        if info["version"] == VERSION and not spoiled:
            kind = next(kind for kind in kinds if kind.role == info["role"])
            for name, shape in info["shapes"].items():
                arrays[name] = np.unpackbits(arrays[name], count=math.prod(shape)).reshape(shape).astype(bool)
            plain = {"classes": tuple(info["classes"]), "names": tuple(info["names"])}
            return StoredEvidence(build(kind, arrays, plain), info["identity"])
    except FileNotFoundError as error:
        raise EvaluationError(f"{path} does not exist: run litmobile validate or test first.") from error
    except (OSError, EOFError, ValueError, KeyError, StopIteration, TypeError, zipfile.BadZipFile) as error:
        raise EvaluationError(f"{path} is damaged or not a file of evidence: evaluate the run again.") from error
    problem = f"has version {info['version']}, not {VERSION}"
    if info["version"] == VERSION:
        problem = f"contains NaN or infinite values ({spoiled[0]})"
    raise EvaluationError(f"{path} {problem}: evaluate the run again.")


def build(kind: type[Any], arrays: dict[str, NDArray[Any]], plain: dict[str, Any], prefix: str = "") -> Any:
    """Builds a dataclass from ``plain`` values and the arrays whose names :func:`iterate_arrays` gave."""
    types, values = get_type_hints(kind), {}
    for field in fields(kind):
        if field.name in plain:
            values[field.name] = plain[field.name]
        elif is_dataclass(types[field.name]):
            values[field.name] = build(types[field.name], arrays, plain, f"{prefix}{field.name}.")
        else:
            values[field.name] = arrays[prefix + field.name]
    return kind(**values)


def divide(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divides element by element; NaN where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def mean_defined(values: NDArray[np.float64], axes: int | tuple[int, ...] = -1) -> NDArray[np.float64]:
    """Returns the mean over ``axes`` of the values that are not NaN; NaN without such values."""
    return divide(np.nansum(values, axis=axes), np.isfinite(values).sum(axis=axes))
