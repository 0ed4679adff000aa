"""`reconcile_archives`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from dbcore.errors import DbcoreError
from dbcore.management.options import add_format, add_quiet
from dbcore.management.tool import ToolCommand
from dbcore.progress import Silence, Words, watcher
from dbcore.retention.archives import get_shelf
from dbcore.retention.reconcile import ReconcileReport, reconcile

EPILOG = """
exit status:
  0  all archives are the same on both sides, or are so now
  2  an archive cannot be proven: its object is missing, torn or another, its manifest was edited
  1  failed or interrupted; the same command starts anew

examples:
  ./manage.py reconcile_archives --dry-run        what differs
  ./manage.py reconcile_archives                  mend what can be mended
  ./manage.py reconcile_archives --deep           and open every archive, but those in Glacier
"""


class Command(ToolCommand):
    """Make Django's database and the archives beside it agree."""

    help = (
        "Compares the archives in Django's database with those that are there, by name and "
        "checksum. A missing row is written from the manifest beside the object, a missing "
        "manifest from the row. What cannot be proven is reported and left as it is."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--deep", action="store_true",
            help="decrypt every archive and compare each record's key, too",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="compare, change nothing")
        add_format(parser)
        add_quiet(parser)

    def act(self, given: Mapping[str, Any]) -> str:
        return "" if given["dry_run"] else "reconcile_archives"

    def handle(self, *args: Any, **given: Any) -> None:
        watch = Silence() if given["quiet"] else watcher(Words("archives", "not proven"))
        try:
            shelf = get_shelf()
        except DbcoreError as error:
            raise CommandError(str(error)) from error
        report = reconcile(shelf, deep=given["deep"], dry_run=given["dry_run"], watch=watch)
        if given["format"] == "json":
            self.json(report.as_json())
        elif report.archives or not report.error:
            self._print(report)
        if report.error:
            self.tell(f"reconcile_archives: {report.error}")
        self.end(report)

    def _print(self, report: ReconcileReport) -> None:
        opened = f", {report.proven} of them opened and proven" if report.deep else ""
        self.say(f"{report.archives} archives compared{opened}")
        if report.frozen:
            self.say(f"  {report.frozen} are in Glacier: compared by S3's own checksum")
        for note in report.notes:
            self.say(f"  note: {note.archive}: {note.what}")
        for mended in report.mended:
            word = "would be mended" if report.dry_run else "mended"
            self.say(f"  {word}: {mended.archive}: {mended.what}")
        for problem in report.problems:
            self.say(f"  not proven: {problem.what}")
