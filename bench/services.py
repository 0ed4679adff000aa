"""What a service call costs beside boto3, PynamoDB and pydynox doing the same on one engine.

All contestants must read the same items, consistently, and give equal answers with plain values;
all must write the same item, and only where its key is free. Nothing is cached.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import boto3
from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.conditions import Key as Condition
from pydynox import DynamoDBClient
from pynamodb.attributes import BooleanAttribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, LocalSecondaryIndex
from pynamodb.models import Model

from bench.report import Line

USERS = 300
HISTORY = 600  # records of one user
PAGE = 50
CALLS = 1500  # of each contestant in a round
CHUNK = 50  # calls in a row: short, so that what disturbs the machine hits all of them
WARM_UP = 100
WALKER = "user-0"  # whose history it is
WRITER = "user-1"  # whose history grows
INDEX = "UserTimestampIndex"
REGION = "eu-central-1"
SEED = 1756
SECRET = "passwordHash"  # which all of them read, and Daylight does not give out
READ_GOAL = {"boto3": 0.5, "pydynox": 1.0, "pydynox_async": 1.0}
Item = dict[str, Any]  # attribute name -> plain value


def get_user_by_id(rounds: int, *, quick: bool = False) -> Line:
    return _measure("get_user_by_id", READ_GOAL, "user", rounds, quick)


def get_user_location_history(rounds: int, *, quick: bool = False) -> Line:
    return _measure(f"get_user_location_history({PAGE})", READ_GOAL, "history", rounds, quick)


def add_location_history(rounds: int, *, quick: bool = False) -> Line:
    return _measure("add_location_history", {}, "add", rounds, quick)


class Contestant(ABC):
    """One way to ask. `user` and `history` give their own kind of record, `add` writes one;
    `plain` is what such a record says, as an item."""

    @abstractmethod
    def __init__(self, endpoint: str, tables: dict[str, str]) -> None: ...

    @abstractmethod
    def user(self, number: int) -> Any: ...

    @abstractmethod
    def history(self, number: int) -> Any: ...

    @abstractmethod
    def add(self, number: int) -> Any: ...

    @abstractmethod
    def plain(self, record: Any) -> Item: ...

    def once(self, what: str, number: int) -> Any:
        return getattr(self, what)(number)

    def sample(self, what: str, numbers: Iterable[int]) -> list[float]:
        """Seconds of one call for each number."""
        ask, clock, taken = getattr(self, what), time.perf_counter, []
        for number in numbers:
            begin = clock()
            ask(number)
            taken.append(clock() - begin)
        return taken


class Daylight(Contestant):
    def __init__(self, endpoint: str, tables: dict[str, str]) -> None:
        from daylight.services.accounts import user_service
        from daylight.services.location_history import location_history_service

        self._users, self._places = user_service, location_history_service

    def user(self, number: int) -> Any:
        return self._users.get_user_by_id(f"user-{number}")

    def history(self, number: int) -> Any:
        return self._places.get_user_location_history(WALKER, PAGE)

    def add(self, number: int) -> Any:
        return self._places.add_location_history(WRITER, place(number), "walking", found(number))

    def plain(self, record: Any) -> Item:
        from dbcore.attributes import plain
        from dbcore.items import layout_of
        from dbcore.stores.validation import values_of

        layout, values = layout_of(type(record)), values_of(record)
        # Secret fields are read and not given out.
        item = layout.to_item(values | dict.fromkeys(layout.table.secret, ""))
        return {name: plain(value) for name, value in item.items() if name != SECRET}


class Boto3(Contestant):
    """The resource: the client's answers are not plain values yet."""

    def __init__(self, endpoint: str, tables: dict[str, str]) -> None:
        resource = boto3.resource(
            "dynamodb", endpoint_url=endpoint, region_name=REGION,
            aws_access_key_id="local", aws_secret_access_key="local",
        )  # fmt: skip
        self._users = resource.Table(tables["users"])
        self._places = resource.Table(tables["location_history"])

    def user(self, number: int) -> Any:
        return self._users.get_item(Key={"id": f"user-{number}"}, ConsistentRead=True)["Item"]

    def history(self, number: int) -> Any:
        return self._places.query(
            IndexName=INDEX,
            KeyConditionExpression=Condition("userId").eq(WALKER),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=PAGE,
        )["Items"]

    def add(self, number: int) -> Any:
        item = new_item(number, _decimals)
        self._places.put_item(Item=item, ConditionExpression=Attr("userId").not_exists())
        return item

    def plain(self, record: Any) -> Item:
        return {name: _from_decimals(value) for name, value in record.items()}


