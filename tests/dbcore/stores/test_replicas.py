"""Reads that may lag go to a replica, the nearest or any, and to the primary when none answers."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from daylight.models import AuditLog, User
from dbcore.errors import ConfigurationError
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore, replicas
from dbcore.stores.dynamo.replicas import Replica, Replicas
from dbcore.stores.errors import StoreUnavailable
from dbcore.stores.interface import Query, Store
from dbcore.stores.validation import values_of
from dbcore.table_sync import sync_tables
from dbcore.wire import Wire, get_wire, resolve_endpoint
from tests.dbcore.stores.watched import before, use_local_cache
from tests.settings.complete import LOAD, run_python
from tests.support.engine import engine_or_skip

pytestmark = pytest.mark.django_db(transaction=True)
ANA = {"id": "ana"}
DAY = dt.date(2026, 9, 23)
LOG = "dbcore.stores.replicas"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_user(**given: Any) -> User:
    return User(
        **{
            "id": "ana",
            "email": "ana@example.org",
            "password_hash": "x",
            "username": "here",
            **given,
        }
    )


def seen_by(store: Store, *, consistent: bool = False) -> str:
    """Who has answered: the replica's record says that it is there."""
    found = store.get(User, ANA, consistent=consistent)
    assert found is not None
    return str(found.username)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.fixture
