"""Answers of other services in the admin. Lists show keys and times, never the answers, which
may be large.
"""

from __future__ import annotations

from django.contrib import admin

from daylight.admin.base import RecordAdmin
from daylight.models import EventsCache, TrafficData, WeatherCache


@admin.register(WeatherCache, TrafficData, EventsCache)
class CacheAdmin(RecordAdmin):
    """The caches differ in their key alone."""

    list_display = ("__str__", "timestamp", "expires_at")
    list_filter = ("timestamp",)
    search_fields = ("pk",)
    date_hierarchy = "timestamp"
    ordering = ("-timestamp",)
