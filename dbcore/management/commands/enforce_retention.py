"""`enforce_retention`: parse, call, print."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.utils.dateparse import parse_datetime

from dbcore.management.options import add_format, add_no_input, add_quiet, asked, may_ask
from dbcore.management.tool import ToolCommand
from dbcore.operators import operator
from dbcore.progress import Silence, Words, watcher
from dbcore.retention.options import SweepOptions, nobody
from dbcore.retention.report import SKIPPED
from dbcore.retention.sweep import enforce_retention
from dbcore.retention.text_report import print_report

EPILOG = """
what happens to each table, in this order:
  1. find what is due: by its policy, or because it has expired
  2. archive it (warm and cold tiers), encrypted, with a manifest beside it
  3. read the archive back and prove it: SHA-256, count, every key, every record
  4. delete each record, on the condition that it is unchanged and under no legal hold

exit status:
  0  done: every record that is due is deleted, or counted with the reason why it stays; or another
     was at work, with --if-free
  2  an archive could not be proven (nothing of it was deleted), or one that an earlier sweep had
     begun is damaged: the report counts which of its records are still somewhere else
  1  failed, stopped or interrupted; the same command goes on where it stopped

examples:
  ./manage.py enforce_retention --dry-run                 what is due, and what would stop a sweep
  ./manage.py enforce_retention                           sweep the primary store
  ./manage.py enforce_retention --table plans --max-records 1000
  ./manage.py enforce_retention --as-of 2026-01-01 --format json --no-input

see also: restore_archive --help, legal_hold --help, docs/retention.md
"""


def instant(text: str) -> dt.datetime:
    """An instant in UTC from a date, or a date with a time, of UTC where no zone is given."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    try:
        found = dt.datetime.combine(day, dt.time.min) if day else parse_datetime(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no date: give 2026-11-22 or 2026-11-22T12:00:00Z")
    try:
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is not within the calendar in UTC") from None


def _whole(least: int) -> Any:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise ArgumentTypeError(f"{text} is less than {least}")
        return value

    return parse


class Command(ToolCommand):
    """Keep each table's retention policy."""

    help = (
        "Archives and deletes what is due under each table's retention policy, and deletes what "
        "has expired. Nothing is deleted before its archive has been read back and proven. It may "
        "be killed at any moment: the same command goes on."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_argument_group("what to sweep")
        what.add_argument(
            "--table", action="append", default=[], metavar="NAME",
            help="this table only; may be repeated",
        )  # fmt: skip
        what.add_argument(
            "--store", choices=("orm", "dynamodb"),
            help="the store to sweep (default: the primary one)",
        )  # fmt: skip
        what.add_argument(
            "--as-of", type=instant, metavar="DATE",
            help="what was due at this date (UTC; not in the future; default: now, if this "
            "machine's clock can be right)",
        )  # fmt: skip
        what.add_argument(
            "--max-records", type=_whole(1), metavar="N", help="delete at most so many records"
        )
        what.add_argument(
            "--look-back", type=_whole(0), metavar="DAYS",
            help="on DynamoDB: look so many due days back, whatever earlier sweeps have done",
        )  # fmt: skip
        how = parser.add_argument_group("how")
        how.add_argument("--dry-run", action="store_true", help="look, count, change nothing")
        how.add_argument(
            "--accept-policy-change", action="store_true",
            help="a policy that has fewer days than before is meant so",
        )  # fmt: skip
        how.add_argument(
            "--accept-large-sweep", action="store_true",
            help="delete even more than RETENTION_MAX_SHARE of a table",
        )  # fmt: skip
        how.add_argument(
            "--if-free", action="store_true",
            help="where another sweep, restore or erasure is at work, say so in a line and exit "
            "with 0: for a timer on several hosts",
        )  # fmt: skip
        add_no_input(how)
        out = parser.add_argument_group("output")
        add_format(out)
        add_quiet(out)

    def act(self, given: Mapping[str, Any]) -> str:
        return "" if given["dry_run"] else "enforce_retention"

    def handle(self, *args: Any, **given: Any) -> None:
        options = SweepOptions(
            tables=tuple(given["table"]),
            store=given["store"],
            dry_run=given["dry_run"],
            max_records=given["max_records"],
            accept_policy_change=given["accept_policy_change"],
            accept_large_sweep=given["accept_large_sweep"],
            look_back=given["look_back"],
            if_free=given["if_free"],
            as_of=given["as_of"],
            who=operator().user,
            ask=(lambda question: asked(self, question)) if may_ask(given) else nobody,
        )
        watch = Silence() if given["quiet"] else watcher(Words("records", "left alone"))
        report = enforce_retention(options, watch)
        if given["format"] == "json":
            self.json(report.as_json())
        elif report.status == SKIPPED:
            self.say(f"nothing was swept: {report.error}")
        else:
            print_report(report, self.stdout)
        if report.error and report.status != SKIPPED:
            self.tell(f"enforce_retention: {report.error}")
        self.end(report)
