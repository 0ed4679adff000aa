"""A site that is well, for tests that make one thing of it ill."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from dbcore.local_engine import LocalEngine
from dbcore.models import Sweep
from dbcore.monitoring.health import archives as archive_check
from dbcore.monitoring.health import pages

HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def fresh(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows what another was told; a check that will not answer is given up soon; the
    machine's own disk is large enough."""
    pages.READY.forget()
    monkeypatch.setattr(archive_check, "_proven", {})
    settings.DB_HEALTH_DEADLINE = 10.0
    settings.DB_LATENCY_THRESHOLD = 5000.0
    settings.DB_HEALTH_DISK_WARNING = settings.DB_HEALTH_DISK_CRITICAL = 0.0


@pytest.fixture
def site(
    transactional_db: None, tables: LocalEngine, archive_dir: Path, settings: Any
) -> LocalEngine:
    """DynamoDB is primary and has its tables; archives can be written; a sweep ran an hour ago;
    alerts reach somebody."""
    settings.ALERT_EMAIL = ["oncall@daylight.example"]
    settings.ALERT_SLACK_WEBHOOK = settings.ALERT_SNS_TOPIC = ""
    settings.ALERT_PAGERDUTY_KEY = ""
    swept("completed", 1)
    return tables


def swept(status: str, hours: float) -> Sweep:
    """A sweep that ended so many hours ago; its error names a record."""
    ended = timezone.now() - hours * HOUR
    return Sweep.objects.create(
        store="orm", target="here", status=status, as_of=ended, host="h", pid=1,
        started_at=ended, finished_at=ended, error="plans user-4711/plan-1: no",
    )  # fmt: skip
