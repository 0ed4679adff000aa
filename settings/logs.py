"""The log: one handler, on standard error; JSON lines for machines or readable ones for people."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.core.exceptions import ImproperlyConfigured

FORMATS = ("json", "text")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_config(form: str, level: str) -> dict[str, Any]:
    """What LOGGING is; ImproperlyConfigured for a format or level that is none.

    `level` is that of the layer and of Django; libraries say warnings and errors alone. DEBUG has
    each SQL statement's shape, where Django notes them (DJANGO_DEBUG).
    """
    if form not in FORMATS:
        raise ImproperlyConfigured(f"LOG_FORMAT is {form!r}; it must be json or text.")
    if level not in LEVELS:
        raise ImproperlyConfigured(
            f"LOG_LEVEL is {level!r}; it must be one of {', '.join(LEVELS)}."
        )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "dbcore.monitoring.lines.formatting.LineFormatter", "form": form}
        },
        "handlers": {
            "console": {
                "()": "dbcore.monitoring.lines.console.Console",
                "told": form == "json",
                "formatter": "line",
            }
        },
        "root": {"level": "WARNING", "handlers": ["console"]},
        "loggers": _loggers(level),
    }


def _loggers(level: str) -> dict[str, Any]:
    own = {"level": level}
    # Django's own debugging lines are of templates and files that are watched.
    django = {"level": "INFO" if level == "DEBUG" else level, "handlers": []}
    return {
        "dbcore": own,
        "daylight": own,
        "django": django,
        "django.server": {**django, "propagate": True},
        "django.db.backends": own,
    }


def proxies(given: list[str]) -> list[str]:
    """REQUEST_ID_PROXIES; ImproperlyConfigured where one is no address, network or "unix"."""
    for each in given:
        try:
            if each != "unix":
                ipaddress.ip_network(each)
        except ValueError as error:
            raise ImproperlyConfigured(f"REQUEST_ID_PROXIES: {error}, and not unix.") from None
    return given
