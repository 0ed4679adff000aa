"""API keys, their use and its limits in the admin. No key's hash is ever shown here, and no key
is made or removed: a new key is shown once to its owner, and the audit trail refers to old ones.
One that is revoked stays so.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from daylight.admin.base import LargeTableAdmin, RecordAdmin
from daylight.admin.lists import RecentValuesFilter
from daylight.models import ApiKey, ApiUsage, RateLimit


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin):
    list_display = ("name", "key_preview", "user_id", "status", "environment", "last_used_at")
    list_filter = ("status", ("environment", RecentValuesFilter), "last_used_at")
    search_fields = ("name", "key_preview", "user_id__exact", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    readonly_fields = ("key_preview", "user_id", "last_used_at")
    fieldsets = (
        (None, {"fields": ("id", "name", "description", "tags", "user_id")}),
        ("The key", {"fields": ("key_preview", "key_hash", "status", "environment")}),
        (
            "What it may do",
            {"fields": ("scopes", "allowed_endpoints", "allowed_methods", "ip_whitelist")},
        ),
        ("Times", {"fields": ("expires_at", "last_used_at", "created_at", "updated_at")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiUsage)
class ApiUsageAdmin(LargeTableAdmin):
    list_display = (
        "timestamp",
        "method",
        "endpoint",
        "status_code",
        "response_time_ms",
        "rate_limit_hit",
        "api_key_id",
        "user_id",
    )
    list_filter = (
        ("method", RecentValuesFilter),
        ("status_code", RecentValuesFilter),
        "rate_limit_hit",
        "timestamp",
    )
    search_fields = ("api_key_id__exact", "key__exact")
    search_help_text = "An API key's whole id."
    ordering = ("-timestamp",)
    fieldsets = (
        (None, {"fields": ("api_key_id", "id", "user_id", "timestamp")}),
        ("Request", {"fields": ("method", "endpoint", "request_size", "ip_address", "user_agent")}),
        (
            "Answer",
            {"fields": ("status_code", "response_time_ms", "response_size", "rate_limit_hit")},
        ),
        ("Error", {"fields": ("error_code", "error_message")}),
    )


@admin.register(RateLimit)
class RateLimitAdmin(RecordAdmin):
    list_display = ("identifier", "window_start", "count", "limit", "window_seconds", "expires_at")
    list_filter = ("window_start",)
    search_fields = ("identifier",)
    date_hierarchy = "window_start"
    ordering = ("-window_start",)
