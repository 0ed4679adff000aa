"""The tables that a migration writes to: there, active, and known by an identity that a table
deleted and made again does not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from botocore.exceptions import ClientError
from django.conf import settings

from dbcore.guards import guard_table
from dbcore.items import ItemLayout
from dbcore.leases import lease_table
from dbcore.migration.errors import MigrationError
from dbcore.schema import hold_table
from dbcore.table_sync import sync_tables
from dbcore.wire import Wire, get_wire
from dbcore.wire.answers import error_code


def target_name() -> str:
    """The target as checkpoints and people know it. A local engine's port is not part of it."""
    place = settings.DYNAMODB_ENDPOINT or "aws"
    return f"{place} {settings.DYNAMODB_REGION} {settings.DYNAMODB_TABLE_PREFIX}*"


def make_ready(layouts: Iterable[ItemLayout], *, make: bool = True) -> None:
    """Make the tables that are missing; MigrationError where one cannot be used, or where one is
    missing and not to be made."""
    names = {layout.table_name for layout in layouts} | {guard_table(), lease_table()}
    if make:
        names.add(hold_table())  # copying needs none; holds and erasures do from then on
    # Once, so that an engine out of reach is told of once and not for each table.
    there = set(_table_names(get_wire()))
    missing = sorted(names - there)
    if missing and not make:
        raise MigrationError(f"there is no table {', '.join(missing)}: nothing has been copied yet")
    report = sync_tables(tables=sorted(names), dry_run=not make)
    if report.differences:
        listed = "; ".join(str(difference) for difference in report.differences)
        raise MigrationError(f"tables are not as they must be ({listed}): see `sync_tables`")


def _table_names(wire: Wire) -> Iterator[str]:
    request: dict[str, str] = {}
    while True:
        page = wire.call("ListTables", request)
        yield from page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            return
        request = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}


def table_id(wire: Wire, layout: ItemLayout) -> str:
    """What tells a table from one of the same name before or after it; "" where there is none."""
    try:
        table = wire.call("DescribeTable", {"TableName": layout.table_name})["Table"]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return ""
        raise
    return str(table.get("TableId") or table["CreationDateTime"])


def is_empty(wire: Wire, layout: ItemLayout) -> bool:
    """Whether a table has no item."""
    page = wire.call(
        "Scan",
        {"TableName": layout.table_name, "ConsistentRead": True, "Select": "COUNT", "Limit": 1},
    )
    return page["Count"] == 0 and "LastEvaluatedKey" not in page
