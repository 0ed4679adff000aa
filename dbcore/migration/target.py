"""The tables that a migration writes to: there, active, and known by an identity that a table
deleted and made again does not share."""

from __future__ import annotations

from collections.abc import Iterable

from botocore.exceptions import ClientError

from dbcore import deployment
from dbcore.dynamo.guards import guard_table
from dbcore.dynamo.leases import lease_table
from dbcore.dynamo.reading import is_missing
from dbcore.items import ItemLayout
from dbcore.migration.errors import MigrationError
from dbcore.schema import hold_table
from dbcore.table_sync import sync_tables
from dbcore.wire import Wire


def make_ready(layouts: Iterable[ItemLayout], *, make: bool = True) -> None:
    """Make the tables that were never there; MigrationError where one cannot be used, or where one
    is missing and not to be made."""
    names = {layout.table_name for layout in layouts} | {guard_table(), lease_table()}
    if make:
        names.add(hold_table())  # copying needs none; holds and erasures do from then on
        deployment.make(sorted(names))
    elif missing := deployment.missing(sorted(names)):
        raise MigrationError(f"there is no table {', '.join(missing)}: nothing to compare with")
    report = sync_tables(tables=sorted(names), dry_run=True)
    if report.differences:
        listed = "; ".join(str(difference) for difference in report.differences)
        raise MigrationError(f"tables are not as they must be ({listed}): see `sync_tables`")


def table_id(wire: Wire, layout: ItemLayout) -> str:
    """What tells a table from one of the same name before or after it; "" where there is none."""
    try:
        table = wire.call("DescribeTable", {"TableName": layout.table_name})["Table"]
    except ClientError as error:
        if is_missing(error):
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
