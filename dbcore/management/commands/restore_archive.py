"""`restore_archive`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import CommandError

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.management.options import add_consent, add_format, add_quiet, agrees
from dbcore.management.people import add_signature, day_or_instant, end_of
from dbcore.management.tool import ToolCommand
from dbcore.operators import operator
from dbcore.progress import RECORDS, Silence, watcher
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.restore_report import RestoreReport
from dbcore.retention.selection import Selection, of_archives, of_record, of_table, of_user
from dbcore.rights import in_words
from dbcore.stopping import Stop

EPILOG = """
exit status:
  0  everything that was asked for is there, and verified
  3  so it is, but some records could not be restored, or a file of another content has the name
     that --export-to would give one: the report lists why
  2  an archive could not be proven (nothing of it was restored), or a record that was read back
     differs
  1  failed or interrupted, or an archive has to thaw first; the same command goes on

examples:
  ./manage.py restore_archive --archive 0199…
  ./manage.py restore_archive --table plans --from 2024-01-01 --to 2024-12-31 --dry-run
  ./manage.py restore_archive --record plans user_42 plan_7 --into dynamodb
  ./manage.py restore_archive --user user_42
  ./manage.py restore_archive --table plans --export-to /secure/plans     for DynamoDB's ImportTable

--from and --to are days (or times, in UTC) from which a record's retention counts. What was
restored is left alone by sweeps for RETENTION_GRACE_DAYS. Records of erased users stay out.
"""


class Command(ToolCommand):
    """Bring archived records back."""

    help = (
        "Brings archived records back into a store and verifies each. An archive is proven before "
        "anything of it is restored; a newer record is not written over unless told."
    )

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_argument_group("what to restore (one of them)")
        what.add_argument(
            "--archive", action="append", metavar="ID", help="an archive; may be repeated"
        )
        what.add_argument("--table", metavar="NAME", help="a table's archived records")
        what.add_argument("--from", type=day_or_instant, metavar="DATE", help="with --table: since")
        what.add_argument("--to", type=end_of, metavar="DATE", help="with --table: last day")
        what.add_argument(
            "--record", nargs="+", metavar=("TABLE", "KEY"),
            help="one record, by its table and the fields of its key",
        )  # fmt: skip
        what.add_argument("--user", metavar="ID", help="every archived record of a user")
        how = parser.add_argument_group("how")
        how.add_argument(
            "--into", choices=("orm", "dynamodb"), help="which store (default: the primary one)"
        )
        how.add_argument(
            "--export-to", type=Path, metavar="DIR",
            help="not into a store: as new files of DynamoDB JSON lines, NOT encrypted",
        )  # fmt: skip
        how.add_argument(
            "--overwrite", action="store_true", help="put archived records over newer ones"
        )
        how.add_argument("--dry-run", action="store_true", help="prove and count, change nothing")
        add_consent(how, "overwrite", "with --overwrite: do so without asking")
        add_signature(parser, required=False)
        out = parser.add_argument_group("output")
        add_format(out)
        add_quiet(out)

    def handle(self, *args: Any, **given: Any) -> None:
        report = RestoreReport()
        try:
            bookkeeping.make_ready()
            self._restore(given, report)
        except KeyboardInterrupt:
            report.error = "interrupted: the same command goes on"
            self._say(report, given)
            raise CommandError(report.error) from None
        except (CommandError, DbcoreError, BotoCoreError, ClientError) as error:
            report.error = in_words(error)
            self._say(report, given)
            raise CommandError(report.error) from error
        self._say(report, given)
        if report.exit_code:
            self.end(report)

    def _say(self, report: RestoreReport, given: dict[str, Any]) -> None:
        if given["format"] == "json":
            self.json(report.as_json())
        elif not report.error:
            self._print(report)

    def _restore(self, given: dict[str, Any], report: RestoreReport) -> None:
        if given["export_to"] is not None and (given["into"] or given["overwrite"]):
            raise CommandError("--export-to goes into files: neither --into nor --overwrite fits")
        selection = _selection(given)
        options = RestoreOptions(
            into=given["into"],
            folder=given["export_to"],
            overwrite=given["overwrite"],
            dry_run=given["dry_run"],
            who=given["who"] or operator().user,
            why=given["why"],
        )
        question = "--overwrite puts archived records over newer ones. Go on?"
        asks = options.overwrite and not options.dry_run
        if asks and not agrees(self, question, "overwrite", given):
            raise CommandError("nothing was restored")
        watch = Silence() if given["quiet"] else watcher(RECORDS)
        stop = Stop()
        try:
            with stop.on_signal():
                watch.stage(f"Restoring {selection.resource}")  # it may go to the log
                restore(selection, options, watch=watch, stop=stop, report=report)
        finally:
            watch.close()

    def _print(self, report: RestoreReport) -> None:
        write = self.say
        write(f"{report.what} → {report.into}{' (dry run)' if report.dry_run else ''}")
        for line in report.lines.values():
            counts = [f"{getattr(line, name):,} {words}" for name, words in _WORDS.items()
                      if getattr(line, name)]  # fmt: skip
            write(f"  {line.table}: {line.found:,} found: {', '.join(counts) or 'none'}")
        for each in report.reasons:
            write(f"  {each.outcome}: {each.table} {each.key}: {each.why}")
        if report.more_reasons:
            write(f"  … and {report.more_reasons:,} more")
        for unread in report.unproven:
            write(
                f"  NOT PROVEN, nothing of it was restored: archive {unread.archive}: {unread.why}"
            )
        for unread in report.frozen:
            write(f"  not readable yet: archive {unread.archive}: {unread.why}")
        for file in report.files:
            write(f"  {file}")


_WORDS = {
    "restored": "restored",
    "present": "present already",
    "newer": "left alone, since another is there",
    "taken": "left out, since a unique value is taken",
    "unfit": "left out, since the store cannot hold them",
    "held": "left alone, since a legal hold is on what is there",
    "older": "left out, since a later archive has them",
    "erased": "left out, since their user was erased",
    "redacted": "of them without personal data, since their user was erased",
    "differing": "DIFFERENT when read back",
}


def _selection(given: dict[str, Any]) -> Selection:
    """What the options choose; CommandError unless it is one thing."""
    chosen = [name for name in ("archive", "table", "record", "user") if given[name] is not None]
    if len(chosen) != 1:
        raise CommandError("say one of --archive ID, --table NAME, --record TABLE KEY, --user ID")
    if chosen != ["table"] and (given["from"] or given["to"]):
        raise CommandError("--from and --to go with --table alone")
    if chosen == ["archive"]:
        return of_archives(given["archive"])
    if chosen == ["table"]:
        return of_table(given["table"], given["from"], given["to"])
    if chosen == ["user"]:
        return of_user(given["user"])
    table, *key = given["record"]
    return of_record(table, key)
