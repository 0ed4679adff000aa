"""The front door of the database layer: what a Daylight process calls when it starts and ends, and
the services that its views import. Nothing here knows a table or a store.
"""

from __future__ import annotations

import atexit

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils import timezone

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
from daylight.services.twins import end_threads, waiting
from dbcore import bookkeeping, deployment, local_engine
from dbcore.migration.once import migrate_once
from dbcore.monitoring import pools, reporter
from dbcore.monitoring.health import run_checks
from dbcore.monitoring.health.changes import CHANGES
from dbcore.monitoring.health.report import HealthReport, health_report
from dbcore.monitoring.summary import DatabaseMetrics, database_metrics
from dbcore.stores.choice import DYNAMODB, primary_store
from dbcore.stores.sql_pools import close_sql_pools
from dbcore.wire import close_wires

__all__ = [
    "access_service",
    "analytics_service",
    "api_key_service",
    "audit_service",
    "cache_service",
    "error_logging_service",
    "get_database_metrics",
    "initialize_database",
    "location_history_service",
    "perform_database_health_check",
    "planning_service",
    "rate_limit_service",
    "session_service",
    "shutdown_database",
    "user_service",
]


def initialize_database() -> deployment.Standing:
    """Bring the database layer to where it can serve: the primary store answers and has its tables,
    and with MIGRATE_FROM_SQLITE=true DynamoDB has the records of Django's database, once.

    DynamoDB's tables are made by the first deployment alone. One that is missing later is named, in
    what is returned and in the log, and the others are served. Idempotent, and safe in many
    processes at once. Raises DbcoreError, whose message says what is wrong and what to do.
    """
    primary_store()  # refuses a DATABASE_PRIMARY that is none
    bookkeeping.make_ready()
    if settings.DATABASE_PRIMARY != DYNAMODB:
        bookkeeping.make_tables("daylight", "the records' tables")
    standing = deployment.Standing()
    if settings.DATABASE_PRIMARY == DYNAMODB or settings.MIGRATE_FROM_SQLITE:
        standing = deployment.at_start()
    if settings.MIGRATE_FROM_SQLITE:
        migrate_once()
    # Not before: a migration that verifies itself must not find new records of its own source.
    reporter.report_from_here()
    return standing


def get_database_metrics(minutes: float = 15) -> DatabaseMetrics:
    """What all processes did in the last `minutes`, by store, table and operation, with what this
    one has not reported yet; this one's pools, cache, slow and failed queries. Plain data for JSON;
    times are in milliseconds. Where the store is out of reach it is this process's alone, and
    `window.scope` says so."""
    return database_metrics(minutes, timezone.now())


def perform_database_health_check() -> HealthReport:
    """How the database layer is: the worst status, and what each check says and how long it took.
    Plain data for JSON; ends within DB_HEALTH_DEADLINE seconds, and raises for nothing that is not
    well."""
    now = timezone.now()
    return health_report(CHANGES.noted(run_checks(now=now)), now)


def shutdown_database() -> None:
    """Write down what was measured, and close what this process holds: async calls' threads,
    connections to DynamoDB, this thread's to SQL databases and to caches, and its use of the local
    engine, which the last user stops.

    Idempotent; runs by itself when the process ends. Calls that come after it open what they need
    anew. Other threads' SQL connections end with their threads.
    """
    reporter.stop()
    end_threads()
    close_wires()
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
        close_sql_pools()
        caches.close_all()
    local_engine.release()


pools.WAITING.append(waiting)
atexit.register(shutdown_database)
