"""`export_user`: parse, call, print."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import CommandError

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.management.people import add_signature
from dbcore.management.tool import ToolCommand
from dbcore.operators import operator
from dbcore.retention.export import ExportReport, export_user, without_personal_records
from dbcore.retention.plain_files import new_file
from dbcore.rights import in_words

EPILOG = """
examples:
  ./manage.py export_user user_42 --output user_42.json
  ./manage.py export_user user_42 --no-archives | gpg --encrypt -r person@example.org > user_42.gpg

The file is new, readable by its owner alone, and there only once all of it is written.

exit status:
  0  everything that is kept of the user is in it
  3  so it is, but an archive has to thaw first: it is named, and thawing was asked for
  2  an archive could not be proven: it is named
  1  failed
"""


class Command(ToolCommand):
    """Export everything that is kept of one user."""

    help = (
        "Writes everything that is kept of one user as one JSON document, archives included. "
        "Hashes of passwords and keys are withheld."
    )

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER_ID", help="the user's id")
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="a new file (default: standard output)"
        )
        parser.add_argument("--no-archives", action="store_true", help="what is live, alone")
        add_signature(parser, required=False)

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            bookkeeping.make_ready()
            report = self._export(given)
        except (DbcoreError, BotoCoreError, ClientError) as error:
            raise CommandError(in_words(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted: nothing was written") from None
        self._tell(report)
        if report.exit_code:
            self.end(report)

    def _export(self, given: dict[str, Any]) -> ExportReport:
        options = {
            "archives": not given["no_archives"],
            "who": given["who"] or operator().user,
            "why": given["why"],
        }
        if given["output"] is None:
            return export_user(given["user"], sys.stdout.buffer, **options)
        with new_file(given["output"]) as file:
            return export_user(given["user"], file, **options)

    def _tell(self, report: ExportReport) -> None:
        write = self.tell
        archived = sum(report.archived.values())
        write(
            f"{sum(report.tables.values()):,} live and {archived:,} archived records, "
            f"{report.dead_letters:,} dead letters"
        )
        tables = ", ".join(without_personal_records())
        write(f"not looked into, since their records belong to no user: {tables}")
        if report.erased_at is not None:
            archives = f": {', '.join(report.left_out)}" if report.left_out else ""
            write(
                f"the user was erased on {report.erased_at:%Y-%m-%d}. Left out for it: "
                f"{len(report.left_out)} archives that may still have records of theirs{archives}"
            )
        if report.not_looked_at:
            write(f"warning: {report.not_looked_at}")
        if not report.knows_user:
            write(f"warning: there is no user {report.user!r}, live or archived: check the id")
        for each in report.unproven:
            write(f"NOT PROVEN, so left out: archive {each.archive} of {each.table}: {each.why}")
        for each in report.frozen:
            write(
                f"not readable yet, so left out: archive {each.archive} of {each.table}: {each.why}"
            )
