"""What users do, how the layer performs, and what went wrong, in the admin. An error is never
rewritten here: it can be graded and marked resolved, no more.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from daylight.admin.base import LargeTableAdmin, RecordAdmin
from daylight.admin.lists import RecentValuesFilter
from daylight.models import ErrorLog, PerformanceMetric, UsageAnalytics
from dbcore.admin import json_display, preformatted
from dbcore.printable import shortened

CONTEXT = json_display("context")


@admin.register(UsageAnalytics)
class UsageAnalyticsAdmin(LargeTableAdmin):
    list_display = ("timestamp", "event_type", "user_id", "session_id")
    list_filter = (("event_type", RecentValuesFilter), "timestamp")
    search_fields = ("user_id__exact", "key__exact")
    search_help_text = "A user's whole id."
    ordering = ("-timestamp",)


@admin.register(PerformanceMetric)
class PerformanceMetricAdmin(LargeTableAdmin):
    list_display = ("started_at", "series", "host", "count", "errors", "rows", "capacity")
    list_filter = (("series", RecentValuesFilter), "started_at")
    search_fields = ("series__startswith",)
    search_help_text = "The beginning of a series, such as plans#."
    ordering = ("-started_at",)

    @admin.display(description="host")
    def host(self, metric: PerformanceMetric) -> str:
        return metric.window.partition("#")[2]


@admin.register(ErrorLog)
class ErrorLogAdmin(RecordAdmin):
    list_display = ("timestamp", "severity", "name", "message_short", "user_id", "resolved")
    list_filter = ("severity", "resolved", ("name", RecentValuesFilter), "timestamp")
    search_fields = ("name", "message", "user_id__exact", "id__exact")
    date_hierarchy = "timestamp"
    ordering = ("-timestamp",)
    actions = ("mark_resolved",)
    readonly_fields = ("timestamp", "user_id", "name", "message", "stack_shown", CONTEXT)
    fieldsets = (
        (None, {"fields": ("id", "timestamp", "severity", "resolved", "user_id")}),
        ("What went wrong", {"fields": ("name", "message", "stack_shown", CONTEXT)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # errors are caught, not typed in

    @admin.display(description="message", ordering="message")
    def message_short(self, error: ErrorLog) -> str:
        return shortened(error.message, 80)

    @admin.display(description="stack")
    def stack_shown(self, error: ErrorLog) -> SafeString:
        return preformatted(error.stack)

    @admin.action(description="Mark selected errors as resolved", permissions=["change"])
    def mark_resolved(self, request: HttpRequest, queryset: QuerySet[ErrorLog]) -> None:
        count = queryset.update(resolved=True)
        self.message_user(request, f"{count} marked as resolved.")
