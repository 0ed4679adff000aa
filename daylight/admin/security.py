"""Authenticated sessions, the audit trail, roles and permissions in the admin. The audit trail is
append-only (its `storage` says so): these pages show it and never change it.
"""

from __future__ import annotations

from django.contrib import admin

from daylight.admin.base import LargeTableAdmin, RecordAdmin, SessionAdmin
from daylight.admin.lists import RecentValuesFilter
from daylight.models import AuditLog, AuthSession, Permission, Role
from dbcore.admin import text_of


@admin.register(AuthSession)
class AuthSessionAdmin(SessionAdmin):
    list_display = ("created_at", "user_id", "ip_address", "mfa_verified", "last_activity_at")
    list_filter = ("mfa_verified", "last_activity_at")
    search_fields = ("user_id__exact", "ip_address__exact", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(AuditLog)
class AuditLogAdmin(LargeTableAdmin):
    list_display = (
        "timestamp",
        "event_type",
        "action",
        "resource",
        "outcome",
        "risk_level",
        "actor",
        "user_id",
    )
    list_filter = (
        "outcome",
        ("risk_level", RecentValuesFilter),
        ("event_type", RecentValuesFilter),
        "timestamp",
    )
    search_fields = ("user_id__exact", "id__exact")
    search_help_text = "A user's whole id, or an entry's."
    ordering = ("-timestamp",)
    fieldsets = (
        (None, {"fields": ("id", "timestamp", "event_type", "action", "resource", "outcome")}),
        (
            "Who",
            {"fields": ("actor", "user_id", "session_id", "ip_address", "user_agent", "source")},
        ),
        ("What", {"fields": ("details", "changes")}),
        ("Judgement", {"fields": ("risk_level", "compliance_labels", "correlation_id")}),
    )


@admin.register(Role)
class RoleAdmin(RecordAdmin):
    list_display = ("name", "scope", "description", "inherits", "updated_at")
    list_filter = ("scope",)
    search_fields = ("name", "description", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("name",)

    @admin.display(description="inherits from")
    def inherits(self, role: Role) -> str:
        roles = role.inherited_roles
        return ", ".join(map(text_of, roles if isinstance(roles, list) else [roles]))


@admin.register(Permission)
class PermissionAdmin(RecordAdmin):
    list_display = ("name", "resource", "action", "description", "updated_at")
    list_filter = (("resource", RecentValuesFilter), ("action", RecentValuesFilter))
    search_fields = ("name", "description", "resource", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("name",)