class Pydynox(Contestant):
    """Its client, which has less to do than its models."""

    def __init__(self, endpoint: str, tables: dict[str, str]) -> None:
        self._client = DynamoDBClient(
            region=REGION, access_key="local", secret_key="local", endpoint_url=endpoint
        )
        self._users, self._places = tables["users"], tables["location_history"]

    def user(self, number: int) -> Any:
        return self._client.sync_get_item(
            self._users, {"id": f"user-{number}"}, consistent_read=True
        )

    def history(self, number: int) -> Any:
        return list(self._client.sync_query(self._places, **self._page()))

    def add(self, number: int) -> Any:
        item = new_item(number)
        self._client.sync_put_item(self._places, item, **self._if_free())
        return item

    def plain(self, record: Any) -> Item:
        return dict(record)

    @staticmethod
    def _page() -> dict[str, Any]:
        return {
            "key_condition_expression": "#u = :u",
            "expression_attribute_names": {"#u": "userId"},
            "expression_attribute_values": {":u": WALKER},
            "limit": PAGE,
            "page_size": PAGE,
            "scan_index_forward": False,
            "index_name": INDEX,
            "consistent_read": True,
        }

    @staticmethod
    def _if_free() -> dict[str, Any]:
        return {
            "condition_expression": "attribute_not_exists(#u)",
            "expression_attribute_names": {"#u": "userId"},
        }


class PydynoxAsync(Pydynox):
    """The same with the asynchronous calls, within a loop that runs already."""

    def __init__(self, endpoint: str, tables: dict[str, str]) -> None:
        super().__init__(endpoint, tables)
        self._loop = asyncio.Runner()

    async def user(self, number: int) -> Any:
        return await self._client.get_item(
            self._users, {"id": f"user-{number}"}, consistent_read=True
        )

    async def history(self, number: int) -> Any:
        return await self._client.query(self._places, **self._page()).to_list()

    async def add(self, number: int) -> Any:
        item = new_item(number)
        await self._client.put_item(self._places, item, **self._if_free())
        return item

    def once(self, what: str, number: int) -> Any:
        return self._loop.run(getattr(self, what)(number))

    def sample(self, what: str, numbers: Iterable[int]) -> list[float]:
        async def all_of_them() -> list[float]:
            ask, clock, taken = getattr(self, what), time.perf_counter, []
            for number in numbers:
                begin = clock()
                await ask(number)
                taken.append(clock() - begin)
            return taken

        return self._loop.run(all_of_them())


class Pynamodb(Contestant):
    """Models; times as text, as they are stored: PynamoDB's own attribute has another form."""

    def __init__(self, endpoint: str, tables: dict[str, str]) -> None:
        class Connection:
            host = endpoint
            region = REGION
            aws_access_key_id = "local"
            aws_secret_access_key = "local"

        class User(Model):
            class Meta(Connection):
                table_name = tables["users"]

            id = UnicodeAttribute(hash_key=True)
            email = UnicodeAttribute()
            username = UnicodeAttribute(null=True)
            password_hash = UnicodeAttribute(attr_name="passwordHash")
            is_active = BooleanAttribute(attr_name="isActive")
            email_verified = BooleanAttribute(attr_name="emailVerified")
            last_login_at = UnicodeAttribute(null=True, attr_name="lastLoginAt")
            created_at = UnicodeAttribute(attr_name="createdAt")
            updated_at = UnicodeAttribute(attr_name="updatedAt")
            due_day = UnicodeAttribute(null=True, attr_name="dueDay")

        class ByTime(LocalSecondaryIndex[Any]):
            class Meta:
                index_name = INDEX
                projection = AllProjection()

            user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
            timestamp = UnicodeAttribute(range_key=True)

        class LocationHistory(Model):
            class Meta(Connection):
                table_name = tables["location_history"]

            by_time = ByTime()
            user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
            id = UnicodeAttribute(range_key=True)
            location = MapAttribute()
            activity = UnicodeAttribute()
            timestamp = UnicodeAttribute()
            found = MapAttribute(attr_name="metadata")
            created_at = UnicodeAttribute(attr_name="createdAt")
            updated_at = UnicodeAttribute(attr_name="updatedAt")
            ttl = NumberAttribute()
            due_day = UnicodeAttribute(attr_name="dueDay")

        self._users, self._places = User, LocationHistory

    def user(self, number: int) -> Any:
        return self._users.get(f"user-{number}", consistent_read=True)

    def history(self, number: int) -> Any:
        return list(
            self._places.by_time.query(
                WALKER, consistent_read=True, scan_index_forward=False, limit=PAGE
            )
        )

    def add(self, number: int) -> Any:
        item = new_item(number)
        record = self._places(
            user_id=item["userId"],
            id=item["id"],
            location=item["location"],
            activity=item["activity"],
            timestamp=item["timestamp"],
            found=item["metadata"],
            created_at=item["createdAt"],
            updated_at=item["updatedAt"],
            ttl=item["ttl"],
            due_day=item["dueDay"],
        )
        record.save(condition=self._places.user_id.does_not_exist())
        return record

    def plain(self, record: Any) -> Item:
        names = {name: each.attr_name for name, each in record.get_attributes().items()}
        values = {names[name]: value for name, value in record.attribute_values.items()}
        return {
            name: value.as_dict() if isinstance(value, MapAttribute) else value
            for name, value in values.items()
            if value is not None
        }


