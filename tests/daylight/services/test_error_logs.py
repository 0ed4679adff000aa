"""Errors written down: whatever was raised, it can be kept; and found again by severity."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from daylight.models import ErrorLog
from daylight.services.error_logs import (
    MESSAGE_BYTES,
    NAME_LENGTH,
    STACK_BYTES,
    error_logging_service,
)
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord, RecordNotFound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """An exception that has been raised, with its traceback."""
    try:
        raise error from cause
    except Exception as caught:
        return caught


def kept(error_id: str) -> ErrorLog:
    found = primary_store().get(ErrorLog, {"id": error_id})
    assert found is not None
    return found


def logged(at: int, severity: str, error_id: str) -> None:
    """An error of an earlier time, which the service itself would not write."""
    time = NOON + dt.timedelta(seconds=at)
    primary_store().add(ErrorLog(id=error_id, name="E", timestamp=time, severity=severity))  # type: ignore[misc]


def test_an_error_of_a_class_without_a_name_has_the_name_of_what_it_derives_from() -> None:
    nameless = type("", (type("", (LookupError,), {}),), {})
    entry = error_logging_service.log_error(raised(nameless("lost")))
    assert (kept(entry.id).name, kept(entry.id).message) == ("LookupError", "lost")


def test_an_error_is_kept_with_its_traceback_and_its_cause() -> None:
    error = raised(ValueError("no such lake"), cause=raised(KeyError("bled")))
    entry = error_logging_service.log_error(error, {"lake": "Bled"}, "ana", "high")
    found = kept(entry.id)
    assert (found.name, found.message) == ("ValueError", "no such lake")
    assert (found.context, found.user_id, found.severity) == ({"lake": "Bled"}, "ana", "high")
    assert "KeyError: 'bled'" in found.stack and "in raised" in found.stack
    assert found.stack.endswith("ValueError: no such lake\n")
    assert found.resolved is False


def test_an_error_is_kept_without_the_secrets_that_it_quotes() -> None:
    secret = "two words"
    cause = raised(KeyError(f"token='{secret}'"))
    error = raised(ValueError(f"refused password='{secret}' of plan 7"), cause)
    found = kept(error_logging_service.log_error(error).id)
    assert found.message == "refused password='***' of plan 7"
    assert secret not in found.stack.replace('secret = "two words"', "")
    assert "of plan 7" in found.stack


def test_an_error_that_was_never_raised_is_kept_too() -> None:
    entry = error_logging_service.log_error(RuntimeError())
    assert (entry.name, entry.message, entry.severity) == ("RuntimeError", "", "medium")
    assert kept(entry.id).stack == "RuntimeError\n"


class Broken(Exception):
    """Cannot even say what is wrong."""

    def __str__(self) -> str:
        raise OSError("nor can this")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 2_000_000),
        ValueError("日" * 500_000),
        ValueError("\ud800" * 300_000),
        ValueError("a\0b"),
        Broken(),
        type("E" * 300, (Exception,), {})("long name"),
        ExceptionGroup("many", [ValueError("y" * 50_000) for _ in range(20)]),
        KeyboardInterrupt(),
    ],
    ids=["huge", "wide", "surrogates", "NUL", "broken", "name", "group", "interrupt"],
)
def test_whatever_was_raised_fits(error: BaseException) -> None:
    context = {"request": "z" * 300_000}
    found = kept(error_logging_service.log_error(error, context).id)
    assert len(found.name) <= NAME_LENGTH
    assert len(found.message.encode()) <= MESSAGE_BYTES
    assert len(found.stack.encode()) <= STACK_BYTES
    assert found.name and found.stack


def test_a_long_message_keeps_its_beginning_and_a_long_traceback_its_end() -> None:
    error = ValueError("first " + "日" * 40_000 + " last")
    entry = error_logging_service.log_error(error)
    assert entry.message.startswith("first 日") and entry.message.endswith("日…")
    assert entry.stack.startswith("…日") and entry.stack.endswith("日 last\n")


def test_errors_of_one_severity_are_listed_newest_first() -> None:
    for at, severity in enumerate(["low", "high", "low", "critical", "low"]):
        logged(at, severity, f"e{at}")
    page = error_logging_service.get_error_logs(2, "low")
    assert [entry.id for entry in page] == ["e4", "e2"]
    rest = error_logging_service.get_error_logs(2, "low", page.next_cursor)
    assert [entry.id for entry in rest] == ["e0"] and rest.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 11, 12, 13])
def test_errors_of_all_severities_are_one_list_in_pages_of_any_size(limit: int) -> None:
    severities = ErrorLog.Severity.values
    for at in range(12):  # three at a time at one moment, so that ties cross the pages
        logged(at // 3, severities[at % 4], f"e{at:02}")
    pages, cursor = [], None
    while True:
        page = error_logging_service.get_error_logs(limit, cursor=cursor)
        pages.append([entry.id for entry in page])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [each for page in pages for each in page] == [f"e{at:02}" for at in range(11, -1, -1)]
    assert all(len(page) == limit for page in pages[:-1]) and 0 < len(pages[-1]) <= limit


def test_a_cursor_of_all_severities_is_none_of_one() -> None:
    for at in range(3):
        logged(at, "low", f"e{at}")
    everything = error_logging_service.get_error_logs(1)
    of_one = error_logging_service.get_error_logs(1, "low")
    for severity, cursor in (
        ("low", everything.next_cursor),
        (None, of_one.next_cursor),
        ("high", of_one.next_cursor),
    ):
        with pytest.raises(InvalidRecord) as refused:
            error_logging_service.get_error_logs(1, severity, cursor)
        assert refused.value.field == "cursor"


def test_a_resolved_error_stays_resolved() -> None:
    entry = error_logging_service.log_error(ValueError("x"), {"a": 1})
    assert error_logging_service.resolve_error(entry.id).resolved is True
    assert error_logging_service.resolve_error(entry.id).resolved is True
    found = kept(entry.id)
    assert found.resolved is True and found.context == {"a": 1} and found.stack == entry.stack


def test_an_error_that_is_not_there_cannot_be_resolved() -> None:
    with pytest.raises(RecordNotFound):
        error_logging_service.resolve_error("nothing")
    with pytest.raises(InvalidRecord) as refused:
        error_logging_service.resolve_error("")
    assert refused.value.field == "error_id"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"exception": "ValueError"}, "exception"),
        ({"exception": ValueError}, "exception"),
        ({"context": "text"}, "context"),
        ({"context": {"at": NOON}}, "context"),
        ({"context": {"x": "y" * 500_000}}, "item"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"severity": "fatal"}, "severity"),
        ({"severity": None}, "severity"),
    ],
)
def test_a_bad_entry_is_refused_by_its_field_and_nothing_is_written(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        error_logging_service.log_error(**{"exception": ValueError("x"), **given})
    assert refused.value.field == field
    assert list(error_logging_service.get_error_logs()) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"severity": "fatal"}, "severity"),
        ({"severity": ""}, "severity"),
        ({"severity": 5}, "severity"),
        ({"limit": 0}, "limit"),
        ({"limit": 0, "severity": "low"}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_bad_question_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        error_logging_service.get_error_logs(**given)
    assert refused.value.field == field
