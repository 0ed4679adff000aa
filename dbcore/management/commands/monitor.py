"""`monitor`: parse, call, print."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from logging import ERROR
from typing import Any

from django import db
from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from dbcore import bookkeeping
from dbcore.errors import ConfigurationError, DbcoreError
from dbcore.logs import Event
from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand
from dbcore.monitoring.alerts.monitor import Monitor, Tick, bound_database, configured_monitor
from dbcore.monitoring.alerts.report import as_json, as_text
from dbcore.stopping import Stop

EPILOG = """
Several may run at the same time, on several hosts: each message is sent once. It goes on when
Django's database or the primary store is away. docs/alerts.md and docs/runbooks/ say more.

examples:
  ./manage.py monitor                          every 15 seconds, until SIGTERM
  ./manage.py monitor --once                   once, for cron
  ./manage.py send_test_alert                  do the channels work?

exit status of --once: 0 healthy, 1 warning (or the monitor failed), 2 critical
"""
INTERVAL, INTERVAL_OF_CRON = 15.0, 60.0  # seconds
FAILED = Event(
    "dbcore.monitoring.alerts", (ERROR,), "a look of the monitor failed", (),
    "it goes on with the next",
)  # fmt: skip


def seconds(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, up to a day")
    return value


class Command(ToolCommand):
    """Watch the database layer, and tell people when it is not well."""

    help = (
        "Runs the health checks, judges them and what was measured by the rules of alerts, and "
        "sends what is to be told: one message when an alert starts, one when it ends."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=seconds, metavar="SECONDS",
            help=f"between two looks (default: {INTERVAL:g}; with --once, between two runs: "
            f"{INTERVAL_OF_CRON:g}); what another monitor saw broken counts for four of them",
        )  # fmt: skip
        parser.add_argument("--once", action="store_true", help="look once, and end")
        add_format(parser, "text for people (default), or one JSON object a line for each look")

    def handle(self, *args: Any, **given: Any) -> None:
        if getattr(self, "_called_from_command_line", False):
            bound_database()
        try:
            self._make_ready()
            interval = given["interval"] or (INTERVAL_OF_CRON if given["once"] else INTERVAL)
            monitor = configured_monitor(interval)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        if given["once"]:
            try:
                tick = monitor.tick(timezone.now())
            except DbcoreError as error:
                raise CommandError(str(error)) from error
            self._show(tick, given["format"], whole=True)
            sys.exit(tick.status.rank)
        self._loop(monitor, interval, given["format"])

    def _make_ready(self) -> None:
        if not settings.DB_ALERTS_ENABLED:
            self.stderr.write("DB_ALERTS_ENABLED is false: no message is sent")
        try:
            bookkeeping.make_ready()
        except ConfigurationError as error:
            if not isinstance(error.__cause__, db.Error):
                raise
            self.tell(f"{error}. The monitor goes on without it")

    def _loop(self, monitor: Monitor, interval: float, form: str) -> None:
        stop = Stop()
        with stop.on_signal():
            whole = True
            while True:
                began = time.monotonic()
                now = timezone.now()
                try:
                    tick = monitor.tick(now)
                    monitor.prune(now)
                except Exception as error:
                    # Whatever it is: a monitor that has ended tells nobody of anything.
                    FAILED.log(traceback=error)
                else:
                    self._show(tick, form, whole=whole)
                    whole = False
                if stop.wait(max(0.0, began + interval - time.monotonic())):
                    return

    def _show(self, tick: Tick, form: str, *, whole: bool) -> None:
        """A look; as text, after the first, what is new alone."""
        if form == "json":
            self.json(as_json(tick))
        else:
            for line in as_text(tick, whole=whole):
                self.say(line)
        self.stdout.flush()
