"""Do the stores answer, and soon enough: the primary, which must take a write too, and the replicas
beside it. No record is touched.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections

from dbcore.dynamo.leases import lease_table
from dbcore.errors import SEE_CONNECT
from dbcore.items import layout_of
from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health.dynamodb import FAILURES, descriptions, is_primary
from dbcore.monitoring.health.verdicts import (
    Context,
    Verdict,
    critical,
    healthy,
    in_words,
    listed,
    warning,
)
from dbcore.monitoring.health.writes import KEY, dynamodb_refusal, sql_refusal
from dbcore.monitoring.switch import unmeasured
from dbcore.schema import storage_models
from dbcore.stores import choice
from dbcore.stores.dynamo.replicas import Replica, configured_replicas
from dbcore.wire import get_wire
from dbcore.wire.answers import error_code

MAX_LAG = 60.0  # seconds
# SQLite reads the first page of its file for nothing less.
_PROBES = {"sqlite": "SELECT count(*) FROM sqlite_master"}
# None on a server that is no replica; nothing to replay is no lag, however long ago the last was.
_LAG = """
    SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp()) END
"""


def primary_store(context: Context) -> Verdict:
    """Whether the store of services answers a read, how soon, and whether it takes a write."""
    choice.primary_store()  # raises for a DATABASE_PRIMARY that is none
    if not is_primary():
        return _sql_primary(context)
    wire = get_wire()
    try:
        _read_dynamodb(context)  # may have to connect and to look for credentials
        seconds = _read_dynamodb(context)
    except FAILURES as error:
        return critical(
            f"DynamoDB at {wire.endpoint.url} does not answer a read ({in_words(error)}): check "
            f"network, credentials and DYNAMODB_ENDPOINT; {SEE_CONNECT}"
        )
    refusal = dynamodb_refusal(wire, context)
    return refusal or _timely(f"DynamoDB at {wire.endpoint.url}", seconds)


def _read_dynamodb(context: Context) -> float:
    """Seconds that a consistent read took, of a record that need not be there."""
    request = {"TableName": lease_table(), "Key": KEY, "ConsistentRead": True}
    began = time.monotonic()
    try:
        get_wire().call("GetItem", request, deadline=context.left)
    except FAILURES as error:
        if error_code(error) != "ResourceNotFoundException":  # it answers: see the check `tables`
            raise
    return time.monotonic() - began


def _sql_primary(context: Context) -> Verdict:
    what = f"Django's database ({connections[DEFAULT_DB_ALIAS].vendor})"
    try:
        seconds = _read_sql(DEFAULT_DB_ALIAS)
    except Error as error:
        return critical(
            f"{what} does not answer a read ({in_words(error)}): check the server or the file, and "
            f"DATABASE_URL; {SEE_CONNECT}"
        )
    return sql_refusal(DEFAULT_DB_ALIAS, what, context) or _timely(what, seconds)


def _read_sql(alias: str) -> float:
    """Seconds that a read took, on a connection that was there."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        began = time.monotonic()
        cursor.execute(_PROBES.get(connection.vendor, "SELECT 1"))
        cursor.fetchone()
        return time.monotonic() - began


def _timely(what: str, seconds: float) -> Verdict:
    took = f"{what} answers a read in {seconds * 1000:,.0f} ms, and takes a write"
    limit = settings.DB_LATENCY_THRESHOLD
    if seconds * 1000 > limit:
        return warning(
            f"{what} answers a read in {seconds * 1000:,.0f} ms, over the {limit:g} of "
            "DB_LATENCY_THRESHOLD, and takes a write: see high_latency"
        )
    return healthy(took)


def replicas(context: Context) -> Verdict:
    """Whether each replica of the primary store answers, and has what it is to have."""
    asked: dict[str, Callable[[], str]] = {}
    if is_primary():
        setting = "DYNAMODB_REPLICA_REGIONS"
        for replica in configured_replicas():
            asked[replica.wire.region] = functools.partial(_trouble_in_region, replica, context)
    else:
        setting = "DATABASE_REPLICA_URLS"
        asked = {
            alias: functools.partial(_trouble_of_alias, alias)
            for alias in settings.DATABASE_REPLICAS
        }
    if not asked:
        return healthy(f"not in use: {setting} is empty")
    troubles = []
    for name, said in in_time(asked, context.left).items():
        words = f"does not answer ({in_words(said)})" if isinstance(said, BaseException) else said
        if words:
            troubles.append(f"{name} {words}")
    if not troubles:
        return healthy(f"all answer: {listed(list(asked))}")
    return warning(
        f"replica {'; '.join(troubles)}: reads go to the primary meanwhile; mend it, or take it "
        f"out of {setting}; {SEE_CONNECT}"
    )


def _trouble_in_region(replica: Replica, context: Context) -> str:
    names = [layout_of(model).table_name for model in storage_models()]
    found = descriptions(replica.wire, context, names)
    missing = [name for name, description in found.items() if description is None]
    return f"lacks the tables {listed(missing)}" if missing else ""


def _trouble_of_alias(alias: str) -> str:
    with unmeasured():
        _read_sql(alias)
        if connections[alias].vendor != "postgresql":
            return ""
        with connections[alias].cursor() as cursor:
            cursor.execute(_LAG)
            (lag,) = cursor.fetchone()
    return f"is {lag:,.0f} seconds behind" if lag is not None and lag > MAX_LAG else ""
