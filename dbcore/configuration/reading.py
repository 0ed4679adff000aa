"""From an environment's texts to values, all at once: what is wrong is collected, so that a person
mends it in one go, and nothing may start with any of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from dbcore.configuration.kinds import Refused
from dbcore.configuration.registry import Registry, Variable
from dbcore.printable import printable, sentence, shortened

DEFAULT = "default"
ENVIRONMENT = "environment"
_ALIKE = 0.8  # of difflib's ratio: RETENTION_DAY and RETENTION_DAYS
MAX_SHOWN = 200  # characters of a value that is wrong


class WrongConfiguration(ImproperlyConfigured):
    """What is wrong with the configuration, each as a sentence."""

    def __init__(self, environment: str, problems: tuple[str, ...], said: str = "") -> None:
        self.environment = environment
        self.problems = problems
        by = f", says {said}" if said else ""
        super().__init__(
            "\n  ".join((f"the configuration ({environment}{by}) is wrong:", *problems))
            + "\nNothing was started. docs/configuration.md describes every variable."
        )


@dataclass(frozen=True, slots=True)
class Value:
    """One variable's value, and where it came from: an origin's name, or DEFAULT."""

    variable: Variable
    value: Any = field(repr=False)  # it may be a secret, and settings are shown where errors are
    text: str = field(repr=False)
    origin: str

    @property
    def is_set(self) -> bool:
        """Whether somebody has said it."""
        return self.origin != DEFAULT

    @property
    def shown(self) -> str:
        """The value as everybody may see it."""
        return self.variable.shown(self.text)


@dataclass(frozen=True, slots=True)
class Notice:
    """A name that is set and does nothing, or something to know; `text` is a sentence."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force, by variable."""

    environment: str
    values: Mapping[str, Value]
    notices: tuple[Notice, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Any:
        """A variable's value. KeyError where it is not declared, or wrong."""
        return self.values[name].value

    def get(self, name: str) -> Any:
        """The same; None where it is wrong, which rules between variables may meet."""
        found = self.values.get(name)
        return None if found is None else found.value

    def is_set(self, name: str) -> bool:
        """Whether somebody has said it."""
        found = self.values.get(name)
        return found is not None and found.is_set

    def settings(self, registry: Registry) -> dict[str, Any]:
        """Django's settings of the registry's variables: each has its variable's name."""
        return {each.name: self[each.name] for each in registry.variables}


def cleaned(text: str) -> str:
    """A text without what people and editors put around it: blanks, a CR, one pair of quotes."""
    bare = text.strip(" \t\r\n")
    if len(bare) >= 2 and bare[0] == bare[-1] and bare[0] in "'\"":
        return bare[1:-1]
    return bare


def read(
    registry: Registry,
    environment: str,
    given: Mapping[str, str],
    *,
    origins: Mapping[str, str] | None = None,
    problems: tuple[str, ...] = (),
    said: str = "",
) -> Configuration:
    """The configuration that `given` has, name -> text. Raises WrongConfiguration, which has all
    that is wrong, and the `problems` that were found before.

    `origins`: where a name's text came from, where that is not the environment. `said`: who has
    said which environment it is.
    """
    origins = origins or {}
    reader = _Reader(registry, environment, given, origins)
    values = dict(reader.values())
    notices = tuple(_notices(registry, given, origins, values))
    found = Configuration(environment, values, notices, dict(given))
    wrong = [*problems, *reader.problems]
    for rule in registry.rules:
        wrong += rule(found)
    if wrong:
        raise WrongConfiguration(environment, tuple(dict.fromkeys(wrong)), said)
    return found


class _Reader:
    """Reads each variable; `problems` has what was wrong."""

    def __init__(
        self,
        registry: Registry,
        environment: str,
        given: Mapping[str, str],
        origins: Mapping[str, str],
    ) -> None:
        self.registry = registry
        self.environment = environment
        self.given = given
        self.origins = origins
        self.problems: list[str] = []

    def values(self) -> Iterator[tuple[str, Value]]:
        for variable in self.registry.variables:
            found = self._value(variable)
            if found is not None:
                yield variable.name, found

    def _value(self, variable: Variable) -> Value | None:
        name, text = self._text(variable)
        if name is None:
            if self.environment in variable.required:
                self._refuse_missing(variable)
                return None
            text, origin = variable.default_in(self.environment), DEFAULT
        else:
            origin = self._origin(name)
            if name != variable.name:
                origin = f"{name}, {origin}"
            if not text and not self._may_be_empty(variable, name):
                return None
        try:
            return Value(variable, variable.parse(text), text, origin)
        except (ValueError, RecursionError) as error:
            self.problems.append(_sentence(variable, name or variable.name, text, origin, error))
            return None

    def _text(self, variable: Variable) -> tuple[str | None, str]:
        """The name that counts and its text; None where none is set."""
        names = (variable.name, *variable.otherwise)
        if not variable.otherwise:
            names = (variable.name,)
            return (variable.name, self._cleaned(variable)) if variable.name in self.given else (
                None, "",
            )  # fmt: skip
        for name in names:
            if text := cleaned(self.given.get(name, "")):
                return name, text
        return None, ""

    def _cleaned(self, variable: Variable) -> str:
        return cleaned(self.given[variable.name])

    def _may_be_empty(self, variable: Variable, name: str) -> bool:
        if self.environment in variable.required:
            self._refuse_missing(variable)
            return False
        if variable.may_be_empty(self.environment):
            return True
        default = variable.default_in(self.environment)
        self.problems.append(
            f"{name} is empty ({self._origin(name)}); it must be {variable.kind.allowed}: leave "
            f"the line out for {default}"
        )
        return False

    def _refuse_missing(self, variable: Variable) -> None:
        others = f" (or {' or '.join(variable.otherwise)})" if variable.otherwise else ""
        example = f", such as {variable.example}" if variable.example else ""
        state = "is empty" if variable.name in self.given else "is not set"
        self.problems.append(
            f"{variable.name}{others} {state}, and {self.environment} needs it: "
            f"{variable.kind.allowed}{example}"
        )

    def _origin(self, name: str) -> str:
        return self.origins.get(name, ENVIRONMENT)


def _sentence(variable: Variable, name: str, text: str, origin: str, error: Exception) -> str:
    # Of a text that is not understood, nobody knows which part of it is the secret.
    hidden = variable.secret or variable.masked is not None
    value = (
        "has a value that is not shown here;" if hidden else f"is {shortened(text, MAX_SHOWN)!r};"
    )
    why = ""
    if str(error) and (isinstance(error, Refused) or not hidden):
        why = f": {sentence(str(error), MAX_SHOWN)}"
    return f"{name} {value} it must be {variable.kind.allowed}{why} ({origin})"


def _notices(
    registry: Registry,
    given: Mapping[str, str],
    origins: Mapping[str, str],
    values: Mapping[str, Value],
) -> Iterator[Notice]:
    known = registry.names
    for name in sorted(given):
        if name in known:
            continue
        origin = origins.get(name, ENVIRONMENT)
        if name in registry.retired:
            yield Notice(name, f"{name} ({origin}) is not read: {registry.retired[name]}")
        elif name.startswith(registry.prefixes) and not name.startswith(registry.foreign):
            close = difflib.get_close_matches(name, known, 1, _ALIKE)
            meant = f"is {close[0]} meant?" if close else "docs/configuration.md has those that are"
            yield Notice(name, f"{name} ({origin}) is no variable that anything reads: {meant}")
    for value in values.values():
        names = (value.variable.name, *value.variable.otherwise)
        said = {name: text for name in names if (text := cleaned(given.get(name, "")))}
        if len(set(said.values())) > 1:
            shown = {name: value.variable.shown(text) for name, text in said.items()}
            listed = ", ".join(f"{name}={printable(text)}" for name, text in shown.items())
            yield Notice(
                value.variable.name, f"{listed}: they differ, and {next(iter(said))} counts"
            )
