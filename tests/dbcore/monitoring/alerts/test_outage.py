"""An outage as an operator lives through it: the engine's process is stopped and started again
while `manage.py monitor` runs, once or twice, and one of two is killed in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from dbcore.local_engine import LocalEngine
from dbcore.local_engine.probe import free_port
from dbcore.models import AlertDelivery, Sweep
from dbcore.monitoring.alerts.books import SqlBooks
from dbcore.monitoring.alerts.channels import configured_channels
from dbcore.monitoring.alerts.deliveries import CLAIM
from dbcore.monitoring.alerts.outbox import deliver
from dbcore.table_sync import sync_tables
from dbcore.wire import close_wires
from tests.dbcore.monitoring.alerts.receivers import Receivers, eventually
from tests.support.databases import default_database
from tests.support.engine import engine_or_skip
from tests.support.postgres import Postgres

ROOT = Path(__file__).resolve().parents[4]
INTERVAL = "0.3"
STARTED, ENDED = ("started", "primary_store"), ("ended", "primary_store")


@pytest.fixture
def engine(tmp_path: Path, settings: Any) -> Iterator[LocalEngine]:
    """An engine with all tables that can be stopped, and started again at the same address with
    what it had."""
    engine_or_skip("dynoxide").stop()
    own = LocalEngine("dynoxide", port=free_port("127.0.0.1"), db_path=tmp_path / "dynamodb.db")
    with own:
        settings.DYNAMODB_ENDPOINT = own.endpoint
        sync_tables()
        yield own
        close_wires()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    """A SQLite file with all tables, to copy."""
    file = tmp_path_factory.mktemp("migrated") / "django.sqlite3"
    with django_db_blocker.unblock(), default_database(sqlite(file)):
        call_command("migrate", verbosity=0, interactive=False)
    return file


def sqlite(file: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest,
    migrated: Path,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """Django's database, with its tables, in the file or server that several processes share."""
    with django_db_blocker.unblock():
        if request.param == "postgresql":
            server: Postgres = request.getfixturevalue("postgres")
            with server.as_default():
                yield server.url("daylight")
            return
        file = Path(shutil.copy(migrated, tmp_path))
        with default_database(sqlite(file)):
            yield f"sqlite:///{file}"