def far(dynamodb: LocalEngine, settings: Any) -> Iterator[LocalEngine]:
    """A second engine with the same tables, whose record of ana is another."""
    primary = settings.DYNAMODB_ENDPOINT
    sync_tables(tables=["users", "unique", "audit_logs"])
    DynamoStore().add(make_user())
    with engine_or_skip("dynoxide") as engine:
        settings.DYNAMODB_ENDPOINT = engine.endpoint
        sync_tables(tables=["users", "unique", "audit_logs"])
        DynamoStore().add(make_user(username="there"))
        settings.DYNAMODB_ENDPOINT = primary
        settings.DYNAMODB_REPLICA_REGIONS = [f"eu-west-1={engine.endpoint}"]
        yield engine


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows the replicas of another."""
    monkeypatch.setattr(replicas, "_known", {})
    monkeypatch.setattr(replicas, "DEADLINE", 0.3)


def test_only_a_read_that_may_lag_goes_to_the_replica(far: LocalEngine) -> None:
    store = DynamoStore()
    assert seen_by(store) == "there"
    assert seen_by(store, consistent=True) == "here"
    assert store.get_by_unique(User, "email", "ana@example.org").username == "here"
    store.update(User, ANA, {"is_active": False})
    assert store.get(User, ANA, consistent=False).is_active  # the write was not the replica's


def test_what_a_replica_says_is_not_kept_for_those_who_must_know(
    far: LocalEngine, settings: Any
) -> None:
    use_local_cache(settings)
    cached = before(DynamoStore())
    assert seen_by(cached) == "there"
    assert seen_by(cached, consistent=True) == "here"
    assert seen_by(cached) == "here"  # from the cache, which is nearer than any replica


def test_a_list_may_come_from_the_replica_too(far: LocalEngine, settings: Any) -> None:
    primary, settings.DYNAMODB_ENDPOINT = settings.DYNAMODB_ENDPOINT, far.endpoint
    noon = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    DynamoStore().add(AuditLog(id="there", event_type="e", resource="r", action="a",
                               outcome="success", source="s", timestamp=noon))  # fmt: skip
    settings.DYNAMODB_ENDPOINT = primary

    def ids(**given: Any) -> list[str]:
        return [
            each.pk for each in DynamoStore().query(
                Query(AuditLog, "day", DAY, "timestamp", limit=5, **given)
            )[0]
        ]  # fmt: skip

    assert ids(consistent=False) == ["there"]
    assert ids() == []
    far.stop()
    assert ids(consistent=False) == []


def test_a_replica_that_stops_is_not_noticed_and_left_alone_until_it_is_back(
    far: LocalEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, LOG)
    store = DynamoStore()
    assert seen_by(store) == "there"
    (replica,) = replicas._configured()._replicas
    asked: list[Any] = []
    monkeypatch.setattr(replica, "read", _noting(replica.read, asked))
    far.stop()
    assert [seen_by(store) for _ in range(10)] == ["here"] * 10
    assert len(asked) == 1
    assert warnings(caplog) == ["replica left alone"]
    assert caplog.records[0].fields["replica"] == "eu-west-1"  # type: ignore[attr-defined]
    monkeypatch.setattr(replica.health, "_clock", lambda: 1e12)  # its rest is over
    assert seen_by(store) == "here"  # and it is still down
    assert len(asked) == 2 and len(warnings(caplog)) == 1
    again = LocalEngine(port=replica.wire.endpoint.port)
    with again:
        monkeypatch.setattr(replica.health, "_clock", lambda: 2e12)
        assert seen_by(store) == "here"  # it has lost its tables: it answers, but not that
        _fill(again, store)
        monkeypatch.setattr(replica.health, "_clock", lambda: 3e12)
        assert seen_by(store) == "there"
    assert caplog.records[-1].message == "replica answers again"


def _fill(engine: LocalEngine, store: DynamoStore) -> None:
    wire = Wire(resolve_endpoint(engine.endpoint, "eu-west-1"), "eu-west-1")
    sync_tables(tables=["users"], wire=wire)
    layout = layout_of(User)
    item = layout.to_item(values_of(make_user(username="there")))
    wire.call("PutItem", {"TableName": layout.table_name, "Item": item})
    wire.close()


def _noting(call: Callable[..., Any], notes: list[Any]) -> Callable[..., Any]:
    def noted(*args: Any, **given: Any) -> Any:
        notes.append(args)
        return call(*args, **given)

    return noted


def test_when_the_primary_is_down_too_it_is_the_primarys_error(
    far: LocalEngine, settings: Any
) -> None:
    settings.DYNAMODB_DEADLINE = 0.3
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    assert seen_by(DynamoStore()) == "there"  # reads that may lag outlive the primary
    far.stop()
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9"):
        seen_by(DynamoStore())


def distances(*seconds: float) -> tuple[Clock, list[float], Replicas, Callable[[], Any]]:
    """Replicas at these distances, of which each read answers with its place in the list."""
    clock, now = Clock(), list(seconds)
    each = [Replica(_NoWire(at), clock) for at in range(len(now))]  # type: ignore[arg-type]
    group = Replicas(each, clock)

    def ask(wire: Any) -> int:
        if now[wire.at] < 0:
            raise EndpointConnectionError(endpoint_url=wire.region)
        clock.now += now[wire.at]
        return int(wire.at)

    return clock, now, group, lambda: group.read(ask, lambda: _NoWire(-1), measured=True)  # type: ignore[arg-type,return-value]


class _NoWire:
    def __init__(self, at: int) -> None:
        self.at = at
        self.region = f"region {at}"


def test_the_nearest_replica_is_found_by_measuring_each_once_a_minute() -> None:
    clock, now, _, read = distances(0.090, 0.020, 0.050)
    assert sorted(read() for _ in range(3)) == [0, 1, 2]
    assert [read() for _ in range(20)] == [1] * 20
    now[1], now[2] = 0.300, 0.010
    clock.now += replicas.REMEASURE
    assert {read() for _ in range(3)} == {0, 1, 2}
    assert [read() for _ in range(20)] == [2] * 20


def test_one_slow_answer_does_not_make_a_replica_far() -> None:
    _, now, _, read = distances(0.050, 0.020)
    assert {read(), read()} == {0, 1}
    now[1] = 0.060
    assert read() == 1
    now[1] = 0.020
    assert [read() for _ in range(5)] == [1] * 5


def test_the_next_nearest_answers_for_one_that_does_not() -> None:
    clock, now, _, read = distances(0.090, 0.020, 0.050)
    for _ in range(3):
        read()
    now[1] = -1.0
    assert [read() for _ in range(5)] == [2] * 5
    now[1] = 0.020
    clock.now += replicas.REST
    assert read() == 1


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (["=http://127.0.0.1:1"], "names no region"),
        (["eu-west-1"], "would be AWS"),
        (["eu-west-1=http://example.org"], "plain HTTP"),
    ],
)
def test_a_replica_that_cannot_be_is_refused(settings: Any, regions: list[str], said: str) -> None:
    settings.DYNAMODB_REPLICA_REGIONS = regions
    with pytest.raises(ConfigurationError, match=said):
        DynamoStore().get(User, ANA, consistent=False)


def test_a_region_of_aws_has_the_endpoint_that_aws_gives_it(settings: Any) -> None:
    settings.DYNAMODB_ENDPOINT = ""
    settings.DYNAMODB_REPLICA_REGIONS = ["eu-west-1", "us-east-1"]
    urls = [each.wire.endpoint.url for each in replicas._configured()._replicas]
    assert urls == [
        "https://dynamodb.eu-west-1.amazonaws.com",
        "https://dynamodb.us-east-1.amazonaws.com",
    ]
    assert get_wire().endpoint.url == "https://dynamodb.eu-central-1.amazonaws.com"


def test_the_variable_is_a_list(tmp_path: Path) -> None:
    found = run_python(
        LOAD + "print(s.DYNAMODB_REPLICA_REGIONS, s.DATABASE_REPLICAS, list(s.DATABASES), "
        "s.DATABASES['replica2']['HOST'], s.CACHES['records']['OPTIONS']['MAX_ENTRIES'])",
        DAYLIGHT_ENV="development",
        DYNAMODB_REPLICA_REGIONS="eu-west-1=http://127.0.0.1:9001,us-east-1",
        DATABASE_REPLICA_URLS=f"sqlite:///{tmp_path}/a.sqlite3,postgres://u@db2.internal/daylight",
        DYNAMODB_ENDPOINT="",
        APP_CACHE_SIZE="77",
        CACHE_URL="",
    )
    assert found.stdout.strip() == (
        "['eu-west-1=http://127.0.0.1:9001', 'us-east-1'] ['replica1', 'replica2'] "
        "['default', 'replica1', 'replica2'] db2.internal 77"
    ), found.stderr
