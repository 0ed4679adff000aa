"""Puts the measuring in its two places: the wire's hooks and Django's connections."""

from __future__ import annotations

from django.conf import settings
from django.db import connections
from django.db.backends.signals import connection_created

from dbcore.monitoring import reporter
from dbcore.monitoring.measure_sql import measure_query, watch
from dbcore.monitoring.measure_wire import measure_call
from dbcore.wire import HOOKS

_UID = "dbcore.monitoring"


def install() -> None:
    """Measure from now on, unless DB_METRICS_ENABLED is false. Idempotent."""
    if not settings.DB_METRICS_ENABLED:
        return
    if measure_call not in HOOKS:
        HOOKS.append(measure_call)
    connection_created.connect(watch, dispatch_uid=_UID)
    for connection in connections.all(initialized_only=True):
        watch(connection)


def uninstall() -> None:
    """Measure nothing from now on in this thread; other threads' connections go on."""
    reporter.stop()
    if measure_call in HOOKS:
        HOOKS.remove(measure_call)
    connection_created.disconnect(dispatch_uid=_UID)
    for connection in connections.all(initialized_only=True):
        if measure_query in connection.execute_wrappers:
            connection.execute_wrappers.remove(measure_query)
