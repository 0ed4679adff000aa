"""What is declared of variables, as values. Knows no variable and no environment's contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbcore.configuration.kinds import Integer, Json, Kind, ListOf, Number, Pairs

if TYPE_CHECKING:
    from dbcore.configuration.reading import Configuration

ENVIRONMENTS = ("development", "production", "test")
Problem = str  # a sentence: the variable's name, what is wrong, what to do
# Looks at several variables, or at one in an environment.
Rule = Callable[["Configuration"], Iterator[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable. `default` is text as it would be typed, for all environments or by
    environment; where it is "", so is the variable's value (an empty list, and so on)."""

    name: str
    kind: Kind
    sentence: str
    group: str = ""
    default: str | Mapping[str, str] = ""
    secret: bool = False
    # In which environments it must be set.
    required: tuple[str, ...] = ()
    # Whether "" is a value of it, also where the default is another.
    empty: bool = False
    # Names that count, in this order, where this one is not set.
    otherwise: tuple[str, ...] = ()
    example: str = ""
    # How a value is shown whose secret is but a part of it.
    masked: Callable[[str], str] | None = None

    def default_in(self, environment: str) -> str:
        """The default's text in an environment."""
        if isinstance(self.default, str):
            return self.default
        return self.default.get(environment, self.default.get("", ""))

    def may_be_empty(self, environment: str) -> bool:
        """Whether "" is a value of it."""
        if self.empty:
            return True
        return self.default_in(environment) == "" and not isinstance(self.kind, Integer | Number)

    def parse(self, text: str) -> Any:
        """The value of a text. Raises ValueError."""
        if text:
            return self.kind.parse(text)
        if isinstance(self.kind, ListOf):
            return []
        return {} if isinstance(self.kind, Pairs | Json) else ""

    def shown(self, text: str) -> str:
        """The text, as everybody may see it."""
        if not text:
            return ""
        if self.masked is not None:
            return self.masked(text)
        return "***" if self.secret else text


def in_group(group: str, *variables: Variable) -> tuple[Variable, ...]:
    """The variables, in a group of the templates and of the documents."""
    return tuple(dataclasses.replace(each, group=group) for each in variables)


@dataclass(frozen=True, slots=True)
class Registry:
    """Variables, the rules between them, and what is known of names that are none."""

    variables: tuple[Variable, ...] = ()
    rules: tuple[Rule, ...] = ()
    # Earlier names, and what to do about each, as the end of the sentence "… is not read: …".
    retired: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()  # of names that look like ours
    foreign: tuple[str, ...] = ()  # and of those that begin so, and are read by others

    def __add__(self, other: Registry) -> Registry:
        """Both, the variables of one group beside one another."""
        variables = self.variables + other.variables
        groups = list(dict.fromkeys(each.group for each in variables))
        return Registry(
            tuple(sorted(variables, key=lambda each: groups.index(each.group))),
            self.rules + other.rules,
            {**self.retired, **other.retired},
            self.prefixes + other.prefixes,
            self.foreign + other.foreign,
        )

    def __getitem__(self, name: str) -> Variable:
        """The variable of a name. KeyError where there is none."""
        for each in self.variables:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is read."""
        own = (each.name for each in self.variables)
        others = (name for each in self.variables for name in each.otherwise)
        return tuple(dict.fromkeys((*own, *others)))
