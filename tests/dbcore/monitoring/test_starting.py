"""A start that fails is tried again until it succeeds; requests that come before get a 503."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User as Colleague
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import DjangoDbBlocker

from dbcore.errors import ConfigurationError
from dbcore.monitoring import starting
from dbcore.monitoring.health import pages
from dbcore.monitoring.starting import STARTING, Starting, begin, until_started
from tests.dbcore.monitoring.alerts.receivers import eventually
from tests.support.databases import default_database


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tries follow each other at once, and no test leaves this process waiting."""
    monkeypatch.setattr(starting, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(starting, "LONGEST_PAUSE", 0.02)
    yield
    STARTING.stop()
    STARTING.waiting = False
    with STARTING.trying:
        STARTING._renew()


def failing(*errors: BaseException) -> Callable[[], None]:
    """A start that fails in these ways, one after the other, and then succeeds."""
    left = list(errors)

    def initialize() -> None:
        if left:
            raise left.pop(0)

    return initialize


def has_started(start: Starting = STARTING) -> None:
    eventually(lambda: not start.waiting, "the start")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        str(record.fields["sentence"])  # type: ignore[attr-defined]
        for record in caplog.records if record.message == "the start has failed"
    ]  # fmt: skip


# --- The start ------------------------------------------------------------------------------------
def test_a_start_that_succeeds_is_waited_for() -> None:
    begin(lambda: None, 30)
    assert not STARTING.waiting


def test_it_is_tried_again_whatever_went_wrong_and_each_reason_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dbcore.monitoring.starting")
    away = [ConfigurationError("DynamoDB is away") for _ in range(3)]
    begin(failing(*away, RuntimeError("who knows"), away[0], SystemExit(1)), 30)
    has_started()
    assert told(caplog) == ["DynamoDB is away", "RuntimeError: who knows", "SystemExit: 1"]
    (record,) = [each for each in caplog.records if each.message == "started"]
    assert record.fields["count"] == 7  # type: ignore[attr-defined]


def test_the_import_goes_on_when_the_first_try_has_failed_or_takes_long() -> None:
    release = threading.Event()
    begin(lambda: release.wait(30), 0.01)
    assert STARTING.waiting and "under way" in STARTING.result().sentence
    release.set()
    has_started()
    begin(failing(ConfigurationError("no"), *[ConfigurationError("no")] * 50), 30)
    assert STARTING.waiting
    has_started()


def test_its_thread_leaves_no_connection_open(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    seen: list[Any] = []

    def initialize() -> None:
        connections["default"].ensure_connection()
        seen.append(connections["default"])

    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "file")}
    with django_db_blocker.unblock(), default_database(given):
        begin(initialize, 30)
    assert not STARTING.waiting and [each.connection for each in seen] == [None]


def test_a_process_that_ends_says_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    entered, release = threading.Event(), threading.Event()

    def initialize() -> None:
        entered.set()
        release.wait(30)
        raise ConfigurationError("the connection was closed")

    begin(initialize, 0)
    assert entered.wait(30)
    STARTING.stop()
    release.set()
    eventually(lambda: STARTING.reason != "", "the end of the try")
    assert told(caplog) == []


# --- Forks ----------------------------------------------------------------------------------------
def in_child(ask: Callable[[], str]) -> str:
    """What a forked child says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, ask().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found = said.read()
    os.waitpid(child, 0)
    return found


def test_a_child_of_a_process_that_has_started_has_started() -> None:
    begin(lambda: None, 30)
    assert in_child(lambda: str(STARTING.waiting)) == "False"


def test_a_child_of_a_process_that_has_not_starts_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starting, "FORK_SECONDS", 0.01)
    parent, release = os.getpid(), threading.Event()

    def initialize() -> None:
        if os.getpid() == parent:
            release.wait(30)  # in the middle of a try, which holds its lock

    begin(initialize, 0)

    def ask() -> str:
        has_started()
        return "started"

    assert in_child(ask) == "started"
    assert STARTING.waiting
    release.set()
    has_started()


def test_a_fork_waits_for_a_try_that_is_about_to_end() -> None:
    entered, forking, forked = (threading.Event() for _ in range(3))

    def initialize() -> None:
        entered.set()
        forking.wait(30)
        forked.wait(0.2)  # a fork that does not wait for us is over by then

    begin(initialize, 0)
    assert entered.wait(30)
    # What is registered later runs before ours, and after it in the parent.
    os.register_at_fork(before=forking.set, after_in_parent=forked.set)
    assert in_child(lambda: str(STARTING.waiting)) == "False"


# --- Requests -------------------------------------------------------------------------------------
@pytest.fixture
def waiting() -> Iterator[threading.Event]:
    """This process has not started, for a reason."""
    release = threading.Event()

    def initialize() -> None:
        if not release.is_set():
            raise ConfigurationError("DynamoDB at https://dynamodb cannot be used")

    begin(initialize, 30)
    yield release
    release.set()
    has_started()


def test_a_request_is_answered_with_503_and_when_to_come_again(
    waiting: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/", "/admin/login/", "/nowhere"):
        answer = Client().get(path)
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) >= 1
        assert answer["Content-Type"].startswith("text/plain")
        assert "no-store" in answer["Cache-Control"]
        assert "starting" in answer.content.decode() and "dynamodb" not in answer.content.decode()
        assert answer["X-Request-ID"]
    assert [each for each in caplog.records if each.name == "django.request"] == []


@pytest.mark.django_db
def test_when_it_has_started_requests_are_served(waiting: threading.Event) -> None:
    assert Client().get("/admin/login/").status_code == 503
    waiting.set()
    has_started()
    assert Client().get("/admin/login/").status_code == 200


def test_async_requests_too(waiting: threading.Event) -> None:
    async def ask() -> list[int]:
        client = AsyncClient()
        return [(await client.get(path)).status_code for path in ("/", "/health/live")]

    assert asyncio.run(ask()) == [503, 200]


@pytest.mark.django_db
def test_probes_and_metrics_are_answered(waiting: threading.Event) -> None:
    assert Client().get("/health/live").status_code == 200
    assert Client().get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200
    answer = Client().get("/health/ready", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()) == (503, {"status": "critical"})


@pytest.mark.django_db(transaction=True)
def test_staff_see_why_it_is_not_ready(waiting: threading.Event) -> None:
    client = Client()
    client.force_login(Colleague.objects.create_user("boss", is_staff=True))
    answer = client.get("/health/ready", headers={"accept": "application/json"})
    (check,) = answer.json()["checks"]
    assert (answer.status_code, check["name"], check["status"]) == (503, "start", "critical")
    assert check["sentence"] == "not started: DynamoDB at https://dynamodb cannot be used"
    pages.READY.forget()


def test_once_it_has_started_a_request_costs_one_look_at_an_attribute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starting, "resolve", None)

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("served")

    answer: Any = until_started(view)(RequestFactory().get("/"))
    assert answer.content == b"served"
