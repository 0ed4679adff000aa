"""What every test has: a real engine, tables of its own on it, and no way off this machine."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest

from daylight.services import twins
from dbcore.local_engine import LocalEngine
from dbcore.monitoring import deadlines, reporter, starting
from dbcore.wire import HOOKS, close_wires
from tests.support.tables import drop_tables

pytest_plugins = [
    "tests.support.archives",
    "tests.support.engine",
    "tests.support.postgres",
    "tests.support.redis",
]


@pytest.fixture(autouse=True)
def monitoring_ends() -> Iterator[None]:
    """What monitoring does in this process for one test is over before the next."""
    yield
    starting.STARTING.waiting = False
    reporter._wanted = False
    if reporter._reporter is not None:
        reporter.stop()
    deadlines._left_behind.clear()


@pytest.fixture
def dynamodb(
    dynamodb_engine: LocalEngine, settings: pytest.FixtureRequest
) -> Iterator[LocalEngine]:
    """The settings point at a running engine, with a table prefix that no other test has."""
    settings.DYNAMODB_ENDPOINT = dynamodb_engine.endpoint
    settings.DYNAMODB_TABLE_PREFIX = prefix = f"t{uuid.uuid4().hex[:8]}-"
    yield dynamodb_engine
    # What a gather that failed has left under way is not to run on into the next test.
    twins.threads(settings.DYNAMODB_POOL_SIZE).shutdown()
    twins.end_threads()
    for thread in threading.enumerate():
        if thread.name == "sync-tables":  # of a run that was interrupted: it may be in a call
            thread.join()
    close_wires()
    HOOKS.clear()
    drop_tables(dynamodb_engine, prefix)
