"""Reads and writes the YAML of configurations: words stay words, and no file can take much memory.

YAML 1.1 reads yes, no, on and off as booleans, 007 as 7 and 1:30 as 90. Here only true and false are booleans, and only
numbers in their usual form are numbers; all else is text, which an option of another type converts. Tags that build
objects are refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import _paths, set_dumper, set_loader

from ...errors import UserError

MAX_BYTES = 1_000_000  # the longest shipped configuration has 4,000
MAX_VALUES = 100_000  # after all aliases are replaced by what they stand for
MAX_DEPTH = 50
TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"
DIGITS, EXPONENT = "[0-9]+", "[eE][-+]?[0-9]+"
#: tag, form and possible first characters of the plain scalars that are not text
PLAIN_FORMS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("int", r"0|-?[1-9][0-9]{0,17}", [*"-0123456789"]),
    ("float", rf"[-+]?({DIGITS}\.[0-9]*({EXPONENT})?|\.{DIGITS}({EXPONENT})?|{DIGITS}{EXPONENT})", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
    ("merge", r"<<", ["<"]),
)


class ConfigLoader(yaml.SafeLoader):
    """Reads plain scalars by :data:`PLAIN_FORMS`."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 — as PyYAML declares it
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:  # now, because PyYAML's time grows with the square of the depth
            raise yaml.YAMLError(TOO_DEEP)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class ConfigDumper(yaml.SafeDumper):
    """Quotes text that this or another program would read as something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for tag, form, first in PLAIN_FORMS:
    for reader_or_writer in (ConfigLoader, ConfigDumper):
        reader_or_writer.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{form})$"), first)


def load_yaml(text: str) -> Any:
    """Parses ``text``.

    Raises:
        yaml.YAMLError: it is not valid YAML, too deeply nested, or its aliases stand for too much.
    """
    loader = ConfigLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        measure(node, {})
        return loader.construct_document(node)
    except (ValueError, KeyError, AttributeError) as error:  # PyYAML's own for a wrong value after a tag such as !!int
        raise yaml.YAMLError("a value does not fit its tag") from error
    finally:
        loader.dispose()


def measure(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Counts the values in ``node`` and the levels of their nesting, with what aliases stand for in their place.

    Args:
        node: a value, or the whole document.
        known: results by the nodes' identities, so that the time does not grow with the aliases; changed in place.

    Raises:
        yaml.YAMLError: there are too many values, or they are nested too deeply or in themselves.
    """
    if id(node) not in known:
        known[id(node)] = (1, MAX_DEPTH + 1)  # found again if the node contains itself
        entries = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for entry in entries for part in (entry if isinstance(entry, tuple) else (entry,))]
        inner = [measure(part, known) for part in parts]
        known[id(node)] = (1 + sum(count for count, _ in inner), 1 + max((depth for _, depth in inner), default=0))
    count, depth = known[id(node)]
    if depth > MAX_DEPTH:
        raise yaml.YAMLError(TOO_DEEP)
    if count > MAX_VALUES:
        raise yaml.YAMLError(f"it has more than {MAX_VALUES:,} values, with those that aliases stand for")
    return count, depth


def load_value(text: str) -> Any:
    """Parses the value of an option; "C:" and "{a, b}" stay text, because mappings without values are no values."""
    value = load_yaml(text)
    has_no_values = isinstance(value, dict) and value and all(entry is None for entry in value.values())
    return text if has_no_values and "\n" not in text.strip() else value


def dump_yaml(value: Any) -> str:
    """Writes ``value`` so that :func:`load_yaml`, and other programs, read the same."""
    return yaml.dump(value, Dumper=ConfigDumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


def read_yaml(file: Path) -> dict[str, Any]:
    """Reads the configuration in ``file``.

    Raises:
        UserError: the file is not valid YAML, is too large, or does not contain keys.
    """
    content = read_document(file)
    if content is None:
        raise UserError(f"{file} is empty: a configuration has keys such as model and data.")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "one value"
        raise UserError(f"{file} contains {kind}: a configuration has keys such as model and data.")
    for key in content:
        if not isinstance(key, str):
            raise UserError(f"{file} has the key {key!r}: a configuration has keys such as model and data.")
    return content


def read_document(file: Path) -> Any:
    """Reads the YAML in ``file``.

    Raises:
        UserError: it is not an ordinary file, not valid YAML, or too large.
    """
    if not file.is_file():  # reading a FIFO or a device may never end
        raise UserError(f"{file} is not a configuration: it is not an ordinary file.")
    if file.stat().st_size > MAX_BYTES:
        raise UserError(f"{file} is not a configuration: it is longer than {MAX_BYTES:,} bytes.")
    try:
        return load_yaml(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not a configuration: byte {error.start + 1} is not UTF-8 text.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {explain_error(error)}.") from error


def read_option_file(self: _paths.Path, mode: str = "r") -> str:
    """Reads a file that an option names in place of its value; replaces jsonargparse's own method.

    Raises:
        UserError: it contains no options; see :func:`read_document`.
    """
    content = read_document(Path(self.absolute))
    if not isinstance(content, dict | list):  # jsonargparse would print it as a wrong name
        raise UserError(f"{self.relative} is not a configuration: it has no keys.")
    return dump_yaml(content)


def explain_error(error: yaml.YAMLError) -> str:
    """Returns the reason of a YAML error and its line, without the parser's inner state."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1} is not text ({error.reason})"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return " ".join(str(error).split()).rstrip(".")
    problem = getattr(error, "problem", None) or getattr(error, "context", "")
    if "'\\t'" in problem:
        problem = "tabs do not indent YAML, use spaces"
    return f"line {mark.line + 1}: {problem}"


_paths.Path.get_content = read_option_file
set_loader("yaml", load_value, (yaml.YAMLError,))
set_dumper("yaml", dump_yaml)
