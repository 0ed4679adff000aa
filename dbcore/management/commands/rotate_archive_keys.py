"""`rotate_archive_keys`: parse, call, print."""

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
from dbcore.retention.rotate import RotationReport, rotate

EPILOG = """
how to change keys:
  1. put the new key first:       ARCHIVE_ENCRYPTION_KEYS=new:…,old:…
  2. ./manage.py rotate_archive_keys
  3. remove the keys that it names; keep them elsewhere as long as there are backups of before

exit status:
  0  done: every archive's data key is wrapped by the first key
  2  an archive's manifest is missing, was edited, or names a key that is not there
  1  failed or interrupted; the same command goes on where it stopped
"""


class Command(ToolCommand):
    """Wrap the data keys of all archives by the first key."""

    help = (
        "Wraps the data key of every archive by the first key of ARCHIVE_ENCRYPTION_KEYS, and says "
        "which keys may then be removed. The archives themselves are not touched. It may be killed "
        "at any moment: the same command goes on."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, change nothing")
        add_format(parser)
        add_quiet(parser)

    def act(self, given: Mapping[str, Any]) -> str:
        return "" if given["dry_run"] else "rotate_archive_keys"

    def handle(self, *args: Any, **given: Any) -> None:
        watch = Silence() if given["quiet"] else watcher(Words("archives", "not proven"))
        try:
            shelf = get_shelf()
        except DbcoreError as error:
            raise CommandError(str(error)) from error
        report = rotate(shelf, dry_run=given["dry_run"], watch=watch)
        if given["format"] == "json":
            self.json(report.as_json())
        elif report.archives or not report.error:
            self._print(report)
        if report.error:
            self.tell(f"rotate_archive_keys: {report.error}")
        self.end(report)

    def _print(self, report: RotationReport) -> None:
        would = "would be " if report.dry_run else ""
        self.say(
            f"{report.archives} archives: {len(report.rewrapped)} {would}wrapped anew by "
            f"{report.first_key!r}, {report.already} were already"
        )
        for key_id, uses in report.uses.items():
            self.say(f"  key {key_id!r}: {uses} archive{'' if uses == 1 else 's'}")
        for problem in report.problems:
            self.say(f"  not proven: {problem.what}")
        if report.removable:
            names = ", ".join(map(repr, report.removable))
            self.say(f"No archive needs these keys any more; they may be removed: {names}")
        elif report.problems:
            self.say("Keep all keys until every archive can be read.")