CONTESTANTS: dict[str, type[Contestant]] = {
    "daylight": Daylight,
    "boto3": Boto3,
    "pynamodb": Pynamodb,
    "pydynox": Pydynox,
    "pydynox_async": PydynoxAsync,
}


def place(number: int) -> dict[str, Any]:
    rng = random.Random(number)
    return {"lat": round(45.45 + rng.gauss(0, 0.1), 9), "lng": round(14.01 + rng.gauss(0, 0.1), 9)}


def found(number: int) -> dict[str, Any]:
    """What came with a place: nothing with every fourth."""
    return {"source": "gps", "elevation": 750.125 + number} if number % 4 else {}


def new_item(number: int, numbers: Callable[[Any], Any] = lambda value: value) -> Item:
    """A new location record as Daylight stores it, for those who have to make it themselves."""
    from daylight.models.base import new_id

    now = datetime.now(UTC)
    text = now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    key = new_id()
    return {
        "userId": WRITER,
        "id": key,
        "location": numbers(place(number)),
        "activity": "walking",
        "timestamp": text,
        "metadata": numbers(found(number)),
        "createdAt": text,
        "updatedAt": text,
        "ttl": int(now.timestamp()) + 90 * 86400,
        "dueDay": f"{now.date() + timedelta(days=90)}#{crc32(key.encode()) % 8}",
    }


def _decimals(value: dict[str, Any]) -> dict[str, Any]:
    """boto3 takes no floats."""
    from decimal import Decimal

    return {k: Decimal(repr(v)) if isinstance(v, float) else v for k, v in value.items()}


