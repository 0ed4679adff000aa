"""Wraps every archive's data key by the first key of ARCHIVE_ENCRYPTION_KEYS.

Objects are not touched. A key is said to be removable only where every archive could be read: one
that was removed too early takes its archives with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dbcore.models import Archive
from dbcore.progress import Silence, Watcher
from dbcore.retention.archives import Shelf
from dbcore.retention.archives.listing import Listed
from dbcore.retention.errors import NotProven
from dbcore.retention.logged import ROTATION_BEGUN, ROTATION_ENDED
from dbcore.retention.shelf_work import (
    Finding,
    ShelfReport,
    ShelfWork,
    archive_row,
    row_manifest,
    rows_without_object,
)


@dataclass(slots=True)
class RotationReport(ShelfReport):
    """What was wrapped anew, and which keys are still needed."""

    first_key: str = ""
    rewrapped: list[str] = field(default_factory=list)  # of a dry run: would be
    already: int = 0
    uses: dict[str, int] = field(default_factory=dict)  # archives by the id of their key
    erasures: int = 0  # markers of erasures that are sealed with the first key, or would be
    removable: list[str] = field(default_factory=list)


def rotate(shelf: Shelf, *, dry_run: bool = False, watch: Watcher | None = None) -> RotationReport:
    """Wrap anew what an earlier key has wrapped. Killed, it is finished by the next call."""
    report = RotationReport(dry_run=dry_run)
    _Rotation(shelf, watch or Silence(), report).run(report)
    return report


class _Rotation(ShelfWork):
    command = "rotate_archive_keys"
    begun, ended = ROTATION_BEGUN, ROTATION_ENDED

    def __init__(self, shelf: Shelf, watch: Watcher, report: RotationReport) -> None:
        super().__init__(shelf, watch)
        self._report = report
        self._sealing: set[str] = set()  # keys that seal a marker of an erasure

    def work(self) -> None:
        report = self._report
        report.first_key = self.shelf.keys.first
        seen = set()
        for found in self.each("Wrapping data keys"):
            seen.add(found.object_name)
            try:
                self._one(found)
            except NotProven as error:
                self._problem(found.object_name, str(error))
        for name, state, key_id in rows_without_object(seen):
            if state != Archive.State.WRITING:
                self._count(key_id)
                self._problem(name, f"{name}: the object is missing, and so is its manifest")
        self._erasures()
        if not report.problems:
            report.removable = [
                each for each in self.shelf.keys.ids
                if each not in {report.first_key, *self._sealing} and not report.uses.get(each)
            ]  # fmt: skip

    def _erasures(self) -> None:
        """Seal the markers of erasures anew: they are to be read when their key is gone."""
        for name in self.shelf.markers.names().values():
            self.tick()
            try:
                marker = self.shelf.markers.read(name)
                if not self._report.dry_run:
                    marker = self.shelf.markers.reseal(marker)
                self._report.erasures += 1
                self._sealing.add(marker.key_id)
            except NotProven as error:
                self._problem(name, str(error))

    def counted(self) -> dict[str, int]:
        report = self._report
        return {
            "rewrapped": len(report.rewrapped),
            "already": report.already,
            "removable": len(report.removable),
        }

    def _one(self, found: Listed) -> None:
        row = archive_row(found.object_name)
        if found.foreign or (row is None and not found.versions):
            return  # nothing that a key of ours opens
        if row is not None and row.state == Archive.State.WRITING:
            if not found.versions:
                return  # nobody can open it; the next sweep discards it
            row = None  # the next sweep may take it for proven: until then only the shelf is asked
        self._report.archives += 1
        if row is not None and self._is_done(row, found):
            self._report.already += 1
            self._count(row.key_id)
            return
        if not found.versions:
            raise NotProven(
                f"{found.object_name}: no manifest is beside it; reconcile_archives writes it again"
            )
        self._rewrap(found, row)

    def _is_done(self, row: Archive, found: Listed) -> bool:
        """Whether row and shelf both have the one manifest that the first key wraps."""
        return row.key_id == self._report.first_key and found.versions == (
            row.manifest.get("manifest_version"),
        )

    def _rewrap(self, found: Listed, row: Archive | None) -> None:
        current = self.shelf.manifest_of(found)
        if current.encryption.key_id == self._report.first_key:
            self._report.already += 1
        else:
            self._report.rewrapped.append(found.object_name)
        if self._report.dry_run:
            self._count(current.encryption.key_id)
            return
        new = self.shelf.rewrap(current if row is None else row_manifest(row))
        self._count(new.encryption.key_id)
        if row is not None:
            row.manifest, row.key_id = new.as_json(), new.encryption.key_id
            row.save(update_fields=["manifest", "key_id"])

    def _count(self, key_id: str) -> None:
        self._report.uses[key_id] = self._report.uses.get(key_id, 0) + 1

    def _problem(self, name: str, what: str) -> None:
        self._report.problems.append(Finding(name, what))
        self.watch.flawed(len(self._report.problems))
