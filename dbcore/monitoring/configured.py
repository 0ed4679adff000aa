"""The configuration in a process that has its models: what only they can judge is refused, and what
is to be known but stops nothing is told, by the commands' checks and in a server's log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from logging import WARNING
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from dbcore.configuration import Configuration, WrongConfiguration
from dbcore.errors import ConfigurationError
from dbcore.logs import Event
from dbcore.monitoring.alerts.rules import configured_rules
from dbcore.retention.policy import overridden_days

NOTED = Event(
    "dbcore.configuration", (WARNING,), "a variable is not as it seems", ("variable", "text"),
    "a server starts, and a name is set that nothing reads, or two say different things",
)  # fmt: skip
_JUDGES: tuple[Callable[[], object], ...] = (overridden_days, configured_rules)


def configuration_in_force() -> Configuration | None:
    """What the settings were made from; None where a project makes them in another way."""
    found = getattr(settings, "DBCORE_CONFIGURATION", None)
    return found if isinstance(found, Configuration) else None


def refuse_wrong() -> None:
    """Raise WrongConfiguration for values that make no sense for these tables and rules."""
    if problems := tuple(_problems()):
        found = configuration_in_force()
        raise WrongConfiguration("" if found is None else found.environment, problems)


def _problems() -> Iterator[str]:
    for judge in _JUDGES:
        try:
            judge()
        except ConfigurationError as error:
            yield str(error)


def log_notices() -> None:
    """Log what is to be known: for servers, which run no checks."""
    found = configuration_in_force()
    for notice in () if found is None else found.notices:
        NOTED.log(variable=notice.name, text=notice.text)


@register("dbcore")
def check_names(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """One warning for all names that are set and do nothing: nobody reads twenty."""
    found = configuration_in_force()
    if found is None or not found.notices:
        return []
    return [
        Warning(
            "\n".join(("variables are not as they seem:", *(each.text for each in found.notices))),
            hint=NAMES_HINT,
            id="dbcore.W001",
        )
    ]


NAMES_HINT = "Take them out or mend them; `manage.py configuration` shows what is in force."
