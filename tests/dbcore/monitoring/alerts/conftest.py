"""Receivers of alerts, and settings that point to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from tests.dbcore.monitoring.alerts.receivers import (
    ROUTING_KEY,
    Hooks,
    MailServer,
    Receivers,
    Topic,
)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer().running() as server:
        yield server


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks().running() as server:
        yield server


@pytest.fixture
def topic(moto_engine: LocalEngine) -> Topic:
    return Topic(moto_engine)


@pytest.fixture
def receivers(mail_server: MailServer, hooks: Hooks, topic: Topic) -> Receivers:
    return Receivers(mail_server, hooks, topic)


@pytest.fixture
def no_channels(settings: Any) -> None:
    """No channel is configured, whatever a developer's .env says."""
    settings.ALERT_EMAIL = []
    settings.ALERT_SLACK_WEBHOOK = ""
    settings.ALERT_PAGERDUTY_KEY = ""
    settings.ALERT_SNS_TOPIC = ""
    settings.DB_ALERT_RULES = ""
    settings.DB_ALERTS_SOURCE = "daylight-test"
    settings.DB_RUNBOOK_URL = "https://runbooks.daylight.example/"


@pytest.fixture
def all_channels(
    no_channels: None, receivers: Receivers, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Receivers:
    """Every channel is configured, and leads to the receivers."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", receivers.mail.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.DEFAULT_FROM_EMAIL = "alerts@daylight.example"
    settings.ALERT_EMAIL = ["oncall@daylight.example"]
    settings.ALERT_SLACK_WEBHOOK = receivers.hooks.slack_url
    settings.ALERT_PAGERDUTY_KEY = ROUTING_KEY
    settings.ALERT_PAGERDUTY_URL = receivers.hooks.pagerduty_url
    settings.ALERT_SNS_TOPIC = receivers.topic.arn
    settings.ALERT_SNS_ENDPOINT = receivers.topic.endpoint
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    return receivers
