"""Which settings module is in force: DAYLIGHT_ENV (or NODE_ENV, its earlier name) chooses."""

from __future__ import annotations

import os

ENVIRONMENTS = ("development", "production", "test")


def settings_module() -> str:
    """The dotted name for DJANGO_SETTINGS_MODULE; SystemExit for an environment unknown here."""
    name = os.environ.get("DAYLIGHT_ENV") or os.environ.get("NODE_ENV") or "development"
    if name not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        raise SystemExit(f"DAYLIGHT_ENV (or NODE_ENV) is {name!r}; it must be one of: {known}")
    return f"settings.{name}"
