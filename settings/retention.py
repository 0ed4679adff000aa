"""What may be said of retention, as variables have it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


def retention_days(text: str) -> dict[str, str]:
    """Days by table, as they were typed, from "plans=400,users=3650"."""
    days: dict[str, str] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        table, equals, found = (each.strip() for each in entry.partition("="))
        if not (table and equals and found):
            raise ImproperlyConfigured(
                f"RETENTION_DAYS must be TABLE=DAYS,TABLE=DAYS, and {entry!r} is no TABLE=DAYS."
            )
        if table in days:
            raise ImproperlyConfigured(f"RETENTION_DAYS names {table!r} twice.")
        days[table] = found
    return days


def share(name: str, text: str) -> float:
    """A share of a whole: 0.2 is a fifth."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:  # nan is not, either
        raise ImproperlyConfigured(
            f"{name} is {text!r}; it must be a share from 0 to 1: 0.2 is 20 %, 1 asks never."
        )
    return found
