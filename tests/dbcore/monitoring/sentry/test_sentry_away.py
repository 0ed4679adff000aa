"""A Sentry that hangs, refuses or is not there: pages answer as ever, and processes end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from django.core.exceptions import ImproperlyConfigured

from dbcore.monitoring import metrics
from dbcore.monitoring.sentry import setup
from dbcore.monitoring.specs import FAILURES
from tests.dbcore.monitoring.conftest import samples
from tests.dbcore.monitoring.sentry.conftest import Told
from tests.dbcore.monitoring.sentry.pages import EMAIL, ask
from tests.dbcore.monitoring.sentry.server import SentryServer
from tests.dbcore.wire.server import Server, http
from tests.settings.complete import COMPLETE

ROOT = Path(__file__).resolve().parents[4]
QUEUE = 100  # events that the SDK keeps at most


@pytest.fixture
def counted() -> Any:
    """What monitoring could not do, counted from nought."""
    metrics.renew()
    yield lambda: samples(FAILURES).get(("sentry",), 0.0)
    metrics.renew()


def test_pages_answer_while_sentry_hangs(
    sentry_server: SentryServer, sentry: Told, counted: Any
) -> None:
    sentry_server.hang()
    for _ in range(QUEUE + 20):  # more than may wait
        assert ask("typo").status_code == 500
    assert sentry_server.tries <= 1, "one connection hangs, and the rest waits behind it"
    lost = counted()
    assert lost in (19, 20)
    sentry_server.release()
    assert len(sentry.events) == QUEUE + 20 - lost, "what found room is told"


@pytest.mark.parametrize("status", [500, 403, 302])
def test_an_error_that_sentry_refuses_is_counted_and_the_next_is_told(
    status: int, sentry_server: SentryServer, sentry: Told, counted: Any
) -> None:
    sentry_server.answer = status, 0
    assert ask("typo").status_code == 500
    assert sentry.events == [] and counted() == 1
    sentry_server.answer = 200, 0
    assert ask("typo").status_code == 500
    assert len(sentry.events) == 1
    sentry.assert_no_secret()


def test_neither_a_redirect_nor_a_proxy_is_followed(
    settings: Any, counted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(lambda _: http(b"{}")) as elsewhere:
        away = http(b"", f"Location: {elsewhere.endpoint}/api/1/envelope/", status=307)
        monkeypatch.setenv("HTTP_PROXY", elsewhere.endpoint)
        monkeypatch.setenv("http_proxy", elsewhere.endpoint)
        with Server(lambda _: away) as server:
            settings.SENTRY_DSN = server.endpoint.replace("://", "://key@") + "/1"
            setup.start()
            logging.getLogger("planted").error("told to Sentry")
            sentry_sdk.get_client().flush(timeout=30)
            setup.stop()
            assert len(server.requests) == 1 and counted() == 1
        assert elsewhere.connections == 0


def test_a_sentry_that_asks_to_wait_is_left_alone(
    sentry_server: SentryServer, sentry: Told, counted: Any
) -> None:
    sentry_server.answer = 429, 60
    for _ in range(3):
        assert ask("typo").status_code == 500
        sentry_sdk.flush()
    assert sentry_server.tries == 1 and counted() == 3


def test_what_the_sdk_says_of_its_own_troubles_is_not_told(
    sentry_server: SentryServer, sentry: Told
) -> None:
    for status in (500, 413, 302):
        sentry_server.answer = status, 0
        assert ask("typo").status_code == 500
        sentry_sdk.flush()
    sentry_server.answer = 200, 0
    assert sentry.events == []


PRODUCTION = {
    **COMPLETE,
    "DJANGO_SETTINGS_MODULE": "settings.production",
    "SENTRY_RELEASE": "v7",
}
FAILING = """
import logging, django
django.setup()
logging.getLogger("night").error("%s is late", "the bus")
raise RuntimeError("over")
"""


@pytest.mark.parametrize("way", ["answers", "hangs", "is not there"])
def test_a_process_in_production_ends_whether_sentry_answers_or_not(
    way: str, sentry_server: SentryServer
) -> None:
    if way == "hangs":
        sentry_server.hang()
    dsn = "http://public@127.0.0.1:9/1" if way == "is not there" else sentry_server.dsn
    done = subprocess.run(
        [sys.executable, "-c", FAILING, EMAIL], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "DAYLIGHT_ENV_FILE": os.devnull, "SENTRY_DSN": dsn, **PRODUCTION},
        timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "sentry" not in done.stderr.lower(), "the SDK says nothing of its own"
    told = [(each["environment"], each["release"]) for each in sentry_server.of_type("event")]
    assert told == ([("production", "v7")] * 2 if way == "answers" else [])
    assert EMAIL.encode() not in sentry_server.everything


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SENTRY_DSN", f"https://{EMAIL}"),
        ("SENTRY_DSN", "http://key@sentry.example.com/1"),
        ("SENTRY_TRACES_SAMPLE_RATE", 30.0),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    sentry_server: SentryServer, settings: Any, setting: str, value: Any
) -> None:
    settings.SENTRY_DSN = sentry_server.dsn
    setattr(settings, setting, value)
    with pytest.raises(ImproperlyConfigured, match=setting) as refused:
        setup.start()
    assert EMAIL not in str(refused.value)
    assert not sentry_sdk.get_client().is_active()


def test_it_begins_once_and_ends(sentry: Told) -> None:
    client = sentry_sdk.get_client()
    setup.start()
    assert sentry_sdk.get_client() is client
    setup.stop()
    logging.getLogger("planted").error("nobody hears this")
    setup.stop()
    assert sentry.server.tries == 0
