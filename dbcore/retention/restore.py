"""Brings archived records back, into either store or out into files.

An archive is proven before anything of it is restored, and one that cannot be keeps no other from
being. No record of an erased user comes back. Killed anywhere, the same call finishes the work.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.models import Archive, new_run_id
from dbcore.progress import Silence, Watcher
from dbcore.retention.archives import Shelf, get_shelf
from dbcore.retention.audit import FAILURE, PARTIAL, SUCCESS, Act, audited
from dbcore.retention.erased import erased_among, pseudonym_of, redacted, stays_redacted
from dbcore.retention.errors import NotProven, NotThawed, RetentionError
from dbcore.retention.keepers.choice import keeper_named, primary_keeper
from dbcore.retention.logged import RESTORE_BEGUN, RESTORE_ENDED, restored, told
from dbcore.retention.marked import recall
from dbcore.retention.opening import opened
from dbcore.retention.plain_files import holds_lines, write_lines
from dbcore.retention.records import key_text, owner_of
from dbcore.retention.restore_report import EXIT_DONE, EXIT_LEFT, Reason, RestoreReport, Unread
from dbcore.retention.returning import AT_ONCE, Returning, grace_until
from dbcore.retention.selection import Selection
from dbcore.stopping import Stop

LEASE = "retention"
_DIGEST = 8  # bytes by which a record that was dealt with is remembered


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How records come back. `into`: orm or dynamodb, None: the primary store. `folder`: not into a
    store but into new files, in the clear."""

    into: str | None = None
    folder: Path | None = None
    overwrite: bool = False  # put a record over another that is there
    dry_run: bool = False
    who: str = ""
    why: str = ""


def restore(
    selection: Selection,
    options: RestoreOptions,
    *,
    watch: Watcher | None = None,
    stop: Stop | None = None,
    now: dt.datetime | None = None,
    report: RestoreReport | None = None,
) -> RestoreReport:
    """Bring back the selected records; of one that several archives have, the latest.

    The report says what became of each. Raises RetentionError (nothing was ever archived that was
    asked for), ConfigurationError, LeaseHeld (a sweep, restore or erasure is at work), Interrupted,
    AuditFailed, and the stores' own errors; what was restored by then is, is in `report` where one
    is given, and the same call goes on.
    """
    report = RestoreReport() if report is None else report
    restoring = _Restore(selection, options, watch or Silence(), stop or Stop(), now, report)
    return restoring.run()


