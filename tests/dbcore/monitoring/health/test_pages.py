"""/health/live and /health/ready, as probes, people and staff see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User as Colleague
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker

from daylight.models import Plan
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.health import pages
from dbcore.wire import get_wire
from tests.support.databases import default_database
from tests.support.proxy import FaultProxy

FEEDS = ["application/atom+xml", "application/rss+xml", "application/openmetrics-text"]
FORMATS = ["application/json", "text/html", "text/plain", *FEEDS, "not an accept header"]
NAMES = ("primary_store", "tables")


@pytest.fixture
def probe() -> Client:
    return Client(raise_request_exception=True)


@pytest.fixture
def staff(site: LocalEngine) -> Client:
    client = Client()
    client.force_login(Colleague.objects.create_user("boss", is_staff=True))
    return client


def drop_plans() -> str:
    name = layout_of(Plan).table_name
    get_wire().call("DeleteTable", {"TableName": name})
    pages.READY.forget()
    return name


def as_json(client: Client, path: str = "/health/ready") -> tuple[int, Any]:
    answer = client.get(path, headers={"accept": "application/json"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("accept", FORMATS)
def test_live_asks_nothing_and_nobody(probe: Client, accept: str, settings: Any) -> None:
    # No database is allowed here, and DynamoDB is nowhere.
    probe.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    answer = probe.get("/health/live", headers={"accept": accept})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


def test_ready_says_when_it_is_and_when_not(site: LocalEngine, probe: Client) -> None:
    assert as_json(probe) == (200, {"status": "healthy"})
    drop_plans()
    assert as_json(probe) == (503, {"status": "critical"})


def test_what_is_only_a_warning_is_served(site: LocalEngine, probe: Client, settings: Any) -> None:
    settings.DYNAMODB_DELETION_PROTECTION = True
    assert as_json(probe) == (200, {"status": "warning"})


def test_an_outage_is_an_answer(transactional_db: None, probe: Client, settings: Any) -> None:
    settings.DATABASE_PRIMARY, settings.DB_HEALTH_DEADLINE = "dynamodb", 0.3
    assert as_json(probe) == (503, {"status": "critical"})
    assert as_json(probe, "/health/live") == (200, {"status": "healthy"})


@pytest.mark.parametrize("accept", FORMATS)
def test_others_see_the_status_and_no_detail_in_any_format(
    site: LocalEngine, probe: Client, accept: str
) -> None:
    name = drop_plans()
    answer = probe.get("/health/ready", headers={"accept": accept})
    assert answer.status_code in (200, 503)  # 200: feeds and metrics, which tell it inside
    text = answer.content.decode()
    assert name not in text and "primary_store" not in text and "DynamoDB" not in text
    assert "critical" in text or "not ready" in text or "overall_status 0" in text


@pytest.mark.parametrize(("is_staff", "is_active"), [(False, True), (True, False)])
def test_a_colleague_who_is_not_staff_sees_no_detail(
    site: LocalEngine, probe: Client, is_staff: bool, is_active: bool
) -> None:
    person = Colleague.objects.create_user("ana", is_staff=is_staff, is_active=is_active)
    probe.force_login(person)
    assert as_json(probe) == (200, {"status": "healthy"})


@pytest.mark.parametrize("accept", FORMATS)
def test_staff_see_what_is_wrong_in_every_format(staff: Client, accept: str) -> None:
    name = drop_plans()
    answer = staff.get("/health/ready", headers={"accept": accept})
    text = answer.content.decode()
    assert all(each in text for each in NAMES)
    assert name in text or "openmetrics" in accept


def test_json_for_staff_is_that_of_the_front_door(staff: Client) -> None:
    code, found = as_json(staff)
    assert (code, found["status"]) == (200, "healthy")
    assert [each["name"] for each in found["checks"]] == list(NAMES)
    assert found["checks"][0]["sentence"].startswith("DynamoDB at ")


def test_while_the_database_of_sessions_is_away_nobody_is_staff_and_ready_answers(
    staff: Client, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    away = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "empty")}
    with default_database(away):
        assert as_json(staff) == (200, {"status": "warning"}), "records are in DynamoDB"
        connection.close()


def test_a_storm_of_probes_is_one_look(site: LocalEngine, probe: Client, settings: Any) -> None:
    with FaultProxy(settings.DYNAMODB_ENDPOINT) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        as_json(probe)
        first = len(proxy.requests)
        for _ in range(20):
            as_json(probe)
        assert len(proxy.requests) == first > 0


def test_they_are_read_and_nothing_else(site: LocalEngine, probe: Client) -> None:
    for path in ("/health/live", "/health/ready"):
        assert probe.head(path).status_code == 200
        assert probe.post(path).status_code == 405
