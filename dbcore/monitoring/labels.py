"""The closed sets from which labels are: tables, operations, errors.

A label never has a key, a value or a user in it, nor anything that a caller can make up: what is
not known is "other".
"""

from __future__ import annotations

import functools
import re

from django.apps import apps
from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder

from dbcore.schema import own_tables, storage_models

DYNAMODB = "aws.dynamodb"  # db.system.name; of a SQL database it is Django's name for its vendor
OTHER = "other"
SEVERAL = "several"  # tables in one batch or transaction
SQL_OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")  # and "other"
MAX_ERRORS = 100
# What a database answers when it is well and the answer is no: a condition that does not hold, a
# value that is taken. Services count on it; it is no failure.
REFUSALS = frozenset({
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "IntegrityError",
})  # fmt: skip
_ERROR = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_errors: set[str] = set()


@functools.lru_cache(maxsize=64)
def _collections(prefix: str) -> tuple[frozenset[str], frozenset[str]]:
    """The tables of records, and the layer's own, without the prefix."""
    records = (model.storage.name for model in storage_models())  # type: ignore[attr-defined]
    return frozenset(records), frozenset(each.name.removeprefix(prefix) for each in own_tables())


def collection(names: str) -> str:
    """The label of a call to DynamoDB: its table without the prefix.

    `names` is a call's: several are joined by commas. Guards and holds, which are written along
    with a record, are left out beside it.
    """
    return _collection(names, settings.DYNAMODB_TABLE_PREFIX)


@functools.lru_cache(maxsize=1024)
def _collection(names: str, prefix: str) -> str:
    records, own = _collections(prefix)
    found = {_without(prefix, name) for name in names.split(",")}
    known = (found & records) or (found & own)
    if found - records - own:
        known = known | {OTHER}
    return next(iter(known)) if len(known) == 1 else SEVERAL


def _without(prefix: str, name: str) -> str:
    return name[len(prefix) :] if name.startswith(prefix) else ""


@functools.cache
def sql_tables() -> frozenset[str]:
    """The tables of all models that are installed, and Django's list of migrations."""
    models = apps.get_models(include_auto_created=True)
    recorded = MigrationRecorder.Migration._meta.db_table
    return frozenset({model._meta.db_table for model in models} | {recorded})


@functools.cache
def sql_names() -> frozenset[str]:
    """What a quoted name in SQL may be called: tables, columns, indexes, constraints."""
    names = set(sql_tables())
    for model in apps.get_models(include_auto_created=True):
        names.update(field.column or "" for field in model._meta.local_concrete_fields)
        names.update(each.name for each in (*model._meta.indexes, *model._meta.constraints))
    return frozenset(names)


def error_type(name: str | None) -> str:
    """The label of an error's code or class; "" of none."""
    if name is None:
        return ""
    if name not in _errors:
        if len(_errors) >= MAX_ERRORS or not _ERROR.fullmatch(name):
            return OTHER
        _errors.add(name)
    return name
