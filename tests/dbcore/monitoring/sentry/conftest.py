"""Sentry in use, told of to a server of the tests' own, and out of use again after each test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sentry_sdk

from dbcore.monitoring.sentry import setup
from tests.dbcore.monitoring.sentry.pages import SECRETS
from tests.dbcore.monitoring.sentry.server import SentryServer
from tests.support.engine import engine_or_skip


@dataclass
class Told:
    """What Sentry was told."""

    server: SentryServer

    def all(self, kind: str) -> list[dict[str, Any]]:
        sentry_sdk.get_client().flush(timeout=30)
        return self.server.of_type(kind)

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.all("event")

    @property
    def event(self) -> dict[str, Any]:
        """The only one."""
        (event,) = self.events
        return event

    @property
    def transaction(self) -> dict[str, Any]:
        (transaction,) = self.all("transaction")
        return transaction

    def assert_no_secret(self, *more: str) -> None:
        """None in anything that has arrived, of which there is something."""
        assert self.server.everything
        for secret in (*SECRETS, *more):
            assert secret.encode() not in self.server.everything
            escaped = json.dumps(secret)[1:-1].encode()
            assert escaped not in self.server.everything


@pytest.fixture
def sentry_server() -> Iterator[SentryServer]:
    with SentryServer().running() as server:
        yield server


@pytest.fixture
def other_service() -> Iterator[SentryServer]:
    """Another service, which an application asks."""
    with SentryServer().running() as server:
        yield server


@pytest.fixture
def sentry(sentry_server: SentryServer, settings: Any) -> Iterator[Told]:
    """Sentry is in use, nothing is traced, and the pages that fail are served."""
    settings.SENTRY_DSN = sentry_server.dsn
    settings.ROOT_URLCONF = "tests.dbcore.monitoring.sentry.pages"
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != csrf]
    setup.start()
    yield Told(sentry_server)
    setup.stop()
    assert not sentry_sdk.get_client().is_active()


@pytest.fixture
def stopped(settings: Any) -> None:
    """DynamoDB is primary, and its engine has ended."""
    with engine_or_skip("dynoxide") as engine:
        settings.DYNAMODB_ENDPOINT = engine.endpoint
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.DYNAMODB_DEADLINE = 0.2
