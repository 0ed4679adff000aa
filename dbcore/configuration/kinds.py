"""What a variable's text may be, and the value that it is. All that is not exactly that is refused.

A kind's `parse` raises ValueError; `allowed` ends the sentence "it must be …".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dbcore.errors import ConfigurationError

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")


class Refused(ValueError):
    """A text that has no value, in words that quote no secret."""


class Kind(Protocol):
    """A form of text."""

    @property
    def allowed(self) -> str:
        """What is allowed, as a person reads it."""

    def parse(self, text: str) -> Any:
        """The value of a text, which is not empty; ValueError for a text that has none."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """Yes or no."""

    @property
    def allowed(self) -> str:
        return "true or false (or yes, no, on, off, 1, 0)"

    def parse(self, text: str) -> bool:
        lowered = text.lower()
        if lowered not in (*TRUE, *FALSE):
            raise ValueError
        return lowered in TRUE


def _range(low: float, high: float, unit: str) -> str:
    said = f"from {_short(low)} to {_short(high)}"
    return f"{said} ({unit})" if unit else said


def _short(number: float) -> str:
    """A number as people write it: 0.5, 3600, 1000000."""
    return str(int(number)) if float(number).is_integer() else repr(number)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds, both included."""

    low: int
    high: int
    unit: str = ""

    @property
    def allowed(self) -> str:
        return f"a whole number {_range(self.low, self.high, self.unit)}"

    def parse(self, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise ValueError
        return int(text)


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds, both included."""

    low: float
    high: float
    unit: str = ""

    @property
    def allowed(self) -> str:
        return f"a number {_range(self.low, self.high, self.unit)}, without unit or separators"

    def parse(self, text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise ValueError
        found = float(text)
        if not (math.isfinite(found) and self.low <= found <= self.high):
            raise ValueError
        return found


@dataclass(frozen=True, slots=True)
class Share(Number):
    """A share of a whole."""

    low: float = 0.0
    high: float = 1.0

    @property
    def allowed(self) -> str:
        bounds = f"from {_short(self.low)} to {_short(self.high)}"
        return f"a share {bounds}, as a number: 0.05 is 5 %"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, exactly. `folded`: in capitals or not, and kept as it stands here."""

    words: tuple[str, ...]
    folded: bool = False

    @property
    def allowed(self) -> str:
        return f"one of {', '.join(self.words)}"

    def parse(self, text: str) -> str:
        for word in self.words:
            if text == word or (self.folded and text.lower() == word.lower()):
                return word
        raise ValueError


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a form."""

    pattern: str = r".+"
    form: str = "text"

    @property
    def allowed(self) -> str:
        return self.form

    def parse(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class ListOf:
    """Entries separated by commas, none of them empty."""

    entry: Kind

    @property
    def allowed(self) -> str:
        return f"a list, separated by commas, each {self.entry.allowed}"

    def parse(self, text: str) -> list[Any]:
        entries = _entries(text)
        if len(set(entries)) < len(entries):
            raise ValueError("names one twice")
        return [self.entry.parse(each) for each in entries]


@dataclass(frozen=True, slots=True)
class Pairs:
    """NAME=VALUE, separated by commas, no name twice."""

    name: str  # what it is called to people
    value: Kind
    pattern: str = r"[^=,]+"

    @property
    def allowed(self) -> str:
        return (
            f"{self.name}=VALUE,{self.name}=VALUE, no {self.name} twice, each value "
            f"{self.value.allowed}"
        )

    def parse(self, text: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in _entries(text):
            name, equals, value = (each.strip() for each in entry.partition("="))
            if not (equals and value and re.fullmatch(self.pattern, name)):
                raise ValueError(f"has {entry!r}")
            if name in found:
                raise ValueError(f"names {name!r} twice")
            found[name] = self.value.parse(value)
        return found


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object. `judge` raises ConfigurationError for one that makes no sense."""

    example: str
    judge: Callable[[Mapping[str, Any]], object] = lambda found: None

    @property
    def allowed(self) -> str:
        return f"a JSON object on one line, such as {self.example}"

    def parse(self, text: str) -> dict[str, Any]:
        # JSONDecodeError is a ValueError.
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        if not isinstance(found, dict):
            raise ValueError
        _judged(self.judge, found)
        return found


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a function reads: `judge` raises ConfigurationError, or returns what is thrown away or,
    where `keeps` says so, the value."""

    judge: Callable[[str], Any]
    form: str
    keeps: bool = False

    @property
    def allowed(self) -> str:
        return self.form

    def parse(self, text: str) -> Any:
        found = _judged(self.judge, text)
        return found if self.keeps else text


def _judged(judge: Callable[[Any], Any], given: Any) -> Any:
    try:
        return judge(given)
    except ConfigurationError as error:
        raise Refused(str(error)) from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON's")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"has {name!r} twice")
    return dict(pairs)


def _entries(text: str) -> list[str]:
    entries = [each.strip() for each in text.removesuffix(",").split(",")]
    if not all(entries):
        raise ValueError("has an empty entry")
    return entries
