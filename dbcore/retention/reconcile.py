"""Makes Django's database and the shelf agree on which archives there are.

What is lost on one side is written anew from the other, once its seal has been checked. Nothing is
deleted here but superseded versions of a manifest, and nothing of what cannot be proven is changed:
it is evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from dbcore.models import Archive, Sweep
from dbcore.progress import Silence, Watcher
from dbcore.retention import marked
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.listing import Listed
from dbcore.retention.errors import NotProven, RetentionError
from dbcore.retention.logged import RECONCILIATION_BEGUN, RECONCILIATION_ENDED
from dbcore.retention.records import layout_named
from dbcore.retention.shelf_work import (
    Finding,
    ShelfReport,
    ShelfWork,
    archive_row,
    row_manifest,
    rows_without_object,
)

_UNWRITTEN = "a sweep that was killed was writing it; the next sweep discards it"
_UNBOOKED = (
    "a sweep that was killed had written it, or Django's database is from a backup: the next sweep "
    "proves it, and discards it only where all of its records are live"
)


@dataclass(slots=True)
class ReconcileReport(ShelfReport):
    """What was mended (of a dry run: would be), what cannot be, and what is only worth knowing."""

    deep: bool = False
    proven: int = 0  # opened, with --deep
    frozen: int = 0  # in a Glacier class: not opened, compared by S3's own checksum
    mended: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)


def reconcile(
    shelf: Shelf, *, deep: bool = False, dry_run: bool = False, watch: Watcher | None = None
) -> ReconcileReport:
    """Compare every archive on both sides, and mend what can be mended."""
    report = ReconcileReport(dry_run=dry_run, deep=deep)
    _Reconciliation(shelf, watch or Silence(), report).run(report)
    return report


class _Reconciliation(ShelfWork):
    command = "reconcile_archives"
    begun, ended = RECONCILIATION_BEGUN, RECONCILIATION_ENDED

    def __init__(self, shelf: Shelf, watch: Watcher, report: ReconcileReport) -> None:
        super().__init__(shelf, watch)
        self._report = report

    def work(self) -> None:
        seen = set()
        for found in self.each("Comparing archives"):
            seen.add(found.object_name)
            try:
                self._one(found, archive_row(found.object_name))
            except NotProven as error:
                self._report.problems.append(Finding(found.object_name, str(error)))
                self.watch.flawed(len(self._report.problems))
        for name, state, _ in rows_without_object(seen):
            if state == Archive.State.WRITING:
                self._note(name, _UNWRITTEN)
            else:
                what = f"{name}: the object is missing, and so is its manifest"
                self._report.problems.append(Finding(name, what))
        self._erasures()

    def _erasures(self) -> None:
        """Make the book of erasures and the markers of them agree."""
        mended, act = self._report.mended, not self._report.dry_run
        missing = {name for _, name in marked.unknown(self.shelf)}
        for name in self.shelf.markers.names().values():
            self.tick()
            try:
                marker = self.shelf.markers.read(name)
            except NotProven as error:
                self._report.problems.append(Finding(name, str(error)))
                continue
            if name in missing:
                if act:
                    marked.enter(marker)
                mended.append(Finding(name, "the erasure is in Django's database again"))
        for marker in marked.unmarked(self.shelf):
            if act:
                self.shelf.markers.write(marker)
            mended.append(Finding(marker.name, "the marker of an erasure is written again"))

    def asked(self) -> dict[str, Any]:
        return {"deep": self._report.deep}

    def counted(self) -> dict[str, int]:
        report = self._report
        return {
            "mended": len(report.mended), "proven": report.proven, "frozen": report.frozen
        }  # fmt: skip

    def _one(self, found: Listed, row: Archive | None) -> None:
        if found.foreign:
            self._note(found.object_name, "it is no archive")
            return
        self._report.archives += 1
        if row is not None and row.state == Archive.State.WRITING:
            self._note(found.object_name, _UNBOOKED if found.versions else _UNWRITTEN)
            return
        manifest = self._manifest(found, row)
        if not found.has_object:
            raise NotProven(f"{found.object_name}: the object is missing; its manifest is there")
        vouched = self._check_object(manifest)
        if not found.versions:
            self._mend(manifest, "its manifest is written beside it again", self.shelf.put_back)
        if len(found.versions) > 1:
            self._mend(manifest, "superseded manifests are removed", self.shelf.retire_older)
        self._check_row(manifest, row)
        if vouched and row is not None and row.state == Archive.State.DAMAGED:
            self._mend(manifest, "it was damaged; it is proven again", _write_proof)

    def _manifest(self, found: Listed, row: Archive | None) -> Manifest:
        """The archive's manifest, from beside the object or else from the database; proven."""
        if found.versions:
            return self.shelf.manifest_of(found)
        if row is None:
            raise NotProven(
                f"{found.object_name}: neither is a manifest beside it nor is it in Django's "
                "database; without, nobody can open it. If no other installation writes here, "
                "remove it"
            )
        manifest = row_manifest(row)
        self.shelf.check_seal(manifest)
        return manifest

    def _check_object(self, manifest: Manifest) -> bool:
        """NotProven unless the object is the manifest's; whether it is to the last bit: it was
        opened, or the storage has its SHA-256."""
        facts = self.shelf.facts(manifest)
        if facts.frozen:
            self._report.frozen += 1
        if facts.frozen or not self._report.deep:
            return facts.sha256 is not None
        try:
            layout = layout_named(manifest.table)
        except RetentionError as error:
            raise NotProven(f"{manifest.object_name}: {error}") from None
        self.shelf.open(manifest, layout)
        self._report.proven += 1
        return True

    def _check_row(self, manifest: Manifest, row: Archive | None) -> None:
        """Make the row say what the manifest says."""
        if row is None:
            taken = Archive.objects.filter(pk=manifest.id).values_list("object_name", flat=True)
            for other in taken:
                raise NotProven(f"{manifest.object_name}: in Django's database {other} has its id")
            self._mend(manifest, "its row in Django's database is written again", _write_row)
            return
        if row.pk != manifest.id:
            raise NotProven(f"{manifest.object_name}: in Django's database its id is {row.pk}")
        wanted = _columns(manifest)
        differing = [name for name, value in wanted.items() if getattr(row, name) != value]
        if differing:

            def update(_: Manifest) -> None:
                Archive.objects.filter(pk=row.pk).update(**wanted)

            what = f"its row in Django's database takes from its manifest: {', '.join(differing)}"
            self._mend(manifest, what, update)

    def _mend(self, manifest: Manifest, what: str, act: Callable[[Manifest], None]) -> None:
        if not self._report.dry_run:
            act(manifest)
        self._report.mended.append(Finding(manifest.object_name, what))

    def _note(self, name: str, what: str) -> None:
        self._report.notes.append(Finding(name, what))


