"""`manage.py sync_tables`: parse, call, print. See docs/sync-tables.md."""

from __future__ import annotations

import dataclasses
from typing import Any

from botocore.exceptions import BotoCoreError
from django.core.management.base import CommandError, CommandParser

from dbcore import deployment
from dbcore.errors import DbcoreError
from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand
from dbcore.rights import in_words
from dbcore.table_sync import SyncReport, TableSyncError, sync_tables
from dbcore.table_sync.run import TIMEOUT


class Command(ToolCommand):
    """Make and mend DynamoDB's tables."""

    help = (
        "Create the DynamoDB tables and indexes that are missing, and report what differs from "
        "the models and cannot be mended in place (exit code 1). Deletes nothing; may be run twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done; write nothing"
        )
        parser.add_argument(
            "--table",
            action="append",
            metavar="NAME",
            help="only this table, with or without the prefix; may be given more than once",
        )
        add_format(parser)
        parser.add_argument(
            "--timeout",
            type=float,
            default=TIMEOUT,
            metavar="SECONDS",
            help="the longest wait for one table or index (default: %(default)g)",
        )

    def handle(
        self,
        *,
        dry_run: bool,
        table: list[str] | None,
        format: str,
        timeout: float,
        **_: Any,
    ) -> None:
        try:
            report = sync_tables(dry_run=dry_run, tables=table, log=self._tell, timeout=timeout)
        except TableSyncError as error:
            self._print(_booked(error.report), format)
            raise CommandError(f"{len(error.report.errors)} tables failed.") from error
        except (DbcoreError, BotoCoreError) as error:
            raise CommandError(in_words(error)) from error
        self._print(_booked(report), format)
        if report.differences:
            raise CommandError(
                f"{len(report.differences)} differences cannot be mended in place; "
                "see docs/sync-tables.md."
            )

    def _tell(self, text: str) -> None:
        """What is done, for whoever watches; the log has it anyway."""
        if self.stderr.isatty():
            self.stderr.write(text)

    def _print(self, report: SyncReport, format: str) -> None:
        self.stdout.write(report.as_json() if format == "json" else report.as_text())


def _booked(report: SyncReport) -> SyncReport:
    """The report, with a note where the books could not be told which tables are there now."""
    there = [each.name for each in report.tables if each.error is None]
    why = "" if report.dry_run or not there else deployment.noted(there)
    return dataclasses.replace(report, notes=(*report.notes, why)) if why else report
