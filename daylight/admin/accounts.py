"""Users, their profiles and their sessions in the admin. No password hash is ever shown here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from daylight.admin.base import RecordAdmin, SessionAdmin
from daylight.admin.lists import RecentValuesFilter
from daylight.models import User, UserProfile, UserSession


@admin.register(User)
class UserAdmin(RecordAdmin):
    list_display = (
        "email",
        "username",
        "is_active",
        "email_verified",
        "created_at",
        "last_login_at",
    )
    list_filter = ("is_active", "email_verified", "last_login_at")
    search_fields = ("email", "username", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    readonly_fields = ("last_login_at",)
    fieldsets = (
        (None, {"fields": ("id", "email", "username")}),
        ("Access", {"fields": ("is_active", "email_verified", "password_hash")}),
        ("Times", {"fields": ("created_at", "updated_at", "last_login_at")}),
    )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            # Nobody can sign in with it until a password is set through Daylight itself.
            obj.password_hash = make_password(None)
        super().save_model(request, obj, form, change)


@admin.register(UserProfile)
class UserProfileAdmin(RecordAdmin):
    list_display = ("__str__", "user_id", "timezone", "updated_at")
    list_filter = (("timezone", RecentValuesFilter),)
    search_fields = ("first_name", "last_name", "user_id__exact")
    date_hierarchy = "updated_at"
    ordering = ("-updated_at",)
    fieldsets = (
        (None, {"fields": ("user_id", "first_name", "last_name", "avatar", "timezone")}),
        ("Choices", {"fields": ("preferences", "settings")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )


@admin.register(UserSession)
class UserSessionAdmin(SessionAdmin):
    list_display = ("__str__", "user_id", "created_at", "expires_at")
    list_filter = ("created_at",)
    search_fields = ("user_id__exact", "session_id__exact")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