def _columns(manifest: Manifest) -> dict[str, Any]:
    """What a row has from the manifest."""
    return {
        "store": manifest.store,
        "target": manifest.target,
        "table": manifest.table,
        "tier": manifest.tier.value,
        "count": manifest.count,
        "oldest": manifest.oldest,
        "newest": manifest.newest,
        "created_at": manifest.created_at,
        "key_id": manifest.encryption.key_id,
        "manifest": manifest.as_json(),
    }


def _write_proof(manifest: Manifest) -> None:
    """An archive stands again that was damaged.

    REMOVED: what was left of its records has gone another way, and the next sweep has its object
    moved to its class.
    """
    Archive.objects.filter(pk=manifest.id, state=Archive.State.DAMAGED).update(
        state=Archive.State.REMOVED, proven_at=timezone.now()
    )


def _write_row(manifest: Manifest) -> None:
    """A row for an archive that has none.

    REMOVED: no record is deleted on its account any more, whatever its sweep had still to do, and
    it is never discarded. What became of its records is not known, so the counts stay 0.
    """
    known = Sweep.objects.filter(pk=manifest.sweep).exists()
    Archive.objects.create(
        id=manifest.id,
        sweep_id=manifest.sweep if known else None,
        object_name=manifest.object_name,
        state=Archive.State.REMOVED,
        proven_at=timezone.now(),
        **_columns(manifest),
    )
