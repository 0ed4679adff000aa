"""Does the primary store take a write? No table of records is touched, nothing that is written here
stays, and it needs no right that services do without.
"""

from __future__ import annotations

import sqlite3

from django.db import Error, connections, transaction

from dbcore.dynamo.leases import lease_table
from dbcore.monitoring.health.dynamodb import FAILURES
from dbcore.monitoring.health.verdicts import Context, Verdict, critical, in_words, warning
from dbcore.schema import LEASE_KEY
from dbcore.wire import Wire
from dbcore.wire.answers import error_code

KEY = {LEASE_KEY: {"S": "health"}}  # among the leases, and the name of none
_KEPT = 86400  # seconds until DynamoDB tidies up after a process that was killed in between
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# A standby is always read-only; a server that is not may have been made so (a full disk, a move).
_POSTGRESQL = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"


def dynamodb_refusal(wire: Wire, context: Context) -> Verdict | None:
    """What is wrong where a row among the leases cannot be written and deleted; None where it
    can, or where there is no such table (the check `tables` says so)."""
    table = lease_table()
    item = {**KEY, "ttl": {"N": str(int(context.now.timestamp()) + _KEPT)}}
    try:
        wire.call("PutItem", {"TableName": table, "Item": item}, deadline=context.left)
        wire.call("DeleteItem", {"TableName": table, "Key": KEY}, deadline=context.left)
    except FAILURES as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        return critical(
            f"DynamoDB at {wire.endpoint.url} answers a read and takes no write "
            f"({in_words(error)}): check the role's rights on {table}, and the region"
        )
    return None


def sql_refusal(alias: str, what: str, context: Context) -> Verdict | None:
    """What is wrong where a SQL database takes no write; None where it does, or cannot tell."""
    try:
        if connections[alias].vendor == "postgresql":
            why = _postgresql(alias)
        elif connections[alias].vendor == "sqlite":
            why = _sqlite(alias, context.left / 2)
        else:
            why = ""
    except Error as error:
        if _is_busy(error):
            return warning(
                f"{what} answers a read, and takes no write for now ({in_words(error)}): what "
                "writes for so long?"
            )
        why = in_words(error)
    if not why:
        return None
    return critical(
        f"{what} answers a read and takes no write ({why}): check that DATABASE_URL names the "
        "primary, its disk and its permissions"
    )


def _postgresql(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute(_POSTGRESQL)
        is_standby, is_read_only = cursor.fetchone()
    if is_standby:
        return "it is a standby"
    return "its transactions are read-only" if is_read_only else ""


def _sqlite(alias: str, patience: float) -> str:
    """Change a number that nothing uses, in the file's own header, and take it back: to begin a
    transaction alone succeeds in a file that is read-only."""
    with connections[alias].cursor() as cursor:  # of this thread alone, which ends with the check
        cursor.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        with transaction.atomic(using=alias):
            cursor.execute("PRAGMA user_version = 0")
            transaction.set_rollback(True, using=alias)
    return ""


def _is_busy(error: Error) -> bool:
    """Whether another process holds SQLite's one lock for writing."""
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY
