"""What an exported file says about itself: classes, preprocessing, outputs and origin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import UserError, first_line
from ...heads.ssdlite.decode import PostprocessConfig
from ...tasks.atomic import write_text
from ...tasks.preprocessing import Preprocessing

#: outputs that files of each role can have
OUTPUTS = {
    "detection": (("boxes", "scores"), ("boxes", "scores", "labels", "count")),
    "segmentation": (("labels",), ("logits",)),
    "classification": (("probabilities",),),
}


def find_role(outputs: Sequence[str]) -> str:
    """Returns the role of a network with these outputs; empty if they are not those of any."""
    return next((role for role, known in OUTPUTS.items() if set(outputs) in map(set, known)), "")


@dataclass(frozen=True)
class Description:
    """What a program needs to use an exported file.

    Its fields are the metadata entries of an ONNX file, and the keys of the JSON file beside any exported file. The
    input is always an RGB image of ``preprocessing.size`` with values of 0 … 255; normalisation is inside.

    Attributes:
        role: "detection", "segmentation" or "classification".
        classes: names of the foreground classes.
        preprocessing: how an image becomes the input, and the mean and std that the file itself applies.
        outputs: names of the outputs, in their order.
        postprocess: of detectors, the fields of :class:`PostprocessConfig`, and "is_inside": whether the file applies
            them. If not, boxes are relative to the input's size, and suppression is up to the program.
        quantization: how the file was quantised to int8; empty for floats.
        run: the run it comes from: its folder, backbone and head, the epoch and step of its weights, and their hash;
            empty without a run.
        versions: versions of the packages that wrote it.
    """

    role: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    outputs: tuple[str, ...]
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def thresholds(self) -> PostprocessConfig:
        """Thresholds and limits of a detector."""
        return PostprocessConfig(**{name: self.postprocess[name] for name in PostprocessConfig._fields})

    def as_json(self) -> dict[str, str]:
        """Returns an entry for each field, as JSON text."""
        return {key: json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, entries: Mapping[str, str], path: Path) -> Description:
        """Reads the entries that :meth:`as_json` returns.

        Raises:
            UserError: an entry is missing or damaged; ``path`` names the file in the message.
        """
        keys = [entry.name for entry in fields(cls)]
        missing = [key for key in keys if key not in entries]
        if missing:
            raise UserError(
                f"{path} was not written by litmobile export: its metadata lack {', '.join(missing)}; export the run."
            )
        try:
            values = {key: json.loads(entries[key]) for key in keys}
            values["preprocessing"] = Preprocessing(**lists_to_tuples(values["preprocessing"]))
            described = cls(**lists_to_tuples(values))
            described.check()
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"The metadata of {path} are damaged ({first_line(error)}); export the run again."
            ) from error
        return described

    def check(self) -> None:
        """Raises ValueError if entries contradict each other."""
        if not self.role or self.role != find_role(self.outputs):
            raise ValueError(f"role is {self.role!r}, but outputs are {', '.join(self.outputs)}")
        needed = (*PostprocessConfig._fields, "is_inside") if self.role == "detection" else ()
        if missing := [name for name in needed if name not in self.postprocess]:
            raise ValueError(f"postprocess lacks {', '.join(missing)}")
        if needed and self.postprocess["is_inside"] != ("labels" in self.outputs):
            raise ValueError(f"is_inside contradicts the outputs {', '.join(self.outputs)}")


def lists_to_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``values`` with tuples, of which JSON makes lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def json_path(path: Path) -> Path:
    """Returns the file that describes the exported file ``path``, e.g. ``cells.onnx.json`` for ``cells.onnx``."""
    return path.with_name(path.name + ".json")


def write_description(path: Path, description: Description) -> None:
    """Writes the JSON file beside the exported file ``path``."""
    values = {key: json.loads(text) for key, text in description.as_json().items()}
    write_text(json_path(path), json.dumps(values, indent=1) + "\n")


def read_description(path: Path) -> Description:
    """Reads the JSON file beside the exported file ``path``.

    Raises:
        UserError: it does not exist, or is damaged.
    """
    beside = json_path(path)
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
        entries = {key: json.dumps(value) for key, value in values.items()}
    except FileNotFoundError as error:
        raise UserError(f"{beside} does not exist; it belongs beside {path}, as litmobile export wrote it.") from error
    except (ValueError, AttributeError) as error:
        raise UserError(f"{beside} is damaged: it is not a JSON object; export the run again.") from error
    return Description.from_json(entries, beside)
