"""Which call to a database an error is about. Found when the error is told, from the error itself
and its traceback: a call that goes well pays nothing for it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from django.db import Error, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from dbcore.monitoring.labels import DYNAMODB, SEVERAL, collection
from dbcore.monitoring.shapes import statement
from dbcore.schema import has_storage
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Add, Query, Store
from dbcore.stores.orm import OrmStore
from dbcore.wire import Call
from dbcore.wire.answers import error_code

_NOTED = "dbcore_call"  # the attribute of an exception
_MAX_CHAIN = 50
_OUTSIDE_STATEMENTS = {"connect": "CONNECT", "_commit": "COMMIT", "_rollback": "ROLLBACK"}
_STORE_CALLS = frozenset(name for name in vars(Store) if not name.startswith("_"))


@dataclass(frozen=True, slots=True)
class DatabaseCall:
    """A call to a database, in the words of OpenTelemetry: each from a closed set, or empty."""

    system: str
    table: str
    operation: str

    def __str__(self) -> str:
        return f"{self.operation} {self.table}".strip()


def note(call: Call) -> None:
    """Keep with an exception of the wire which call it is of."""
    if call.failure is not None:
        table = collection(call.table) if call.table else ""
        setattr(call.failure, _NOTED, DatabaseCall(DYNAMODB, table, call.operation))


def call_of(error: BaseException) -> DatabaseCall | None:
    """The call that an error is about; None where it is about none.

    First the database's own errors, behind whatever was made of them; then the call to a store in
    which something else went wrong.
    """
    chain = list(walk(error))
    for each in chain:
        if found := own_call(each):
            return found
    for each in chain:
        for frame in _frames(each):
            if found := _store_call(frame):
                return found
    return None


def own_call(error: BaseException) -> DatabaseCall | None:
    """The call of which this is the database's own error."""
    noted = getattr(error, _NOTED, None)
    if isinstance(noted, DatabaseCall):
        return noted
    if isinstance(error, Error):
        for frame in _frames(error):
            if found := _sql_call(frame):
                return found
    return None


def database_error(error: BaseException) -> BaseException | None:
    """The error of a database behind an error, or the error itself."""
    return next((each for each in walk(error) if own_call(each)), None)


def type_of(error: BaseException) -> str:
    """OpenTelemetry's error.type: the database's code where it was one that failed, else the
    class."""
    return error_code(database_error(error) or error)


def walk(error: BaseException) -> Iterator[BaseException]:
    """An error and all that are behind it, or that it holds as a group; each once."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_CHAIN:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        behind = [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            behind += each.exceptions
        waiting += [one for one in behind if one is not None]


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Innermost first."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        yield frame


def _sql_call(frame: FrameType) -> DatabaseCall | None:
    name = frame.f_code.co_name
    module = frame.f_globals.get("__name__")
    if module == "django.db.backends.utils":
        local = frame.f_locals
        owner, sql = local.get("self"), local.get("sql")
        if isinstance(owner, CursorWrapper) and isinstance(sql, str):
            told = statement(sql)
            return DatabaseCall(owner.db.vendor, told.table, told.operation)
    if module == "django.db.backends.base.base" and name in _OUTSIDE_STATEMENTS:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BaseDatabaseWrapper):
            return DatabaseCall(owner.vendor, "", _OUTSIDE_STATEMENTS[name])
    return None


def _store_call(frame: FrameType) -> DatabaseCall | None:
    name = frame.f_code.co_name
    if name not in _STORE_CALLS:
        return None
    local = frame.f_locals
    store = local.get("self")
    if isinstance(store, DynamoStore):
        return DatabaseCall(DYNAMODB, _table(local), name)
    if isinstance(store, OrmStore):
        return DatabaseCall(connections[store.alias].vendor, _table(local), name)
    return None


def _table(given: dict[str, Any]) -> str:
    """The table of a store's call, from its arguments."""
    if "writes" in given:
        names = {_name(each.record if isinstance(each, Add) else each.model)
                 for each in given["writes"]}  # fmt: skip
        return names.pop() if len(names) == 1 else SEVERAL
    query = given.get("query")
    if isinstance(query, Query):
        return _name(query.model)
    about = (given.get(name) for name in ("model", "record", "initial"))
    return next((_name(each) for each in about if each is not None), "")


def _name(of: models.Model | type[models.Model]) -> str:
    model = of if isinstance(of, type) else type(of)
    return str(model.storage.name) if has_storage(model) else ""  # type: ignore[attr-defined]
