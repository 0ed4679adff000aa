"""`migrate_to_dynamo`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from dbcore.management.options import add_consent, add_format, add_quiet, agrees
from dbcore.management.tool import ToolCommand
from dbcore.migration.options import DEFAULT_CONCURRENCY, MigrationOptions
from dbcore.migration.run import migrate
from dbcore.migration.text_report import print_report
from dbcore.progress import Silence, watcher

EPILOG = """
exit status:
  0  every row is in DynamoDB, and verified
  3  so it is, but some rows are dead letters (see: ./manage.py dead_letters)
  2  verification found items missing, different or extra
  1  failed or interrupted; the same command goes on where it stopped

examples:
  ./manage.py migrate_to_dynamo --dry-run                  what it would take
  ./manage.py migrate_to_dynamo                            copy the default database, and verify
  ./manage.py migrate_to_dynamo --source old.sqlite3       copy an earlier Daylight file
  ./manage.py migrate_to_dynamo --table plans --table users
  ./manage.py migrate_to_dynamo --verify-only --format json
"""


_EXCLUSIVE = (
    ("source", "database"),
    ("dry_run", "verify_only"),
    ("dry_run", "repair"),
    ("no_verify", "verify_only"),
    ("no_verify", "repair"),
)


def _positive(kind: type) -> Any:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
        if not 0 < value < float("inf"):
            raise ArgumentTypeError(f"{text} is not above 0")
        return value

    return parse


def _refuse_contradictions(given: dict[str, Any]) -> None:
    """CommandError for options that cannot both be meant."""
    for one, other in _EXCLUSIVE:
        if given[one] and given[other]:
            raise CommandError(f"--{one} and --{other} cannot go together".replace("_", "-"))
    if given["source"] == "":
        raise CommandError("--source is empty: name a file")


_REPAIR = "--repair puts the source's rows over items that differ, newer ones too. Go on?"


class Command(ToolCommand):
    """Copy a SQL database to DynamoDB, and prove it to the last row."""

    help = (
        "Copies every row of a SQL database to DynamoDB and compares each with its item. It may be "
        "killed at any moment: the same command goes on. Rows that cannot be items are kept as "
        "dead letters; the others go on."
    )

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        where = parser.add_argument_group("what to copy")
        where.add_argument(
            "--source", metavar="FILE", help="an earlier Daylight SQLite file (read-only)"
        )
        where.add_argument(
            "--database", metavar="ALIAS",
            help="a database of DATABASES, where no --source is given (default: default)",
        )  # fmt: skip
        where.add_argument(
            "--table", action="append", default=[], metavar="NAME",
            help="this source or target table only; may be repeated",
        )  # fmt: skip
        where.add_argument(
            "--skip-expired", action="store_true", help="leave out rows that have expired"
        )
        how = parser.add_argument_group("how")
        how.add_argument("--dry-run", action="store_true", help="read and encode, write nothing")
        how.add_argument("--verify-only", action="store_true", help="compare, copy nothing")
        how.add_argument("--no-verify", action="store_true", help="copy without comparing after")
        how.add_argument(
            "--repair", action="store_true",
            help="write again what is missing or different, even over an item that was changed in "
            "DynamoDB since, then verify",
        )  # fmt: skip
        add_consent(how, "repair", "with --repair: do so without asking")
        how.add_argument(
            "--allow-extra", action="store_true",
            help="do not look for items without a row: others write to these tables",
        )  # fmt: skip
        how.add_argument(
            "--concurrency", type=_positive(int), default=DEFAULT_CONCURRENCY, metavar="N",
            help=f"requests in flight (default: {DEFAULT_CONCURRENCY})",
        )  # fmt: skip
        how.add_argument(
            "--rate-limit", type=_positive(float), metavar="UNITS",
            help="write units a second at most (default: as fast as DynamoDB takes them)",
        )  # fmt: skip
        out = parser.add_argument_group("output")
        add_format(out)
        add_quiet(out)

    def handle(self, *args: Any, **given: Any) -> None:
        _refuse_contradictions(given)
        options = MigrationOptions(
            file=given["source"],
            database=given["database"] or "default",
            tables=tuple(given["table"]),
            concurrency=given["concurrency"],
            rate_limit=given["rate_limit"],
            skip_expired=given["skip_expired"],
            verify_only=given["verify_only"],
            verify=not given["no_verify"],
            repair=given["repair"],
            allow_extra=given["allow_extra"],
            dry_run=given["dry_run"],
        )
        if options.repair and not agrees(self, _REPAIR, "repair", given):
            raise CommandError("nothing was changed")
        report = migrate(options, Silence() if given["quiet"] else watcher())
        if given["format"] == "json":
            self.json(report.as_json())
        else:
            print_report(report, self.stdout)
        if report.error:
            self.tell(f"migrate_to_dynamo: {report.error}")
        self.end(report)