class _Restore:
    """One call of `restore`."""

    def __init__(
        self,
        selection: Selection,
        options: RestoreOptions,
        watch: Watcher,
        stop: Stop,
        now: dt.datetime | None,
        report: RestoreReport,
    ) -> None:
        self._selection = selection
        self._options = options
        self._watch = watch
        self._stop = stop
        self._now = now or timezone.now()
        self._shelf: Shelf = get_shelf()
        self._keeper = keeper_named(options.into) if options.into else primary_keeper()
        self._seen: set[bytes] = set()
        self._tick: Callable[[], None] = stop.check
        into = str(options.folder) if options.folder else self._keeper.name
        self._report = report
        report.what, report.into, report.dry_run = selection.described(), into, options.dry_run

    def run(self) -> RestoreReport:
        """All of it."""
        asked = {
            "selected": self._selection.resource,
            "into": "files" if self._options.folder else self._keeper.name,
            "dry_run": self._options.dry_run,
            "overwrite": self._options.overwrite,
        }
        with told("restore_archive", RESTORE_BEGUN, RESTORE_ENDED, **asked) as ending:
            try:
                self._run()
            finally:
                ending |= restored(self._report)
        return self._report

    def _run(self) -> None:
        grace_until(self._now)  # refused before anything is done
        recall(self._shelf)  # in a dry run, too: its counts are to be true
        found = [row.pk for row in self._selection.rows()]
        if not found:
            raise RetentionError(f"{self._selection.described()}: no archive may hold any")
        if self._options.dry_run:
            self._restore(found)
            return
        with ExitStack() as entered:
            if self._options.folder is None:
                lease = entered.enter_context(self._keeper.lease(LEASE, new_run_id()))
                self._tick = functools.partial(_keep_and_check, lease, self._stop)
            with audited(self._act()) as ending:
                ending.outcome = PARTIAL
                self._restore(found)
                ending.outcome = _OUTCOMES.get(self._report.exit_code, FAILURE)
                ending.details = {"counts": self._report.counts()}

    def _act(self) -> Act:
        options, selection = self._options, self._selection
        return Act(
            "export_archives" if options.folder else "restore",
            selection.resource,
            options.who,
            options.why,
            user=selection.user or None,
            details={
                "into": "files" if options.folder else self._keeper.name,
                "archives": list(selection.archives),
                "first": str(selection.first or ""),
                "last": str(selection.last or ""),
                "overwrite": options.overwrite,
            },
        )

    def _restore(self, found: Sequence[str]) -> None:
        table = ""
        for key in found:
            self._tick()
            row = Archive.objects.get(pk=key)
            if row.table != table:
                table = row.table
                self._begin(table, found)
            self._restore_archive(row)
            self._watch.advance(row.count)
            self._watch.flawed(self._report.line(table).left)
        if table:
            self._watch.end()

    def _begin(self, table: str, found: Sequence[str]) -> None:
        if self._report.lines:
            self._watch.end()
        # What was dealt with in another table cannot be met again.
        self._seen.clear()
        counts = Archive.objects.filter(table=table).values_list("pk", "count")
        wanted = set(found)
        self._watch.begin(table, sum(count for key, count in counts if key in wanted))

    def _restore_archive(self, row: Archive) -> None:
        try:
            # A dry run has nothing thawed: that costs money.
            layout, items = opened(self._shelf, row, thaw=not self._options.dry_run)
        except NotProven as error:
            self._report.unproven.append(Unread(row.pk, row.table, str(error)))
            return
        except NotThawed as error:
            self._report.frozen.append(Unread(row.pk, row.table, str(error)))
            return
        line = self._report.line(row.table)
        line.archives += 1
        chosen = self._honouring_erasures(layout, self._latest(layout, items))
        if self._options.folder is not None:
            self._write(row, layout, chosen, self._options.folder)
        else:
            self._return(row, layout, chosen)

    def _latest(self, layout: ItemLayout, items: Sequence[Item]) -> list[Item]:
        """The selected records that no later archive has had; archives come newest first."""
        line = self._report.line(layout.table.name)
        latest = []
        for item in items:
            if not self._selection.wants(layout, item):
                continue
            line.found += 1
            key = key_text(layout, item).encode()
            mark = hashlib.blake2b(key, digest_size=_DIGEST).digest()
            if mark in self._seen:
                line.older += 1
                continue
            self._seen.add(mark)
            latest.append(item)
        return latest

    def _honouring_erasures(self, layout: ItemLayout, items: Sequence[Item]) -> list[Item]:
        """These records without those of erased users, or without what is personal in them."""
        line = self._report.line(layout.table.name)
        erased = erased_among(layout, items)
        kept = []
        for item in items:
            erasure = erased.get(owner_of(layout, item) or "")
            if erasure is None:
                kept.append(item)
            elif stays_redacted(layout):
                line.redacted += 1
                kept.append(redacted(layout, item, pseudonym_of(erasure)))
            else:
                line.erased += 1
        return kept

    def _return(self, row: Archive, layout: ItemLayout, items: Sequence[Item]) -> None:
        returning = Returning(
            self._keeper, layout, row.pk, self._options.overwrite, self._now, self._report
        )
        for start in range(0, len(items), AT_ONCE):
            self._tick()
            batch = items[start : start + AT_ONCE]
            if self._options.dry_run:
                returning.try_out(batch)
            else:
                returning.put_back(batch)

    def _write(self, row: Archive, layout: ItemLayout, items: Sequence[Item], folder: Path) -> None:
        """Write records to a new file. One that is there is never written over: it has just these
        records, or none of them counts as exported."""
        line = self._report.line(layout.table.name)
        path = folder / f"{row.table}-{row.pk}.json.gz"
        if not items:
            return
        if path.exists() and not holds_lines(path, items):
            line.newer += len(items)
            self._report.because(Reason(row.table, path.name, "newer", _OTHER_FILE))
            return
        self._report.files.append(str(path))
        if path.exists():
            line.present += len(items)
            return
        if not self._options.dry_run:
            write_lines(path, items)
        line.restored += len(items)


def _keep_and_check(lease: Any, stop: Stop) -> None:
    lease.keep()
    stop.check()


_OTHER_FILE = (
    "a file with other records, or none, has that name, and none of these was written: give "
    "another directory to --export-to, or remove the file"
)
_OUTCOMES = {EXIT_DONE: SUCCESS, EXIT_LEFT: PARTIAL}