@dataclass
class Watch:
    """One `manage.py monitor`, and what it says."""

    process: subprocess.Popen[bytes]
    out: Path
    _seen: list[dict[str, Any]] = field(default_factory=list)

    def ticks(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def looks_again(self, times: int = 3) -> None:
        """Wait until it has looked some times more."""
        wanted = len(self.ticks()) + times
        eventually(lambda: len(self.ticks()) >= wanted or self._has_ended(), "another look")

    def _has_ended(self) -> bool:
        assert self.process.poll() is None, self.out.with_suffix(".err").read_text()
        return False

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@dataclass
class Site:
    """An installation: its database, its engine, where its alerts go."""

    folder: Path
    environment: dict[str, str]

    @contextmanager
    def monitors(self, count: int) -> Iterator[list[Watch]]:
        """So many monitors, each of which has looked once."""
        started = [self._start(f"monitor{number}") for number in range(count)]
        try:
            for watch in started:
                watch.looks_again(1)
                assert watch.ticks()[0]["status"] == "healthy"
            yield started
        finally:
            for watch in started:
                watch.process.kill()
                watch.process.wait()

    def _start(self, name: str) -> Watch:
        out = self.folder / f"{name}.out"
        command = [sys.executable, "manage.py", "monitor"]
        with out.open("wb") as stdout, out.with_suffix(".err").open("wb") as stderr:
            process = subprocess.Popen(
                [*command, "--interval", INTERVAL, "--format", "json"],
                cwd=ROOT, env=self.environment, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        return Watch(process, out)


@pytest.fixture
def site(
    tmp_path: Path, database_url: str, engine: LocalEngine, all_channels: Receivers, settings: Any
) -> Site:
    """All is well there: a sweep was done today."""
    now = timezone.now()
    Sweep.objects.create(
        store="dynamodb", target="t", status=Sweep.Status.COMPLETED, as_of=now, host="h", pid=1,
        started_at=now, finished_at=now,
    )  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return Site(
        tmp_path,
        {
            **kept,
            "DAYLIGHT_ENV": "development",
            "DAYLIGHT_ENV_FILE": os.devnull,
            "DATABASE_URL": database_url,
            "DATABASE_PRIMARY": "dynamodb",
            "DYNAMODB_ENDPOINT": engine.endpoint,
            "DYNAMODB_TABLE_PREFIX": settings.DYNAMODB_TABLE_PREFIX,
            "DB_HEALTH_DEADLINE": "1.0",
            "ARCHIVE_DIR": str(tmp_path / "archives"),
            "DB_METRICS_ENABLED": "false",
            **all_channels.environment(),
        },
    )


def has_told(watch: Watch) -> bool:
    return any(tick["told"] for tick in watch.ticks())


def everyone_has(receivers: Receivers, *events: tuple[str, str]) -> None:
    eventually(lambda: receivers.all_have(list(events)), f"{events} on every channel")


@pytest.mark.parametrize(
    ("database_url", "monitors"),
    [("sqlite", 1), ("sqlite", 2), ("postgresql", 2)],
    indirect=["database_url"],
)
def test_an_outage_of_the_engine_is_one_alert_and_one_recovery_on_each_channel(
    site: Site, engine: LocalEngine, all_channels: Receivers, monitors: int
) -> None:
    with site.monitors(monitors) as watches:
        engine.stop()
        everyone_has(all_channels, STARTED)
        for watch in watches:
            watch.looks_again()
        everyone_has(all_channels, STARTED)
        engine.start()
        everyone_has(all_channels, STARTED, ENDED)
        for watch in watches:
            watch.looks_again()
        everyone_has(all_channels, STARTED, ENDED)
        assert [watch.terminate() for watch in watches] == [0] * monitors
    told = [event for watch in watches for tick in watch.ticks() for event in tick["told"]]
    assert sorted(each["event"] for each in told) == ["ended", "started"]
    assert len({each["incident"] for each in told}) == 1


def test_one_of_two_monitors_is_killed_in_an_outage_and_the_other_tells_its_end(
    site: Site, engine: LocalEngine, all_channels: Receivers
) -> None:
    with site.monitors(2) as watches:
        engine.stop()
        everyone_has(all_channels, STARTED)
        tellers: list[Watch] = []
        eventually(
            lambda: bool(tellers.extend(filter(has_told, watches)) or tellers), "who told it"
        )
        (other,) = (watch for watch in watches if watch not in tellers)
        tellers[0].process.kill()
        other.looks_again()
        everyone_has(all_channels, STARTED)
        engine.start()
        everyone_has(all_channels, STARTED, ENDED)
        other.looks_again()
        everyone_has(all_channels, STARTED, ENDED)
        assert other.terminate() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_killed_while_it_sends_another_takes_over_when_the_claim_runs_out(
    site: Site, engine: LocalEngine, all_channels: Receivers
) -> None:
    hooks = all_channels.hooks
    hooks.hang.set()
    with site.monitors(1) as (watch,):
        engine.stop()
        eventually(lambda: hooks.tries == {"slack": 1, "pagerduty": 1}, "both sends")
        sent = AlertDelivery.objects.filter(state="sent")
        eventually(lambda: sent.count() == 2, "the other two channels")
        watch.process.kill()
        watch.process.wait()
    hooks.hang.clear()
    books, channels = SqlBooks(), configured_channels()
    assert deliver(books, channels, timezone.now()) == []
    later = deliver(books, channels, timezone.now() + CLAIM)
    assert sorted(each.channel for each in later) == ["pagerduty", "slack"]
    everyone_has(all_channels, STARTED)
