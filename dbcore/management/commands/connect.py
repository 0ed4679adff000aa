"""`connect`: parse, call, print."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from dbcore.connecting import connect, names
from dbcore.connecting.found import Found
from dbcore.connecting.report import as_json, sentences, table
from dbcore.management.commands.monitor import seconds
from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand, a_reader_may_leave
from dbcore.monitoring.health.results import worst
from dbcore.terminal import NARROW, Screen

SECONDS = 5.0
EPILOG = """
examples:
  ./manage.py connect                          everything that is configured
  ./manage.py connect --only sql --only cache  these alone, and what is not in use as well
  ./manage.py connect --timeout 15             for a slow network
  ./manage.py connect --format json            for programs, on one line

docs/connect.md says what each line means.

exit status: 0 all well, 1 a warning (or a wrong argument), 2 something cannot be used; 130 where it
was interrupted
"""


class Command(ToolCommand):
    """Say what can be reached and used from here."""

    help = (
        "Asks everything that is configured, all at once: names, addresses, TLS, proxies, "
        "credentials, the clock, and one harmless call each. Says of what cannot be used what is "
        "wrong and what to do. Changes nothing, sends nothing to people."
    )
    epilog = EPILOG
    requires_system_checks: list[str] = []  # what they would refuse is told of in its line

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_format(parser)
        parser.add_argument(
            "--only", action="append", default=[], metavar="NAME",
            help="this target only: credentials, sts, dynamodb, s3, sns, cloudwatch, sql, cache, "
            "mail, slack, pagerduty or sentry; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--timeout", type=seconds, default=SECONDS, metavar="SECONDS",
            help=f"that each target has (default: {SECONDS:g})",
        )  # fmt: skip

    def handle(self, *args: Any, **given: Any) -> None:
        known = names() if given["only"] else []
        if unknown := sorted(set(given["only"]) - set(known)):
            raise CommandError(
                f"there is no target {', '.join(unknown)}; there are: {', '.join(known)}"
            )
        at = timezone.now()
        try:
            results = connect(given["timeout"], given["only"])
        except KeyboardInterrupt:
            raise CommandError("interrupted: not everything was asked", returncode=130) from None
        with a_reader_may_leave():
            if given["format"] == "json":
                self.json(as_json(results, at))
            else:
                self._print(results, at)
            sys.stdout.flush()
        if status := worst(each.status for each in results).rank:
            sys.exit(status)

    def _print(self, results: Sequence[Found], at: Any) -> None:
        console = Screen(self.stdout, NARROW)
        console.print(table(results, at))
        for number, sentence in enumerate(sentences(results)):
            if not number:
                console.print()
            console.print(sentence, soft_wrap=not console.is_terminal)  # a line each, for grep
