"""Deployments and migrations in Django's admin: runs, checkpoints and dead letters, to read.

Nothing here may be changed by hand: a checkpoint that somebody moved would lose rows silently, and
without its deployment a table that was deleted would be made anew.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dbcore.admin.display import ViewOnlyAdmin, link_to, pretty_json, report_html, took
from dbcore.letters import shown_row
from dbcore.models import Checkpoint, DeadLetter, Deployment, MigrationRun
from dbcore.printable import shortened


@admin.register(Deployment)
class DeploymentAdmin(ViewOnlyAdmin):
    list_display = ("target", "began_at", "completed_at")
    search_fields = ("target",)
    date_hierarchy = "began_at"
    ordering = ("-began_at",)


@admin.register(MigrationRun)
class MigrationRunAdmin(ViewOnlyAdmin):
    list_display = (
        "started_at",
        "status",
        "source",
        "target",
        "rows_read",
        "rows_written",
        "letters",
        "took",
    )
    list_filter = ("status", "started_at")
    search_fields = ("id", "source", "target", "host", "error")
    date_hierarchy = "started_at"
    ordering = ("-started_at",)
    fieldsets = (
        (None, {"fields": ("id", "status", "source", "target", "started_at", "finished_at")}),
        ("Rows", {"fields": ("rows_read", "rows_written", "letters", "took")}),
        ("Report", {"fields": ("report_shown", "error")}),
        ("How it was called", {"fields": ("host", "pid", "options")}),
    )

    @admin.display(description="dead letters", ordering="dead_lettered")
    def letters(self, run: MigrationRun) -> SafeString | str:
        """How many rows this run set aside, with a link to those that it still answers for."""
        if not run.dead_lettered:
            return "0"
        url = reverse("admin:dbcore_deadletter_changelist")
        return format_html('<a href="{}?run__id__exact={}">{}</a>', url, run.id, run.dead_lettered)

    @admin.display(description="took")
    def took(self, run: MigrationRun) -> str:
        return took(run.started_at, run.finished_at)

    @admin.display(description="report")
    def report_shown(self, run: MigrationRun) -> SafeString | str:
        return report_html(run.report)


@admin.register(Checkpoint)
class CheckpointAdmin(ViewOnlyAdmin):
    list_display = (
        "source_table",
        "source",
        "target",
        "acknowledged",
        "skipped",
        "dead_lettered",
        "complete",
        "updated_at",
    )
    list_filter = ("complete", "source_table")
    search_fields = ("source_table", "source", "target")
    date_hierarchy = "updated_at"
    ordering = ("-updated_at",)


class ResolvedFilter(admin.SimpleListFilter):
    """Dead letters that wait for somebody, or those that are done with."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() == "open")


@admin.register(DeadLetter)
class DeadLetterAdmin(ViewOnlyAdmin):
    list_display = ("key", "source_table", "reason_short", "created_at", "resolved")
    list_filter = (ResolvedFilter, "source_table", "created_at")
    linked_lookups = ("run__id__exact",)
    never_raw = ("row",)
    search_fields = ("key", "row_ref", "reason", "source", "target", "run__id")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("reason", "key", "row_shown")}),
        ("Where it is from", {"fields": ("source", "source_table", "row_ref")}),
        ("Where it was to go", {"fields": ("target", "table")}),
        ("When", {"fields": ("run_shown", "copy_pass", "created_at", "resolved_at")}),
    )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Not by what is in rows: ?row__password_hash__startswith= would tell it by and by."""
        if lookup.split("__")[0] == "row":
            return False
        return super().lookup_allowed(lookup, value, request)

    @admin.display(description="row")
    def row_shown(self, letter: DeadLetter) -> SafeString | str:
        """The row without its secrets."""
        return pretty_json(shown_row(letter))

    @admin.display(description="reason", ordering="reason")
    def reason_short(self, letter: DeadLetter) -> str:
        return shortened(letter.reason, 120)

    @admin.display(description="run")
    def run_shown(self, letter: DeadLetter) -> SafeString | str:
        return link_to(MigrationRun, letter.run_id)

    @admin.display(description="resolved", boolean=True, ordering="resolved_at")
    def resolved(self, letter: DeadLetter) -> bool:
        return letter.resolved_at is not None
