"""A user's whole life in every table, archives of it, and a look for what is left of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import OperationalError, connection, models
from django.utils import timezone

from daylight.models import AuditLog, User
from dbcore.attributes import Item
from dbcore.items import ItemLayout, layout_of
from dbcore.models import Archive
from dbcore.retention.audit import AuditFailed
from dbcore.retention.holds import place_hold, user_subject
from dbcore.retention.keepers.interface import Keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.sweep import enforce_retention
from dbcore.schema import storage_models, wanted_tables
from dbcore.wire import get_wire
from tests.dbcore.retention.making import DAY, NOW, put

OWNED = [model for model in storage_models() if layout_of(model).table.owner is not None]


def live(keeper: Keeper, user: str) -> dict[str, list[Item]]:
    """Write one or two records of the user into every table that has an owner."""
    found = {}
    for model in OWNED:
        layout = layout_of(model)
        owner = str(layout.table.owner)
        count = 1 if layout.table.key_fields == (owner,) else 2
        found[layout.table.name] = [
            put(keeper, model, NOW - DAY, **{owner: user}) for _ in range(count)
        ]
    return found


def records_of(keeper: Keeper, user: str) -> dict[str, list[Item]]:
    """What the store has of the user, by table; tables without any are left out."""
    found = {}
    for model in OWNED:
        layout = layout_of(model)
        items = list(keeper.owned_by(layout, user))
        if items:
            found[layout.table.name] = items
    return found


def archived(keeper: Keeper, model: type[models.Model], *records: Mapping[str, Any]) -> Archive:
    """Write records that are due, and have them swept into an archive of their own."""
    layout = layout_of(model)
    policy = layout.table.retention
    at = NOW - (getattr(policy, "days", 0) + 1) * DAY
    items = [put(keeper, model, at, **given) for given in records]
    return swept(layout, len(items))


def swept(layout: ItemLayout, count: int) -> Archive:
    """Sweep a table; its newest archive, which must have so many records."""
    options = SweepOptions(
        tables=(layout.table.name,), as_of=NOW, accept_large_sweep=True, who="tests"
    )
    report = enforce_retention(options)
    assert report.exit_code == 0, report.as_json()
    archive = Archive.objects.filter(table=layout.table.name).latest("created_at", "id")
    assert archive.count == archive.deleted == count
    return archive


def audit_trail(keeper: Keeper, *actions: str) -> list[dict[str, Any]]:
    """The trail's entries on holds, restores, erasures and exports, in order."""
    layout = layout_of(AuditLog)
    found = [layout.from_item(item) for item in items_of(keeper, layout)]
    wanted = [each for each in found if each["source"] == "dbcore.retention"]
    wanted = [each for each in wanted if not actions or each["action"] in actions]
    return sorted(wanted, key=lambda each: str(each["id"]))


def items_of(keeper: Keeper, layout: ItemLayout) -> list[Item]:
    """Every record of a table."""
    if keeper.name == "dynamodb":
        return list(_scan(layout.table_name))
    names = [column.name for column in layout.columns]
    return [layout.to_item(row) for row in layout.model._base_manager.values(*names)]


def _scan(name: str) -> Iterator[Item]:
    yield from get_wire().call("Scan", {"TableName": name, "ConsistentRead": True})["Items"]


def places_that_name(keeper: Keeper, text: str) -> list[str]:
    """Every table, of Django's database and of DynamoDB, with a value that has this text in it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            if any(text in str(value) for row in cursor.fetchall() for value in row):
                found.append(table)
    if keeper.name == "dynamodb":
        names = [table.name for table in wanted_tables()]
        found += [name for name in names if text in json.dumps(list(_scan(name)))]
    return found


def user_named(keeper: Keeper, user: str, **given: Any) -> Item:
    """A user's own record."""
    return put(keeper, User, NOW - DAY, **{"id": user, "is_active": True, **given})


def is_kept_from_placing(user: str) -> bool:
    """Whether another, on a connection of its own, cannot place a hold on the user now."""
    kept: list[bool] = []

    def place() -> None:
        try:
            place_hold(user_subject(user), who="w", why="y", until=None, now=timezone.now())
            kept.append(False)
        except OperationalError:  # SQLite says at once that somebody is writing
            kept.append(True)
        except AuditFailed as error:  # its first entry is a write as well, where that is SQL
            kept.append(isinstance(error.__cause__.__cause__, OperationalError))  # type: ignore[union-attr]
        finally:
            connection.close()

    thread = threading.Thread(target=place)
    thread.start()
    thread.join()
    return kept[0]