def _from_decimals(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, dict):
        return {name: _from_decimals(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _measure(call: str, goal: dict[str, float], what: str, rounds: int, quick: bool) -> Line:
    line = Line(f"p50/p99 of {call}", "µs (p50)", goal, sense="<=")
    calls = CALLS // 5 if quick else CALLS
    slowest: dict[str, list[float]] = {}
    with _site() as (endpoint, tables):
        able = _able(endpoint, tables, what, line)
        for contestant in able.values():
            contestant.sample(what, _numbers(WARM_UP))
        for _ in range(rounds):
            for name, seconds in _interleaved(able, what, calls).items():
                cuts = statistics.quantiles(seconds, n=100)
                line.runs.setdefault(name, []).append(cuts[49] * 1e6)
                slowest.setdefault(name, []).append(cuts[98] * 1e6)
    line.details = {
        "p99": {name: statistics.median(runs) for name, runs in slowest.items()},
        "calls": calls,
        "users": USERS,
        "history": HISTORY,
        "rounds": rounds,
        "quick": quick,
    }
    print(f"\np99 of {call}: " + ", ".join(f"{k} {v:,.0f}" for k, v in line.details["p99"].items()))
    return line


def _numbers(count: int) -> list[int]:
    return [number % USERS for number in range(count)]


def _interleaved(able: dict[str, Contestant], what: str, calls: int) -> dict[str, list[float]]:
    """Each contestant's seconds. They take turns, and each turn begins with the next of them."""
    taken: dict[str, list[float]] = {name: [] for name in able}
    numbers = _numbers(calls)
    turns = itertools.cycle(range(len(able)))
    for at in range(0, calls, CHUNK):
        begin = next(turns)
        names = [*able][begin:] + [*able][:begin]
        for name in names:
            taken[name] += able[name].sample(what, numbers[at : at + CHUNK])
    return taken


def _able(endpoint: str, tables: dict[str, str], what: str, line: Line) -> dict[str, Contestant]:
    """Those whose answers are the store's own items; of the others the line says so."""
    able = {}
    for name, kind in CONTESTANTS.items():
        contestant = kind(endpoint, tables)
        if _says(contestant, what) == _expected(tables, what):
            able[name] = contestant
        else:
            line.fail(name, f"{name} gave or wrote something else than the others")
    return able


def _says(contestant: Contestant, what: str) -> list[Item]:
    """What the contestant answers, or has written, without what differs from call to call."""
    if what == "history":
        return [contestant.plain(each) for each in contestant.once(what, 0)]
    numbers = range(0, USERS, 7)
    if what == "user":
        return [_open(contestant.plain(contestant.once(what, number))) for number in numbers]
    written = [contestant.plain(contestant.once(what, number)) for number in numbers]
    stored = [_stored("location_history", each) for each in written]
    return [_timeless(each) for each in stored]


def _expected(tables: dict[str, str], what: str) -> list[Item]:
    """The same from the engine's own JSON."""
    numbers = range(0, USERS, 7)
    if what == "user":
        return [_open(_stored("users", {"id": f"user-{number}"})) for number in numbers]
    if what == "history":
        keys = [{"userId": WALKER, "id": f"place-{at:04}"} for at in range(PAGE)]
        return [_stored("location_history", key) for key in keys]
    return [
        {
            "userId": WRITER, "activity": "walking", "location": place(number),
            "metadata": found(number), "id": 36, "timestamp": 27, "createdAt": 27,
            "updatedAt": 27, "ttl": True, "dueDay": 12,
        }
        for number in numbers
    ]  # fmt: skip


def _open(user: Item) -> Item:
    return {name: value for name, value in user.items() if name != SECRET}


_MADE = ("id", "timestamp", "createdAt", "updatedAt", "dueDay")


def _timeless(item: Item) -> Item:
    """An item with the lengths of what each call makes anew."""
    made = {name: len(item[name]) for name in _MADE}
    ends = datetime.fromtimestamp(item["ttl"], UTC) - datetime.now(UTC)
    good = timedelta(days=89, hours=23) < ends <= timedelta(days=90)
    return {**item, **made, "ttl": good}


def _stored(table: str, key: Item) -> Item:
    from django.conf import settings

    from dbcore.attributes import native, plain
    from dbcore.wire import get_wire

    names = ("userId", "id") if "userId" in key else ("id",)
    request = {
        "TableName": settings.DYNAMODB_TABLE_PREFIX + table,
        "Key": {name: native(key[name]) for name in names},
        "ConsistentRead": True,
    }
    item = get_wire().call("GetItem", request)["Item"]
    return {name: plain(value) for name, value in item.items()}


@contextmanager
def _site() -> Iterator[tuple[str, dict[str, str]]]:
    """Daylight on a fresh engine in memory, with the data; its endpoint and its tables' names."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    import django

    django.setup()
    from django.test import override_settings

    from dbcore.local_engine import LocalEngine
    from dbcore.table_sync import sync_tables
    from dbcore.wire import close_wires

    with (
        LocalEngine(kind="dynoxide") as engine,
        override_settings(
            DATABASE_PRIMARY="dynamodb",
            APP_CACHE_ENABLED=False,
            DYNAMODB_ENDPOINT=engine.endpoint,
            DYNAMODB_REGION=REGION,
            DYNAMODB_REPLICA_REGIONS=[],
            DYNAMODB_TABLE_PREFIX="bench-",
        ),
    ):
        sync_tables()
        _fill()
        yield engine.endpoint, {name: f"bench-{name}" for name in ("users", "location_history")}
        close_wires()


def _fill() -> None:
    from daylight.models import LocationHistory
    from daylight.services.accounts import user_service
    from dbcore.stores.choice import primary_store

    now = datetime.now(UTC)
    for number in range(USERS):
        user_service.create_user({
            "id": f"user-{number}", "email": f"User.{number}@example.org",
            "username": f"user{number}" if number % 2 else None,
            "password_hash": f"pbkdf2_sha256$1000000${number:022}$" + "x" * 44,
            "email_verified": number % 3 == 0,
            "last_login_at": now - timedelta(hours=number) if number % 5 else None,
        })  # fmt: skip
    store = primary_store()
    for at in range(HISTORY):
        moment = now - timedelta(minutes=at, microseconds=at)
        store.put(
            LocationHistory(
                user_id=WALKER, id=f"place-{at:04}", location=place(at), activity="walking",
                timestamp=moment, metadata=found(at), created_at=moment, updated_at=moment,
            )
        )  # fmt: skip
