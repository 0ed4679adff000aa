"""Begins and ends the use of Sentry. A Sentry that is slow, away or full costs a request nothing:
events wait in a short queue, a thread of the SDK's sends them over connections of its own, and what
finds no room is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from sentry_sdk.integrations.argv import ArgvIntegration
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import HttpTransport

from dbcore.addresses import Address, parse_sentry
from dbcore.errors import ConfigurationError
from dbcore.monitoring.metrics import current
from dbcore.monitoring.sentry.events import breadcrumb, error_event
from dbcore.monitoring.sentry.traces import (
    tell_call,
    tell_failure,
    tell_statement,
    traced_request,
    watch,
)
from dbcore.wire import HOOKS

_UID = "dbcore.monitoring.sentry"
EXIT_SECONDS = 2.0  # that the end of a process waits for what is still to be sent
SEND_SECONDS = 10  # for one envelope
# The SDK collects none of it. What of the rest is sent, events.py says.
COLLECTED = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "graphql": {"document": False, "variables": False},
    "gen_ai": {"inputs": False, "outputs": False},
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,
}
ALWAYS = {
    "before_send": error_event,
    "before_send_transaction": traced_request,
    "before_breadcrumb": breadcrumb,
    "data_collection": COLLECTED,
    "include_local_variables": False,
    "max_request_body_size": "never",
    "ignore_errors": [KeyboardInterrupt],
    "shutdown_timeout": EXIT_SECONDS,
    "auto_enabling_integrations": False,  # those of boto3 and redis would note keys
    # Nobody outside takes part in our traces or decides which there are.
    "trace_propagation_targets": [],
    "strict_trace_continuation": True,
    "auto_session_tracking": False,
    "send_client_reports": False,  # what is lost is in our metrics
    "enable_metrics": False,
    "debug": False,
    "spotlight": False,
}


class Transport(HttpTransport):
    """The SDK's transport; what it could not send is counted. `dropped`: why it was the last."""

    TIMEOUT = SEND_SECONDS
    dropped = ""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        # Else urllib3 tries thrice, each time with a warning in the log that names the host.
        self._pool.connection_pool_kw["retries"] = False

    def on_dropped_event(self, reason: str) -> None:
        self.dropped = reason
        current().failure("sentry")


def start() -> None:
    """Tell Sentry of errors from now on, if SENTRY_DSN is set. Idempotent.

    ImproperlyConfigured where a setting makes no sense: a wrong DSN would be silence, and one in
    plain text would tell errors to a network.
    """
    if not settings.SENTRY_DSN or isinstance(sentry_sdk.get_client().transport, Transport):
        return
    rate = settings.SENTRY_TRACES_SAMPLE_RATE
    if not 0 <= rate <= 1:
        raise ImproperlyConfigured("SENTRY_TRACES_SAMPLE_RATE must be from 0 to 1.")
    try:
        where = parse_sentry(settings.SENTRY_DSN)
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"{error}.") from None
    with _sql_left_alone():
        sentry_sdk.init(**_options(where, rate))
    HOOKS.append(tell_call if rate else tell_failure)
    if rate:
        connection_created.connect(watch, dispatch_uid=_UID)
        for connection in connections.all(initialized_only=True):
            watch(connection)


def stop(seconds: float = EXIT_SECONDS) -> None:
    """Send what waits, within `seconds`, and tell Sentry nothing from now on."""
    for hook in (tell_call, tell_failure):
        if hook in HOOKS:
            HOOKS.remove(hook)
    connection_created.disconnect(dispatch_uid=_UID)
    for connection in connections.all(initialized_only=True):
        if tell_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(tell_statement)
    client = sentry_sdk.get_client()
    if client.is_active():
        client.close(timeout=seconds)
        sentry_sdk.get_global_scope().set_client(None)


@contextmanager
def _sql_left_alone() -> Iterator[None]:
    """Undo what the SDK's Django integration does to cursors: it looks at each statement, traced or
    not, for 25 µs. `tell_statement` does it for those that are traced."""
    theirs = (
        *((CursorWrapper, name) for name in ("execute", "executemany")),
        *((BaseDatabaseWrapper, name) for name in ("connect", "_commit", "_rollback")),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name in theirs]
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def _options(where: Address, rate: float) -> dict[str, Any]:
    return {
        **ALWAYS,
        # A proxy is another machine, and would be told in the clear what is for this one alone.
        **({"http_proxy": "", "https_proxy": ""} if where.loopback else {}),
        "dsn": settings.SENTRY_DSN,
        "environment": settings.SENTRY_ENVIRONMENT,
        # Without one the SDK asks git and the hosting's variables.
        "release": settings.SENTRY_RELEASE or None,
        "traces_sample_rate": rate or None,  # with 0 each request would still be drawn for
        "transport": Transport,
        "integrations": [
            DjangoIntegration(signals_spans=False),
            LoggingIntegration(),  # errors that are logged are events, the lines before them crumbs
            AtexitIntegration(callback=_say_nothing),
        ],
        "disabled_integrations": [ArgvIntegration()],  # arguments have users' ids
    }


def _say_nothing(pending: int, timeout: float) -> None:
    """The SDK would write to standard error, where commands say how they ended."""
