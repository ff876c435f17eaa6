"""Finds and reads the lists of class names that annotation programs write beside their files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from .....errors import DataError
from ....data.files import read_text
from ....data.split import check_distinct
from ..listing import Listing
from .fields import FieldError, format_value, parse_integer, parse_name

YAML = (".yaml", ".yml")
#: files with one class name in each line
LISTS = ("classes.txt", "class_names.txt", "obj.names", "labelmap.txt", "_darknet.labels")
#: a list that labelImg comes with; used only where no other is
DEFAULT_LIST = "predefined_classes.txt"
NOT_CLASSES = ("background", "_background_", "__background__", "__ignore__")
YAML_KEY = re.compile(r"""^["']?(names|train|val)["']?\s*:""", re.MULTILINE)
#: CVAT's name:red,green,blue:parts:actions
LABELMAP_LINE = re.compile(r"(?P<name>.+?):(?:\d+,\s*\d+,\s*\d+)?:[^:]*:[^:]*")


class ClassList(NamedTuple):
    """Names of classes in order.

    Attributes:
        file: the list, relative to the data set's folder.
        names: the names, which differ.
    """

    file: str
    names: tuple[str, ...]

    def without_background(self) -> ClassList:
        """Returns the list without the names that programs use for the background and for regions to ignore."""
        return self._replace(names=tuple(name for name in self.names if name.lower() not in NOT_CLASSES))


class DataYaml(NamedTuple):
    """A YAML file that describes a data set in YOLO's format.

    Attributes:
        file: the file, relative to the data set's folder.
        content: its values, all as text, lists and dictionaries.
        classes: the classes that it names; None if it names only the splits.
    """

    file: str
    content: dict[str, Any]
    classes: ClassList | None


class TextLoader(yaml.BaseLoader):
    """Creates only text, lists and dictionaries, whose keys differ; safe_load would turn the class "no" into False."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value} occurs again", problem_mark=key.start_mark
                )
            keys.add(str(key.value))
        return super().construct_mapping(node, deep)


def find_class_list(listing: Listing) -> ClassList | None:
    """Returns the class list of a folder; None if it has none.

    Raises:
        DataError: a list cannot be read, or two lists differ.
    """
    data = find_data_yaml(listing)
    files = [name for name in listing.files if is_class_list(name)]
    files = files or [name for name in listing.files if PurePosixPath(name).name == DEFAULT_LIST]
    lists = [data.classes] if data and data.classes else []
    lists += [read_class_list(listing.root, name) for name in files]
    for other in lists[1:]:
        if other.without_background().names != lists[0].without_background().names:
            raise DataError(f"{listing.root / lists[0].file} and {other.file} list different classes; keep one.")
    return lists[0] if lists else None


def is_class_list(name: str) -> bool:
    """Whether a file is named like a list of classes."""
    file = PurePosixPath(name).name.lower()
    return file in LISTS or file.endswith(".names")


def read_class_list(root: Path, name: str) -> ClassList:
    """Reads the list ``name`` with one class in each line.

    Raises:
        DataError: the list is empty, has a gap, names a class twice, or is not encoded as UTF-8.
    """
    lines = read_text(root / name).rstrip().splitlines()
    if PurePosixPath(name).name.lower() == "labelmap.txt":
        matches = [(LABELMAP_LINE.fullmatch(line.strip()), line) for line in lines if not line.startswith("# ")]
        lines = [match["name"] if match else line for match, line in matches]
    return ClassList(name, check_names(lines, root / name, "line", first=1))


def check_names(names: Sequence[object], file: Path, what: str, first: int) -> tuple[str, ...]:
    """Returns the names of classes as text.

    Args:
        names: names as they are in ``file``.
        file: the list.
        what: what holds a name, for messages, e.g. "line".
        first: number of the first name, for messages.

    Raises:
        DataError: there is no name, a value is not a name, or two are equal.
    """
    if not names:
        raise DataError(f"{file} lists no classes.")
    parsed: list[str] = []
    for number, name in enumerate(names, start=first):
        try:
            parsed.append(parse_name(name))
        except FieldError as error:
            raise DataError(f"{file}: {what} {number} has the name {error}.") from error
    check_distinct(parsed, file)
    return tuple(parsed)


def find_data_yaml(listing: Listing) -> DataYaml | None:
    """Returns the YAML file with class names, or with both splits, that is nearest to the root; None if there is none.

    Raises:
        DataError: the file is not YAML, or there are several.
    """
    texts = {name: read_text(listing.root / name) for name in listing.files if name.lower().endswith(YAML)}
    keys = {name: set(YAML_KEY.findall(text)) for name, text in texts.items()}
    names = [name for name in keys if "names" in keys[name] or {"train", "val"} <= keys[name]]
    depth = min((name.count("/") for name in names), default=0)
    names = [name for name in names if name.count("/") == depth]
    if len(names) > 1:
        raise DataError(f"{listing.root} has several YAML files for the data set, {' and '.join(names[:2])}; keep one.")
    return parse_data_yaml(texts[names[0]], listing.root, names[0]) if names else None


def parse_data_yaml(text: str, root: Path, name: str) -> DataYaml:
    """Parses the content of a data set's YAML file, whose names are a list or a dictionary with the keys 0, 1, ….

    Raises:
        DataError: the file is not YAML, or its names are not of this kind.
    """
    file = root / name
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise DataError(f"{file} has YAML aliases, which can expand to any length; write the values themselves.")
        content = yaml.load(text, Loader=TextLoader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(f"{file} is not a YAML file: {error.problem or error.context}{line}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{file} is not a YAML file: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} does not describe a data set; it needs the keys names, train and val.")
    if "names" not in content:
        return DataYaml(name, content, None)
    names = content["names"]
    if isinstance(names, dict):
        names = order_names(names, file)
    if not isinstance(names, list):
        raise DataError(f"{file} has the names {format_value(names)}, which are neither a list nor a dictionary.")
    classes = ClassList(name, check_names(names, file, "class", first=0))
    count = content.get("nc")
    if count is not None and count != str(len(names)):
        raise DataError(f"{file} has {len(names)} names, but nc is {count}; correct one of them.")
    return DataYaml(name, content, classes)


def order_names(names: dict[str, object], file: Path) -> list[object]:
    """Returns the names in the order of their indices, which are the keys.

    Raises:
        DataError: the keys are not 0, 1, ….
    """
    try:
        by_index = {parse_integer(key): name for key, name in names.items()}
    except FieldError as error:
        raise DataError(f"{file}: the names have the key {error}.") from error
    if sorted(by_index) != list(range(len(names))):
        raise DataError(f"{file}: the names have the keys {', '.join(names)[:60]} instead of 0 to {len(names) - 1}.")
    return [by_index[index] for index in range(len(names))]
