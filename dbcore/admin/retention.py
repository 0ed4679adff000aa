"""Retention in Django's admin: sweeps, archives, holds, policies, restores and erasures, to read.

Nothing here may be changed by hand: a hold or an archive that somebody edited would let records go
that nobody meant to. `legal_hold`, `restore_archive` and `erase_user` do it, and are audited.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dbcore.admin.display import (
    EMPTY,
    ViewOnlyAdmin,
    link_to,
    pretty_json,
    report_html,
    took,
)
from dbcore.models import AcceptedPolicy, Archive, Erasure, LegalHold, RestoredRecord, Sweep
from dbcore.printable import shortened

_DIGESTS = ("keys", "owners")  # of a manifest: long, and nothing to read


def archive_link(archive: str) -> SafeString | str:
    """A link to an archive, where its row is still there."""
    there = Archive.objects.filter(pk=archive).exists()
    return link_to(Archive, archive) if there else archive or EMPTY


@admin.register(Sweep)
class SweepAdmin(ViewOnlyAdmin):
    list_display = (
        "started_at", "status", "store", "target", "archived", "deleted", "held", "archives", "took"
    )  # fmt: skip
    list_filter = ("status", "store", "started_at")
    search_fields = ("id", "target", "host", "error")
    date_hierarchy = "started_at"
    ordering = ("-started_at",)
    fieldsets = (
        (None, {"fields": ("id", "status", "store", "target", "started_at", "finished_at")}),
        ("Records", {"fields": (
            "as_of", "archived", "deleted", "resumed_deleted", "held", "archives", "took",
        )}),
        ("Report", {"fields": ("report_shown", "error")}),
        ("How it was called", {"fields": ("host", "pid", "options")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Sweep]:
        sweeps: models.QuerySet[Sweep] = super().get_queryset(request)
        return sweeps.annotate(archive_count=models.Count("archive"))

    @admin.display(description="archives", ordering="archive_count")
    def archives(self, sweep: Any) -> SafeString | str:
        """How many archives it wrote, with a link to them."""
        if not sweep.archive_count:
            return "0"
        url = reverse("admin:dbcore_archive_changelist")
        return format_html(
            '<a href="{}?sweep__id__exact={}">{}</a>', url, sweep.id, sweep.archive_count
        )

    @admin.display(description="took")
    def took(self, sweep: Sweep) -> str:
        return took(sweep.started_at, sweep.finished_at)

    @admin.display(description="report")
    def report_shown(self, sweep: Sweep) -> SafeString | str:
        return report_html(sweep.report)


@admin.register(Archive)
class ArchiveAdmin(ViewOnlyAdmin):
    list_display = (
        "created_at", "table", "tier", "state", "count", "deleted", "changed", "held", "oldest",
        "newest", "key_id",
    )  # fmt: skip
    list_filter = ("state", "tier", "table", "created_at")
    linked_lookups = ("sweep__id__exact",)
    search_fields = ("id", "object_name", "target", "key_id", "sweep__id")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "table", "tier", "state", "store", "target", "sweep_shown")}),
        ("Records", {"fields": ("count", "oldest", "newest")}),
        ("What became of them", {"fields": ("deleted", "gone", "changed", "held", "kept")}),
        ("Object", {"fields": ("object_name", "key_id", "manifest_shown")}),
        ("When", {"fields": ("created_at", "proven_at", "completed_at")}),
    )

    @admin.display(description="manifest")
    def manifest_shown(self, archive: Archive) -> SafeString | str:
        """The manifest without its digests."""
        manifest = archive.manifest
        if isinstance(manifest, dict):
            manifest = {name: each for name, each in manifest.items() if name not in _DIGESTS}
        return pretty_json(manifest)

    @admin.display(description="sweep")
    def sweep_shown(self, archive: Archive) -> SafeString | str:
        return link_to(Sweep, archive.sweep_id)


class InForceFilter(admin.SimpleListFilter):
    """Holds that are in force, or those that have ended."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in_force", "In force"), ("ended", "Ended")]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        ended = models.Q(lifted_at__isnull=False) | models.Q(until__lte=timezone.now())
        if self.value() == "in_force":
            return queryset.exclude(ended)
        return queryset.filter(ended) if self.value() == "ended" else queryset


@admin.register(LegalHold)
class LegalHoldAdmin(ViewOnlyAdmin):
    list_display = (
        "placed_at", "scope", "table", "subject", "placed_by", "until", "lifted_at", "reason_short"
    )  # fmt: skip
    list_filter = (InForceFilter, "scope", "table", "placed_at")
    search_fields = ("id", "table", "subject", "reason", "placed_by")
    date_hierarchy = "placed_at"
    ordering = ("-placed_at",)
    fieldsets = (
        (None, {"fields": ("id", "scope", "table", "subject")}),
        ("Placed", {"fields": ("placed_by", "placed_at", "reason", "until")}),
        ("Lifted", {"fields": ("lifted_by", "lifted_at", "lift_reason")}),
    )

    @admin.display(description="reason", ordering="reason")
    def reason_short(self, hold: LegalHold) -> str:
        return shortened(hold.reason, 120)


@admin.register(AcceptedPolicy)
class AcceptedPolicyAdmin(ViewOnlyAdmin):
    list_display = ("table", "days", "declared_days_max", "accepted_at", "accepted_by")
    search_fields = ("table", "accepted_by")
    date_hierarchy = "accepted_at"
    ordering = ("table",)


@admin.register(RestoredRecord)
class RestoredRecordAdmin(ViewOnlyAdmin):
    list_display = ("restored_at", "table", "key", "grace_until", "from_archive")
    list_filter = ("table", "restored_at", "grace_until")
    search_fields = ("table", "key", "archive")
    date_hierarchy = "restored_at"
    ordering = ("-restored_at", "-id")
    fieldsets = (
        (None, {"fields": ("table", "key", "restored_at", "grace_until", "from_archive")}),
    )

    @admin.display(description="archive", ordering="archive")
    def from_archive(self, record: RestoredRecord) -> SafeString | str:
        return archive_link(record.archive)


@admin.register(Erasure)
class ErasureAdmin(ViewOnlyAdmin):
    list_display = ("started_at", "subject_short", "status", "requested_by", "completed_at")
    list_filter = ("status", "started_at")
    search_fields = ("id", "subject", "requested_by", "reason")
    date_hierarchy = "started_at"
    ordering = ("-started_at",)
    fieldsets = (
        (None, {"fields": ("id", "subject", "status", "started_at", "completed_at")}),
        ("Asked for", {"fields": ("requested_by", "reason")}),
        ("Report", {"fields": ("report_shown",)}),
    )

    @admin.display(description="subject (digest)", ordering="subject")
    def subject_short(self, erasure: Erasure) -> str:
        return shortened(erasure.subject, 13)

    @admin.display(description="report")
    def report_shown(self, erasure: Erasure) -> SafeString | str:
        return report_html(erasure.report)
