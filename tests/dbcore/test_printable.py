"""What is not to be seen is shown by its escape: it moves no cursor and begins no line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from dbcore import progress
from dbcore.monitoring.lines import crashes
from dbcore.printable import printable, printable_lines, sentence, shortened
from dbcore.terminal import Screen, escape

HOSTILE = (
    "\x1b[31mred\x1b[0m", "a\rb", "\a\b\x7f", "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\u202eabc\u2066", "\x9b31m\x85", "a\nforged line", "\u2028\u2029", "\ud800", "\x00",
    "\U000e0041", "[red]x[/red]", "[/bold]", ":warning:", "back\\slash",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_a_line_and_what_it_was_can_be_told(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    quoted = json.dumps(text, ensure_ascii=False)
    assert json.loads(printable(quoted)) == text


@given(st.text())
def test_any_text_is_printable_and_what_is_so_already_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert all(line.isprintable() for line in printable_lines(text).split("\n"))
    assert sentence(text).isprintable()


def test_what_people_write_in_their_languages_stays() -> None:
    text = "Zoë Müller, 北京市, Ελένη, שלום, 🙂: “10 €”"
    assert printable(text) == text


def test_a_sentence_has_no_line_breaks_and_an_end() -> None:
    assert sentence("refused:\n\tis it\r\nthere?") == "refused: is it there?"
    assert sentence("one two three", 8) == "one two…"
    assert shortened("abc", None) == "abc"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_screen_shows_text_of_others_as_it_is_written(text: str) -> None:
    out = io.StringIO()
    screen = Screen(out, 100)
    table = Table("one", box=None)
    table.add_row(escape(printable(text)))
    screen.say(f"key {text} is wrong", "bold")
    screen.print(table)
    screen.print(f"[bold]{escape(text)}[/bold]")
    said = out.getvalue()
    assert all(each.isprintable() for each in said.split("\n"))
    assert f"key {printable(text)} is wrong\n" in said
    if text.isprintable():
        assert said.count(text) == 3


def all_of(terminal: int) -> str:
    """What was written to a terminal that has been closed: by its other side, to the end."""
    parts = []
    with os.fdopen(terminal, "rb", 0) as reader, contextlib.suppress(OSError):
        while part := reader.read(100_000):
            parts.append(part)
    return b"".join(parts).decode()


def test_a_progress_bar_on_a_terminal_has_none_of_a_tables_own_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bars = progress.watcher()
        assert isinstance(bars, progress.Bars)
        bars.stage("copying \x1b]8;;http://evil.example\x1b\\ \x9b31m")
        bars.begin("\x1b]8;;x\a[red]t[/red]", 2)
        bars.advance(2)
        bars.end()
        bars.close()
    said = all_of(ours)
    assert "\x1b]8" not in said
    assert "\x9b" not in said
    assert r"copying \u001b]8;;http" in said
    assert "[red]t[" in said.replace("\r", "")


def test_an_error_that_nobody_catches_is_told_without_what_it_quotes(
    capsys: Any, settings: Any
) -> None:
    settings.LOG_FORMAT = "text"
    try:
        raise ValueError("row \x1b[31mu-1 has password='two words'")
    except ValueError as error:
        crashes._process_ends(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert "test_printable.py" in said
    assert r"row \u001b[31mu-1 has password='***'" in said
    assert "\x1b" not in said
