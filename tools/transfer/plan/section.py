"""A mapping of the plan, whose values are taken one by one and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ....errors import UserError, suggest

ALL = "all"


class Section:
    """A mapping of the plan, whose values are taken one by one and checked.

    Args:
        content: what the file has at this place.
        place: where this is, for messages, e.g. "plan.yaml: tasks.cells".
        keys: keys that the mapping may have.

    Raises:
        UserError: it is not a mapping, or has an unknown key.
    """

    def __init__(self, content: Any, place: str, keys: Sequence[str]) -> None:
        if not isinstance(content, dict):
            raise UserError(f"{place} must have the keys {', '.join(keys)} below it, not {content!r}.")
        for key in content:
            if key not in keys:
                raise UserError(f"{place}: {key!r} is not a key of a plan{suggest(str(key), keys)}")
        self.content = content
        self.place = place

    def take(self, key: str, kind: str, is_valid: Callable[[Any], bool], default: Any = None) -> Any:
        """Returns the value of ``key``, or ``default``, which is required to be valid, if it is absent.

        Raises:
            UserError: the value is not ``kind``, e.g. "text".
        """
        value = self.content.get(key, default)
        if not is_valid(value):
            where = f"{self.place}: {key}"
            raise UserError(
                f"{where} must be {kind}, not {value!r}." if key in self.content else f"{where} is missing."
            )
        return value

    def take_list(self, key: str, kind: str, is_valid: Callable[[Any], bool], default: Any = None) -> tuple[Any, ...]:
        """Returns the values of a list without repetitions, each of which must be valid."""

        def is_valid_list(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(is_valid(entry) for entry in value)

        values = self.take(key, f"a list of {kind}", is_valid_list, default)
        for position, value in enumerate(values):
            if value in values[:position]:
                raise UserError(f"{self.place}: {key} has {value!r} twice; leave one out.")
        return tuple(values)

    def take_names(self, key: str, known: Collection[str], default: Any = None) -> tuple[str, ...]:
        """Returns the names under ``key``, each one of ``known``; "all" stands for all of them."""
        value = self.content.get(key, default)
        if value == ALL:
            return tuple(known)
        names = self.take_list(key, f"names, or {ALL}", is_text, default)
        for name in names:
            if name not in known:
                raise UserError(f"{self.place}: {key} has {name!r}, which is unknown{suggest(name, known)}")
        return names

    def take_options(self) -> tuple[str, ...]:
        """Returns options of ``litmobile fit``."""
        options = self.content.get("options") or []
        is_list = isinstance(options, list) and all(isinstance(word, str) for word in options)
        if not is_list or (options and not options[0].startswith("--")):
            example = "a list of options such as [--trainer.max_epochs=30]"
            raise UserError(f"{self.place}: options must be {example}, not {options!r}.")
        return tuple(options)


def is_text(value: Any) -> bool:
    """Whether ``value`` is text that is not empty."""
    return isinstance(value, str) and bool(value.strip())


def is_share(value: Any) -> bool:
    """Whether ``value`` is above 0 and at most 1."""
    return is_number(value) and 0 < value <= 1


def is_part(value: Any) -> bool:
    """Whether ``value`` is above 0 and below 1."""
    return is_share(value) and value < 1


def is_positive(value: Any) -> bool:
    """Whether ``value`` is a positive finite number."""
    return is_number(value) and 0 < value < math.inf


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, but not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_percentage(value: Any) -> bool:
    """Whether ``value`` is above 0 and at most 100."""
    return is_number(value) and 0 < value <= 100


def is_count(value: Any) -> bool:
    """Whether ``value`` is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
