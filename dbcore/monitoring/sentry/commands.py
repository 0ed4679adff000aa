"""What commands tell Sentry, once for each that failed: an exception, also one that is told as a
sentence; a run whose exit status says that it failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sentry_sdk
from django.core.management.base import CommandError

from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import SEE_CONNECT
from dbcore.monitoring.labels import REFUSALS
from dbcore.monitoring.sentry.events import in_command
from dbcore.monitoring.sentry.facts import database_error, type_of
from dbcore.monitoring.sentry.setup import Transport
from dbcore.stopping import Interrupted

DEAD_LETTERS = 3  # the exit status of what is done but for some records
TEST_SECONDS = 10.0
Level = Literal["error", "warning"]
_LOGGER = "dbcore.command"


@contextmanager
def watched(command: str) -> Iterator[None]:
    """Tell of what a command raises inside. Of what it says in a sentence of its own only where a
    database's failure is behind it: the rest is between it and whoever typed it."""
    token = in_command.set(True)
    try:
        yield
    except CommandError as error:
        cause = error.__cause__
        if cause and database_error(cause) and type_of(cause) not in REFUSALS:
            _tell(command, cause)
        raise
    except Exception as error:
        _tell(command, error)
        raise
    finally:
        in_command.reset(token)


def ended(command: str, report: Any) -> None:
    """Tell of a run that has failed, or that found something wrong; not of one that was stopped."""
    failure = getattr(report, "failure", None)
    status = str(getattr(report, "status", ""))
    if report.exit_code == 0 or status == "interrupted" or isinstance(failure, Interrupted):
        return
    if failure is not None:
        # Where another process is at work nothing is wrong.
        level: Level = "warning" if isinstance(failure, LeaseHeld) else "error"
        _tell(command, failure, report.exit_code, level)
        return
    said = f"{command} ended with {report.exit_code}" + (f": {status}" if status else "")
    with sentry_sdk.new_scope() as scope:
        scope.set_tags({"command": command, "exit_status": report.exit_code})
        sentry_sdk.capture_event({
            "level": "warning" if report.exit_code == DEAD_LETTERS else "error",
            "logger": _LOGGER,
            "logentry": {"message": said},
        })  # fmt: skip


def send_test() -> tuple[bool, str]:
    """Send a test event and wait for Sentry to take it; whether it did, and a sentence."""
    client = sentry_sdk.get_client()
    transport = client.transport
    if not isinstance(transport, Transport):
        return False, "it is not in use"
    transport.dropped = ""
    event = sentry_sdk.capture_event({
        "level": "info", "logger": _LOGGER,
        "logentry": {"message": "A test: Sentry hears of Daylight's database layer."},
    })  # fmt: skip
    late: list[int] = []
    client.flush(timeout=TEST_SECONDS)
    client.flush(timeout=0.05, callback=lambda pending, _: late.append(pending))
    if transport.dropped == "network":
        return False, f"{_host(transport)} is out of reach: {SEE_CONNECT}"
    if transport.dropped:
        status = transport.dropped.removeprefix("status_")
        return False, f"{_host(transport)} did not take it: {status}"
    if late or event is None:
        return False, f"{_host(transport)} has not answered within {TEST_SECONDS:g} seconds"
    return True, f"{_host(transport)} took event {event}, of environment {_environment()}"


def _tell(
    command: str, error: BaseException, status: int | None = None, level: Level = "error"
) -> None:
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("command", command)
        if status is not None:
            scope.set_tag("exit_status", status)
        scope.set_level(level)
        sentry_sdk.capture_exception(error)


def _host(transport: Transport) -> str:
    return transport.parsed_dsn.host if transport.parsed_dsn else "Sentry"


def _environment() -> str:
    return str(sentry_sdk.get_client().options["environment"])
