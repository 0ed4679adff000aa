"""docs/logs.md has every event as the code declares it, and the code logs nothing else."""

from __future__ import annotations

import ast
import logging
import os
import re
from pathlib import Path
from types import ModuleType

from dbcore.logs import Event
from dbcore.logs.events import NAMES
from dbcore.monitoring.scrub import is_denied
from tests.dbcore.monitoring.events import declared, fields, modules

PAGE = Path(__file__).resolve().parents[3] / "docs" / "logs.md"
BEGIN, END = "<!-- generated: events -->\n", "<!-- end -->"
ALWAYS = {"level", "error", "traceback"}  # parameters of Event.log beside its fields


def row(event: Event) -> str:
    levels = ", ".join(logging.getLevelName(level).lower() for level in sorted(event.levels))
    names = ", ".join(f"`{NAMES.get(name, name)}`" for name in event.fields)
    return f"| {event.message} | {levels} | {event.when} | {names} |"


def table() -> str:
    lines: list[str] = []
    for name in sorted({logger for logger, _ in declared()}):
        of_logger = [event for (logger, _), event in sorted(declared().items()) if logger == name]
        lines += [f"### `{name}`", "", "| message | level | when | fields |", "|---|---|---|---|"]
        lines += [*map(row, of_logger), ""]
    return "\n".join(lines)


def test_the_table_of_events_is_as_they_are_declared() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + BEGIN + table() + END + after
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted)
        text = wanted
    assert text == wanted, "docs/logs.md is old: UPDATE_DOCS=1 make test"


def test_no_two_events_are_called_the_same_and_no_field_is_one_that_is_masked() -> None:
    events = declared().values()
    masked = {
        (event.message, name) for event in events for name in fields(event) if is_denied(name)
    }
    assert not masked, "its values would never be seen"
    for event in events:
        assert event.message == event.message.strip() and "%" not in event.message
        assert event.levels and len(set(event.fields)) == len(event.fields)


def test_events_are_logged_with_the_fields_that_they_declare() -> None:
    seen = 0
    for module in modules():
        for event, given in logged_in(module):
            seen += 1
            unknown = given - set(event.fields) - ALWAYS
            assert not unknown, f"{module.__name__}: {event.message!r} has no {unknown}"
    assert seen > 40


def source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text()


def logged_in(module: ModuleType) -> list[tuple[Event, set[str]]]:
    """The events that a module logs by their names, each with its keywords."""
    found = []
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            event = getattr(module, owner.id, None) if isinstance(owner, ast.Name) else None
            if isinstance(event, Event) and node.func.attr == "log":
                found.append((event, {each.arg for each in node.keywords if each.arg}))
    return found


def test_nothing_is_logged_but_events() -> None:
    own = re.compile(r"getLogger\(|\blogging\.(debug|info|warning|error|exception|critical)\(")
    loggers = [
        module.__name__ for module in modules() if own.search(source(module))
        and module.__name__ != "dbcore.logs.events"
    ]  # fmt: skip
    assert loggers == []
