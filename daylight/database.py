"""The front door of the database layer: what a Daylight process calls when it starts and ends, and
the services that its views import. Nothing here knows a table or a store.
"""

from __future__ import annotations

import atexit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from daylight.services.access import access_service
from daylight.services.accounts import user_service
from daylight.services.analytics import analytics_service
from daylight.services.api_keys import api_key_service
from daylight.services.audit import audit_service
from daylight.services.caches import cache_service
from daylight.services.error_logs import error_logging_service
from daylight.services.location_history import location_history_service
from daylight.services.planning import planning_service
from daylight.services.rate_limits import rate_limit_service
from daylight.services.sessions import session_service
from dbcore import bookkeeping, local_engine
from dbcore.errors import ConfigurationError
from dbcore.migration.once import migrate_once
from dbcore.schema import wanted_tables
from dbcore.stores.choice import DYNAMODB, primary_store
from dbcore.table_sync import sync_tables
from dbcore.wire import close_wires, get_wire
from dbcore.wire.answers import error_code

__all__ = [
    "access_service",
    "analytics_service",
    "api_key_service",
    "audit_service",
    "cache_service",
    "error_logging_service",
    "initialize_database",
    "location_history_service",
    "planning_service",
    "rate_limit_service",
    "session_service",
    "shutdown_database",
    "user_service",
]

PROBE_DEADLINE = 5.0  # seconds for DynamoDB's first answer


def initialize_database() -> None:
    """Bring the database layer to where it can serve: the primary store answers and has its tables,
    and with MIGRATE_FROM_SQLITE=true DynamoDB has the records of Django's database, once.

    Idempotent, and safe in many processes at once. Raises DbcoreError, whose message says what is
    wrong and what to do.
    """
    primary_store()  # refuses a DATABASE_PRIMARY that is none
    bookkeeping.make_ready()
    if settings.DATABASE_PRIMARY != DYNAMODB:
        _make_sql_ready()
    if settings.DATABASE_PRIMARY == DYNAMODB or settings.MIGRATE_FROM_SQLITE:
        _make_dynamodb_ready()
    if settings.MIGRATE_FROM_SQLITE:
        migrate_once()


def shutdown_database() -> None:
    """Close what this process holds: connections to DynamoDB, this thread's to SQL databases and to
    caches, and its use of the local engine, which the last user stops.

    Idempotent; runs by itself when the process ends. Calls that come after it open what they need
    anew. Other threads' SQL connections end with their threads.
    """
    close_wires()
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
        caches.close_all()
    local_engine.release()


def _make_sql_ready() -> None:
    """The records' tables in Django's database; bookkeeping has found that it answers."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "daylight"]
    if not executor.migration_plan(wanted):
        return
    if not settings.DBCORE_AUTO_MIGRATE:
        raise ConfigurationError(
            "Django's database lacks the records' tables: run `manage.py migrate` first"
        )
    call_command("migrate", "daylight", verbosity=0, interactive=False)


def _make_dynamodb_ready() -> None:
    _check_dynamodb()
    report = sync_tables()
    if report.differences:
        raise ConfigurationError(
            f"tables are not as the models declare them ({'; '.join(report.differences)}): see "
            "`manage.py sync_tables`"
        )


def _check_dynamodb() -> None:
    """Raise ConfigurationError where DynamoDB does not answer, or refuses these credentials."""
    wire = get_wire()
    table = wanted_tables()[0].name
    try:
        wire.call("DescribeTable", {"TableName": table}, deadline=PROBE_DEADLINE)
    except (BotoCoreError, ClientError) as error:
        if error_code(error) == "ResourceNotFoundException":
            return  # it answers; the tables come next
        raise ConfigurationError(
            f"DynamoDB at {wire.endpoint.url} cannot be used: {error}. See DYNAMODB_ENDPOINT, "
            "DYNAMODB_REGION and the credentials"
        ) from error


atexit.register(shutdown_database)
