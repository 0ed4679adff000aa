"""Every event that the layer and Daylight log: all modules are imported, so that none is left."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import daylight
import dbcore
from dbcore.logs import EVENTS, Event
from dbcore.logs.events import NAMES

# What every line may have beside an event's own fields.
STANDARD = frozenset({
    "timestamp", "level", "logger", "message", "request_id", "run", "run_id", "process.pid",
    "host.name", "error.message", "exception.type", "exception.message", "exception.stacktrace",
})  # fmt: skip


def modules() -> list[ModuleType]:
    """The modules of both packages."""
    names = [
        each.name
        for package in (dbcore, daylight)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not each.name.endswith(("asgi", "wsgi"))
    ]
    return [importlib.import_module(name) for name in names]


def declared() -> dict[tuple[str, str], Event]:
    """The events by logger and text."""
    modules()
    return {(event.logger, event.message): event for event in EVENTS}


def fields(event: Event) -> set[str]:
    """An event's fields as lines call them."""
    return {NAMES.get(name, name) for name in event.fields}
