"""The log: one handler, on standard error; JSON lines for machines or readable ones for people."""

from __future__ import annotations

from typing import Any


def logging_config(form: str, level: str) -> dict[str, Any]:
    """What LOGGING is, in the form json or text.

    `level` is that of the layer and of Django; libraries say warnings and errors alone. DEBUG has
    each SQL statement's shape, where Django notes them (DJANGO_DEBUG).
    """
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
