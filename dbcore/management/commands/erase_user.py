"""`erase_user`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import CommandError

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.management.options import add_consent, add_format, agrees
from dbcore.management.people import add_signature
from dbcore.management.tool import ToolCommand
from dbcore.retention.erasure import erase_user
from dbcore.retention.erasure_report import ErasureReport
from dbcore.retention.errors import HeldByLaw
from dbcore.retention.export import without_personal_records
from dbcore.rights import in_words

EPILOG = """
examples:
  ./manage.py erase_user user_42 --who "A. Clerk" --why "request of 2026-11-20" --dry-run
  ./manage.py erase_user user_42 --who "A. Clerk" --why "request of 2026-11-20"

Archives are not rewritten: those that still hold records of the user are named, and restores leave
these out. A file that an earlier database was migrated from is not looked into: migrating it again
brings its records back.

exit status: 0 erased (or counted, with --dry-run), 1 failed or forbidden by a legal hold; the same
command goes on where it stopped
"""


class Command(ToolCommand):
    """Erase one user."""

    help = (
        "Erases one user from every store in use and from the layer's own books. Audit entries "
        "stay without what is personal; a legal hold on the user or any record of theirs forbids "
        "it."
    )

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER_ID", help="the user's id")
        add_signature(parser, required=True)
        parser.add_argument("--dry-run", action="store_true", help="count, change nothing")
        add_consent(parser, "erasure", "erase without asking")
        add_format(parser)

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            report = self._erase(given)
        except CommandError as error:
            if given["format"] == "json":
                held = isinstance(error.__cause__, HeldByLaw)
                status = "forbidden" if held else "failed"
                ending = {"user": given["user"], "status": status, "error": str(error)}
                self.json(ending)
            raise
        if given["format"] == "json":
            self.json(report.as_json())
        else:
            self._print(report)

    def _erase(self, given: dict[str, Any]) -> ErasureReport:
        signed = {"who": given["who"], "why": given["why"]}
        try:
            bookkeeping.make_ready()
            report = erase_user(given["user"], **signed, dry_run=True)
            if not given["dry_run"]:
                question = f"Erase {report.records:,} records of user {given['user']} for good?"
                if not agrees(self, question, "erasure", given):
                    raise CommandError("nothing was erased")
                report = erase_user(given["user"], **signed)
        except (DbcoreError, BotoCoreError, ClientError) as error:
            raise CommandError(in_words(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted: the same command goes on") from None
        return report

    def _print(self, report: ErasureReport) -> None:
        write = self.say
        for each in report.tables:
            if each.found or each.deleted or each.redacted:
                done = f"{each.deleted:,} deleted, {each.redacted:,} kept without personal data"
                done = f"{each.found:,} found" if report.status == "dry_run" else done
                write(f"  {each.store:<9} {each.table:<20} {done}")
        if report.dead_letters:
            write(f"  {report.dead_letters:,} dead letters")
        for archive in report.archives:
            kind = "encrypted" if archive.encrypted else "NOT encrypted"
            has = (
                "still has records"
                if archive.known
                else "may have records (see reconcile_archives)"
            )
            write(f"  archive {archive.archive} of {archive.table} {has} ({kind})")
        if report.archives:
            write("  restores leave out what these archives have of the user")
        tables = ", ".join(without_personal_records())
        write(f"  not looked into, since their records belong to no user: {tables}")
        if report.not_looked_at:
            self.tell(f"warning: {report.not_looked_at}")
        if report.status == "dry_run":
            write(f"{report.records:,} records would be erased. Nothing was changed.")
        elif report.completed_before is not None and not report.records:
            write(f"Erased already, on {report.completed_before:%Y-%m-%d %H:%M} UTC.")
        else:
            write(f"Erased: {report.records:,} records (erasure {report.erasure}).")
