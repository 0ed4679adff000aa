"""What a command may do without a person's yes is said by its own option, in one way everywhere;
that nobody is asked is never a yes. What programs read is one document on one line."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from dbcore.management import options
from dbcore.management.tool import PlainCommand

GIVEN = {"accept_loss": False, "no_input": False}


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(options, "sys", SimpleNamespace(stdin=terminal, stderr=terminal))


def agrees(**given: bool) -> bool:
    return options.agrees(PlainCommand(stderr=io.StringIO()), "Go on?", "loss", GIVEN | given)


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize(("said", "meant"), [
    ("y", True), (" YES ", True), ("n", False), ("", False), ("yess", False),
])  # fmt: skip
def test_a_person_is_asked_and_means_what_they_say(
    said: str, meant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda: said)
    assert agrees() is meant


@pytest.mark.usefixtures("at_a_terminal")
def test_nobody_is_asked_where_that_is_said_and_that_is_no_yes() -> None:
    with pytest.raises(CommandError, match="Go on\\? Nobody is asked: say --accept-loss"):
        agrees(no_input=True)


def test_where_nobody_can_be_asked_it_is_refused_as_well() -> None:
    with pytest.raises(CommandError, match="say --accept-loss if that is meant"):
        agrees()


def test_its_own_option_is_a_yes_with_and_without_a_terminal() -> None:
    assert agrees(accept_loss=True)
    assert agrees(accept_loss=True, no_input=True)


def ours() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app in ("dbcore", "daylight"))


@pytest.mark.parametrize("name", ours())
def test_whoever_asks_can_be_told_yes_beforehand_and_names_its_options_as_all_do(name: str) -> None:
    command: Any = load_command_class("dbcore" if name in _of("dbcore") else "daylight", name)
    parser = command.create_parser("manage.py", name)
    actions = {each for action in parser._actions for each in action.option_strings}
    assert ("--no-input" in actions) == any(each.startswith("--accept-") for each in actions)
    by_name = {each: action for action in parser._actions for each in action.option_strings}
    if "--format" in by_name:
        assert (by_name["--format"].choices, by_name["--format"].default) == (
            ("text", "json"),
            "text",
        )


def _of(app: str) -> set[str]:
    return {name for name, of in get_commands().items() if of == app}


@pytest.mark.django_db
@pytest.mark.parametrize("command", [
    ["dead_letters", "list"], ["legal_hold", "list"], ["configuration"],
    ["reconcile_archives", "--quiet"],
])  # fmt: skip
def test_what_programs_read_is_one_document_on_one_line(
    command: list[str], archive_dir: Any
) -> None:
    out = io.StringIO()
    try:
        call_command(*command, "--format", "json", stdout=out)
    except SystemExit:
        pass
    (line,) = out.getvalue().splitlines()
    json.loads(line)
