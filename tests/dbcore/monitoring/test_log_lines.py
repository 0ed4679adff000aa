"""Whatever is logged, and by whom: one line, of the form that was asked for, without what is secret
or personal."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from logging import WARNING
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from daylight.models import User
from dbcore import logs, progress
from dbcore.logs import Event
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health import run_checks
from dbcore.monitoring.health.changes import CHANGES
from dbcore.monitoring.health.results import CheckResult, Status
from dbcore.monitoring.lines import crashes
from dbcore.monitoring.lines.console import Console
from dbcore.monitoring.lines.formatting import LineFormatter

Line = dict[str, Any]


class Kept(logging.Handler):
    """Keeps lines as they would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.written: list[str] = []
        self.setFormatter(LineFormatter("json"))

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))

    @property
    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.written]


@pytest.fixture
def kept(caplog: pytest.LogCaptureFixture) -> Iterator[Kept]:
    """All that is logged from here on, as JSON."""
    caplog.set_level(logging.INFO, "dbcore")
    handler, root = Kept(), logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


SAID = (
    ("mail to ana@example.org", "mail to ***@***"),
    ("from 203.0.113.9 and 2001:db8::7, not 127.0.0.1", "from *** and ***, not 127.0.0.1"),
    ("key AKIAIOSFODNN7EXAMPLE", "key ***"),
    ("Authorization: Bearer abcdef0123456789", "Authorization: ***"),
    ("postgres://daylight:pa55word@db:5432/x", "postgres://***@db:5432/x"),
    ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/***"),
    ("users/u-1 does not exist", "users/*** does not exist"),
    ('Key (email)=(x@y.org) already exists', "Key (email)=(***) already exists"),
    ("session 0123456789abcdef0123456789abcdef01", "session ***"),
    ("one\nline", "one line"),
)  # fmt: skip


@pytest.mark.parametrize(("said", "written"), SAID)
def test_what_any_library_says_is_scrubbed_in_its_text_and_parameters(
    kept: Kept, said: str, written: str
) -> None:
    library = logging.getLogger("some.package")
    library.warning(said)
    library.warning("%s", said)
    library.warning("constant", extra={"email": said, "anything": said})
    assert [line["message"] for line in kept.lines] == [written, written, "constant"]
    assert kept.lines[2].keys() == {
        "timestamp", "level", "logger", "message", "run_id", "process.pid", "host.name",
    }  # fmt: skip


def test_fields_of_events_are_scrubbed_too_whatever_a_caller_puts_into_them(kept: Kept) -> None:
    event = Event("dbcore.test", (WARNING,), "of a test", ("table", "sentence", "list"), "never")
    logs.EVENTS.remove(event)
    event.log(table="plans", sentence="of ana@example.org", list=[{"email": "x", "count": 2}],
              error="ana@example.org")  # fmt: skip
    (line,) = kept.lines
    assert line["db.collection.name"] == "plans" and line["sentence"] == "of ***@***"
    assert line["list"] == [{"email": "***", "count": 2}] and line["error.type"] == "other"


def test_an_error_is_told_by_its_class_and_place_and_so_are_those_behind_it(kept: Kept) -> None:
    try:
        try:
            _ = {}["u-1 ana@example.org"]
        except KeyError as error:
            raise ValueError("the value s3cr3t of users/u-1") from error
    except ValueError:
        logging.getLogger("some.package").exception("it failed")
    (line,) = kept.lines
    trace = line["exception.stacktrace"]
    assert line["exception.type"] == "ValueError" and "exception.message" not in line
    assert trace.index("\nKeyError\nwhich led to:\n") < trace.index("raise ValueError(")
    assert trace.endswith("\nValueError")
    assert "ana@example" not in trace.replace('{}["u-1 ***@***"]', "")


def test_what_cannot_be_formatted_is_told_by_its_logger_alone() -> None:
    odd = LineFormatter("json").format(
        logging.makeLogRecord({"name": "x", "msg": "a \ud83d surrogate"})
    )
    assert json.loads(odd)["message"] == r"a \ud83d surrogate"
    wrong = {"name": "some.package", "msg": "of %d", "args": ("ana@example.org",)}
    written = LineFormatter("json").format(logging.makeLogRecord(wrong))
    line = json.loads(written)
    assert (line["logger"], line["message"]) == ("some.package", "a line could not be written")
    assert line["error.type"] == "TypeError" and "example" not in written


@pytest.mark.django_db
def test_a_sql_statement_that_django_notes_has_no_parameters(kept: Kept, settings: Any) -> None:
    logger, before = logging.getLogger("django.db.backends"), connection.force_debug_cursor
    level = logger.level
    logger.setLevel(logging.DEBUG)
    connection.force_debug_cursor = True
    try:
        User.objects.filter(email="ana@example.org", id="u-1").exists()
    finally:
        connection.force_debug_cursor = before
        logger.setLevel(level)
    (line,) = kept.lines
    assert line["message"] == "SQL statement" and line["duration"] >= 0
    assert '"users"."id" = ?' in line["db.query.text"] and "u-1" not in kept.written[0]


@pytest.mark.django_db
def test_what_django_suspects_is_told_without_what_it_quotes(kept: Kept, client: Any) -> None:
    hostile = "hostile-value"
    client.get(f"/{hostile}-é")
    client.get("/admin/", headers={"host": f"{hostile}.example"})
    strict = type(client)(enforce_csrf_checks=True)
    strict.post("/admin/login/", headers={"origin": f"https://{hostile}.example"})
    strict.post("/admin/login/", headers={"referer": f"https://{hostile}.example"}, secure=True)
    told = [line["message"] for line in kept.lines]
    assert told == [
        "Not Found: ***", "suspicious request", "Forbidden (Origin checking failed): admin/login/",
        "Forbidden (Referer checking failed): admin/login/",
    ]  # fmt: skip
    assert kept.lines[1]["error.type"] == "DisallowedHost"
    assert hostile not in "".join(kept.written)


def test_what_gunicorn_cannot_read_it_does_not_quote_here(kept: Kept) -> None:
    tell = logging.getLogger("gunicorn.error")
    tell.warning("Invalid request from ip=127.0.0.1: Invalid HTTP request line: 'GET /ana\n HTTP'")
    tell.warning("Invalid request from ip=::1: Unsupported transfer coding: 'ana'")
    tell.error("Error handling request %s %s", "GET", "/admin/user/ana/")
    tell.warning("Listening at: %s", "http://127.0.0.1:8000")
    assert [line["message"] for line in kept.lines] == [
        "Invalid HTTP request line", "Unsupported transfer coding", "Error handling request",
        "Listening at: http://127.0.0.1:8000",
    ]  # fmt: skip


def test_threads_that_are_asked_in_time_log_with_the_ids_of_who_asks(kept: Kept) -> None:
    tell = logging.getLogger("some.package").warning
    with logs.run("a_run", "its-id"):
        in_time({"first": lambda: tell("inside")}, 5)
    logs.begin_request("a-request")
    in_time({"second": lambda: tell("inside")}, 5)
    logs.end_request()
    in_time({"third": lambda: tell("inside")}, 5)
    first, second, third = kept.lines
    assert (first["run"], first["run_id"]) == ("a_run", "its-id")
    assert second["request_id"] == "a-request" and "run_id" not in second
    assert "request_id" not in third and third["run_id"] != "its-id"


def test_a_thread_that_ends_by_an_error_is_told_of_without_its_words(
    kept: Kept, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOG_FORMAT = "json"
    # pytest has put its own there.
    monkeypatch.setattr(threading, "excepthook", crashes._thread_ends)

    def fail() -> None:
        raise LookupError("no u-1")

    thread = threading.Thread(target=fail, name="of-a-test")
    thread.start()
    thread.join()
    (line,) = kept.lines
    assert (line["message"], line["thread"]) == ("thread crashed", "of-a-test")
    assert line["exception.type"] == "LookupError" and "in fail" in line["exception.stacktrace"]


def test_people_read_a_line_with_the_error_below_it() -> None:
    formatter, address = LineFormatter("text"), "203.0.113.9"
    try:
        raise ConnectionRefusedError(111, f"refused by {address}")
    except ConnectionRefusedError as error:
        record = logging.LogRecord(
            "some.package", logging.ERROR, __file__, 1, "it is away", (), (type(error), error, None)
        )
    first, *rest = formatter.format(record).splitlines()
    assert "[error    ] it is away" in first and "[some.package]" in first
    assert "{" not in first and rest[-1].startswith("ConnectionRefusedError: ")
    assert address not in "".join(rest)


def test_progress_is_logged_now_and_then_with_what_is_left(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    watch = progress.watcher(progress.RECORDS)
    watch.stage("Restoring archives of plans")
    watch.begin("plans", 10, 2)
    watch.flawed(1)
    watch.advance(1)  # at once: nothing is said
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    watch.advance(3)
    watch.end()
    stage, line = kept.lines
    assert (stage["message"], stage["stage"]) == ("stage begun", "Restoring archives of plans")
    told = {name: line[name] for name in ("part", "done", "total", "unit", "set_aside")}
    assert told == {"part": "plans", "done": 6, "total": 10, "unit": "records", "set_aside": 1}
    assert line["per_second"] > 0 and line["seconds_left"] >= 0


def test_on_a_terminal_the_log_leaves_to_a_command_what_the_command_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {
        level: logging.makeLogRecord({"told": True, "levelno": level})
        for level in (logging.INFO, logging.WARNING)
    }
    for to_machines, watched, quiet, kept in (
        (True, True, False, [logging.INFO, logging.WARNING]),
        (True, False, True, [logging.WARNING]),  # who is mailed what a command writes
        (False, False, False, [logging.INFO, logging.WARNING]),
        (False, True, False, []),
        (False, False, True, []),
    ):
        monkeypatch.setattr("sys.stderr.isatty", lambda watched=watched: watched)
        with logs.command("a_command", quiet=quiet):
            console = Console(told=to_machines)
            assert [level for level, record in told.items() if console.filter(record)] == kept
            assert console.filter(logging.makeLogRecord({}))


def test_a_change_of_health_is_logged_once_and_its_end_too(
    kept: Kept, request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    CHANGES.renew()
    settings.DATABASE_PRIMARY = "dynamodb"

    def look() -> list[CheckResult]:
        return CHANGES.noted(run_checks(["primary_store"], now=timezone.now()))

    settings.DB_HEALTH_DEADLINE = 0.5
    assert look()[0].status is look()[0].status is Status.CRITICAL
    request.getfixturevalue("tables")
    settings.DB_HEALTH_DEADLINE = 5.0
    assert look()[0].status is look()[0].status is Status.HEALTHY
    changes = [line for line in kept.lines if line["message"] == "health changed"]
    told = [(line["level"], line["status"], line.get("previous")) for line in changes]
    assert told == [("error", "critical", None), ("info", "healthy", "critical")]
    assert changes[0]["check"] == "primary_store" and changes[0]["sentence"]
    CHANGES.renew()
