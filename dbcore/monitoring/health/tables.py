"""Are the tables and indexes there, ready, and as the models declare them? Changes nothing; what to
do about it is the business of `sync_tables` and `migrate`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from dbcore.monitoring.health.columns import lacking_columns, lacking_names
from dbcore.monitoring.health.dynamodb import (
    about_dynamodb,
    at_worst,
    descriptions,
    is_primary,
    is_used,
)
from dbcore.monitoring.health.results import Status
from dbcore.monitoring.health.verdicts import (
    Context,
    Verdict,
    healthy,
    in_words,
    listed,
    together,
    warning,
)
from dbcore.schema import WantedTable, storage_models, wanted_tables
from dbcore.table_sync.plan import (
    INDEX_KINDS,
    Description,
    Observed,
    Plan,
    key_of,
    plan_for,
    unsettled,
)
from dbcore.wire import Wire

BOOKS = "dbcore"
_USABLE = ("ACTIVE", "UPDATING")


def tables(context: Context) -> Verdict:
    """Existence, state and drift of the tables of both stores, so far as they are in use."""
    verdicts = [_sql_tables()]
    if is_used():
        verdicts.append(_dynamodb_tables(context))
    return together(verdicts)


# --- Django's database ----------------------------------------------------------------------------
def _sql_tables() -> Verdict:
    try:
        verdicts = [_tables_of({BOOKS}, "the books of the layer", Status.WARNING)]
        if not is_primary():
            labels = {model._meta.app_label for model in storage_models()}
            verdicts.append(_tables_of(labels, "the records", Status.CRITICAL))
    except Error as error:
        status = Status.WARNING if is_primary() else Status.CRITICAL
        return Verdict(status, f"Django's database cannot be asked ({in_words(error)})")
    return together(verdicts)


def _tables_of(labels: set[str], what: str, status: Status) -> Verdict:
    connection = connections[DEFAULT_DB_ALIAS]
    there = set(connection.introspection.table_names())
    models = [
        model
        for label in sorted(labels)
        for model in apps.get_app_config(label).get_models()
        if model._meta.managed and not model._meta.proxy
    ]
    wanted = {model._meta.db_table for model in models}
    if missing := sorted(wanted - there):
        return Verdict(
            status,
            f"Django's database lacks tables of {what} ({listed(missing)}): run `manage.py migrate`"
            ", or restore them if they were deleted",
        )
    applied = MigrationRecorder(connection).applied_migrations()
    behind = sorted(f"{label}.{name}" for label, name in _newest(frozenset(labels)) - set(applied))
    if behind:
        return Verdict(
            status, f"{what} lack the migration {listed(behind)}: run `manage.py migrate`"
        )
    if columns := lacking_columns(connection, models):
        return Verdict(
            status,
            f"Django's database lacks columns of {what} ({listed(columns)}), though every "
            "migration was applied: who changed them by hand? See `manage.py sqlmigrate`",
        )
    if names := lacking_names(connection, models):
        return warning(
            f"Django's database lacks indexes or constraints of {what} ({listed(names)}): make "
            "them again, as `manage.py sqlmigrate` shows them"
        )
    return healthy(f"Django's database has {len(wanted)} tables of {what}")


@functools.cache
def _newest(labels: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The last migrations in the code, which does not change while it runs."""
    leaves = MigrationLoader(None).graph.leaf_nodes()
    return frozenset(node for node in leaves if node[0] in labels)


# --- DynamoDB -------------------------------------------------------------------------------------
@about_dynamodb
def _dynamodb_tables(context: Context, wire: Wire) -> Verdict:
    wanted = wanted_tables()
    found = descriptions(wire, context, [each.name for each in wanted])
    missing = [name for name, table in found.items() if table is None]
    broken, drifted = [], []
    for each in wanted:
        table = found[each.name]
        if table is None:
            continue
        if table["TableStatus"] not in _USABLE:
            broken.append(f"{each.name} is {table['TableStatus']}")
        elif key_of(table) != key_of(each.request):
            broken.append(f"{each.name} has the key {key_of(table)}")
        else:
            drifted += [f"{each.name}: {text}" for text in _drift(each, table)]
    verdicts = []
    if missing:
        verdicts.append(
            f"DynamoDB lacks {listed(missing)}: restore it if it was deleted, else run `manage.py "
            "sync_tables`"
        )
    if broken:
        verdicts.append(f"unusable: {listed(broken)}; see `manage.py sync_tables --dry-run`")
    if verdicts:
        return Verdict(at_worst(), "; ".join(verdicts))
    if drifted:
        return warning(f"not as declared: {listed(drifted)}; see `manage.py sync_tables --dry-run`")
    return healthy(f"DynamoDB has its {len(wanted)} tables, as declared")


def _drift(wanted: WantedTable, table: Description) -> list[str]:
    plan = _plan_without_indexes(wanted, table)
    return [*plan.differences, *(action.text for action in plan.actions)]


def _plan_without_indexes(wanted: WantedTable, table: Description) -> Plan:
    request = {name: value for name, value in wanted.request.items() if name not in INDEX_KINDS}
    return plan_for(dataclasses.replace(wanted, request=request), Observed(table))


@about_dynamodb
def indexes(context: Context, wire: Wire) -> Verdict:
    """Whether each index of DynamoDB's tables is there, ACTIVE, and on its own attributes."""
    wanted = wanted_tables()
    found = descriptions(wire, context, [each.name for each in wanted])
    wrong, waiting, count = [], [], 0
    for each in wanted:
        table = found[each.name]
        if table is None:  # the check `tables` says how bad that is
            continue
        count += sum(len(each.request.get(kind, ())) for kind in INDEX_KINDS)
        wrong += [f"{each.name}: {text}" for text in _index_faults(each, table)]
        if (busy := unsettled(each, table)) and table["TableStatus"] in _USABLE:
            waiting.append(f"{each.name}: {busy}")
    if wrong:
        return Verdict(
            at_worst(),
            f"{listed(wrong)}: run `manage.py sync_tables`, then see docs/sync-tables.md",
        )
    if waiting:
        return warning(f"not ready: {listed(waiting)}; lists through it lack records until it is")
    if missing := sum(table is None for table in found.values()):
        return healthy(f"{count} are there and ACTIVE; {missing} tables are missing: see tables")
    return healthy(f"all {count} are there and ACTIVE")


def _index_faults(wanted: WantedTable, table: Description) -> Iterator[str]:
    """What of the plan is about indexes: what it would not have without them, and what adds one."""
    plan = plan_for(wanted, Observed(table))
    others = _plan_without_indexes(wanted, table)
    yield from (text for text in plan.differences if text not in others.differences)
    for action in plan.actions:
        if "GlobalSecondaryIndexUpdates" in action.request:
            yield f"it lacks an index; to mend it, {action.text}"
