"""Which stores hold records of this installation: what is to be gone must be gone from all of
them, not from the primary alone. A store is never left out in silence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from dbcore.errors import DbcoreError, hinted
from dbcore.items import layout_of
from dbcore.models import Archive, MigrationRun, Sweep, SweepMark
from dbcore.retention.keepers.choice import ORM, keeper_named, primary_keeper
from dbcore.retention.keepers.interface import Keeper
from dbcore.schema import storage_models
from dbcore.stores.choice import DYNAMODB
from dbcore.wire import Wire, get_wire

LOOK = 5.0  # seconds that DynamoDB has to say which tables there are


@dataclass(frozen=True, slots=True)
class InUse:
    """The stores in use, the primary first. `not_looked_at` says so where nobody can tell whether
    another has records, else it is empty."""

    keepers: list[Keeper]
    not_looked_at: str = ""


def keepers_in_use() -> list[Keeper]:
    """The primary store, and the other where it may have records."""
    return stores_in_use().keepers


def stores_in_use() -> InUse:
    """The primary store, and the other where it may have records.

    Django's database may have those from before a migration to DynamoDB, wherever it has their
    tables. DynamoDB may have some where it has any of the tables, or cannot be asked and the books
    say that something was migrated there, or swept: its own errors are then whoever's uses it.
    """
    primary = primary_keeper()
    if primary.name != ORM:
        others = [ORM] if _sql_has_tables() else []
        return InUse([primary, *map(keeper_named, others)])
    dynamo = keeper_named(DYNAMODB)
    named = settings.MIGRATE_FROM_SQLITE or _is_in_books(dynamo.target)
    if settings.DYNAMODB_ENDPOINT == "local" and not (named or _local_engine_has_records()):
        return InUse([primary])
    try:
        has_tables = settings.MIGRATE_FROM_SQLITE or _dynamo_has_tables()
    except (DbcoreError, BotoCoreError, ClientError, OSError) as error:
        if named:
            return InUse([primary, dynamo])
        return InUse(
            [primary], f"DynamoDB was not looked at, since it cannot be asked: {hinted(error)}"
        )
    return InUse([primary, dynamo] if has_tables else [primary])


def _sql_has_tables() -> bool:
    names = set(connections[DEFAULT_DB_ALIAS].introspection.table_names())
    return all(model._meta.db_table in names for model in storage_models())


def _is_in_books(target: str) -> bool:
    """Whether something was ever migrated to this DynamoDB, or swept there."""
    books = (MigrationRun, Archive, Sweep, SweepMark)
    return any(book._default_manager.filter(target=target).exists() for book in books)


def _local_engine_has_records() -> bool:
    """Whether the project's own engine was ever there. To ask it is to start it."""
    return Path(settings.LOCAL_DYNAMODB_PATH).exists()


def _dynamo_has_tables() -> bool:
    """Whether any of the application's tables is in DynamoDB; its errors where it cannot be asked.

    Where nobody listens that is said at once; whoever does has LOOK seconds.
    """
    wire = get_wire()
    connection, _ = wire.connect(time.monotonic() + LOOK)
    wire.release(connection)
    wanted = {layout_of(model).table_name for model in storage_models()}
    return any(name in wanted for name in _table_names(wire))


def _table_names(wire: Wire) -> Iterator[str]:
    request: dict[str, str] = {}
    while True:
        page = wire.call("ListTables", request, deadline=LOOK)
        yield from page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            return
        request = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}
