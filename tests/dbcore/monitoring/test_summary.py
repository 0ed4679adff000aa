"""get_database_metrics(): all processes' last minutes, as plain data."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from daylight.database import get_database_metrics, planning_service, user_service
from dbcore.monitoring import metrics
from dbcore.monitoring.reporter import Reporter
from dbcore.wire import close_wires


@pytest.mark.usefixtures("measured")
def test_what_is_reported_and_what_is_not_yet_add_up(primary: str, settings: Any) -> None:
    settings.APP_CACHE_ENABLED = True
    metrics.renew()
    now = timezone.now()
    reports = Reporter(now - dt.timedelta(minutes=2))
    planning_service.create_plan("u", {"id": "p", "title": "Lake"})
    reports.report(now - dt.timedelta(minutes=1))
    planning_service.create_plan("u", {"id": "q", "title": "Sea"})
    user_service.create_user({"id": "u", "email": "u@example.org", "password_hash": "x"})
    for _ in range(2):
        user_service.get_user_by_id("u")
    found = json.loads(json.dumps(get_database_metrics(minutes=15)))
    assert found["window"]["scope"] == "all processes" and found["window"]["seconds"] == 900
    system, operation = (
        ("aws.dynamodb", "PutItem") if primary == "dynamodb" else (primary, "INSERT")
    )
    of_plans = found["stores"][system]["plans"][operation]
    assert (of_plans["count"], of_plans["errors"], of_plans["error_rate"]) == (2, 0, 0)
    assert (
        0 < of_plans["p50_ms"] <= of_plans["p95_ms"] <= of_plans["p99_ms"] <= of_plans["worst_ms"]
    )
    assert (of_plans["capacity"] > 0) == (primary == "dynamodb")
    assert "performance_metrics" not in found["stores"][system]
    if primary == "sqlite":  # within the test's transaction the cache is not asked
        assert found["cache"]["bypassed"] >= 2
    else:
        assert found["cache"]["hits"] >= 1 and found["cache"]["misses"] >= 1
    assert found["pools"]["dynamodb"]["limit"] == settings.DYNAMODB_POOL_SIZE
    slow = found["slow_queries"]
    assert {each["table"] for each in slow} >= {"plans", "users"}
    assert [each["total_ms"] for each in slow] == sorted(
        (each["total_ms"] for each in slow), reverse=True
    )
    assert sum(each["share"] for each in slow) == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("measured")
def test_where_the_store_is_away_it_is_this_process_and_says_so(settings: Any) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"  # at an address where nobody is
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    settings.DYNAMODB_DEADLINE = 0.2
    close_wires()
    with pytest.raises(Exception, match="out of reach"):
        planning_service.get_user_plans("u")
    found = get_database_metrics()
    close_wires()
    assert found["window"]["scope"] == "this process"
    failed = found["stores"]["aws.dynamodb"]["plans"]["Query"]
    assert (failed["count"], failed["errors"], failed["error_rate"]) == (1, 1, 1.0)
    (shape,) = found["failed_queries"]
    assert shape["query"] == "Query plans through UserPlansIndex"
    assert shape["last_error"] == "EndpointConnectionError" and shape["last_error_at"]
    json.dumps(found)
