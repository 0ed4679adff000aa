"""The tables that a migration writes to: there, active, and known by an identity that a table
deleted and made again does not share."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from dbcore.guards import guard_table
from dbcore.items import ItemLayout
from dbcore.leases import lease_table
from dbcore.migration.errors import MigrationError
from dbcore.table_sync import sync_tables
from dbcore.wire import Wire


def target_name() -> str:
    """The target as checkpoints and people know it. A local engine's port is not part of it."""
    place = settings.DYNAMODB_ENDPOINT or "aws"
    return f"{place} {settings.DYNAMODB_REGION} {settings.DYNAMODB_TABLE_PREFIX}*"


def make_ready(layouts: Iterable[ItemLayout]) -> None:
    """Make the tables that are missing; MigrationError where one cannot be used."""
    names = {layout.table_name for layout in layouts} | {guard_table(), lease_table()}
    report = sync_tables(tables=sorted(names))
    if report.differences:
        listed = "; ".join(str(difference) for difference in report.differences)
        raise MigrationError(f"tables are not as they must be ({listed}): see `sync_tables`")


def table_id(wire: Wire, layout: ItemLayout) -> str:
    """What tells a table from one of the same name before or after it."""
    table = wire.call("DescribeTable", {"TableName": layout.table_name})["Table"]
    return str(table.get("TableId") or table["CreationDateTime"])


def is_empty(wire: Wire, layout: ItemLayout) -> bool:
    """Whether a table has no item."""
    page = wire.call(
        "Scan",
        {"TableName": layout.table_name, "ConsistentRead": True, "Select": "COUNT", "Limit": 1},
    )
    return page["Count"] == 0 and "LastEvaluatedKey" not in page
