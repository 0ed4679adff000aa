"""Plans, saved places and where users have been, in the admin. A list of places shows
coordinates; it must never read the whole history.
"""

from __future__ import annotations

from django.contrib import admin

from daylight.admin.base import LargeTableAdmin, RecordAdmin
from daylight.admin.lists import RecentValuesFilter
from daylight.models import Location, LocationHistory, Plan
from dbcore.admin import text_of
from dbcore.printable import shortened


@admin.register(Plan)
class PlanAdmin(RecordAdmin):
    list_display = ("title", "user_id", "status", "start_time", "end_time", "created_at")
    list_filter = ("status", "start_time", "created_at")
    search_fields = ("title", "description", "user_id__exact", "id__exact")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("user_id", "id", "title", "description", "status")}),
        ("When and where", {"fields": ("start_time", "end_time", "location")}),
        ("What", {"fields": ("activities", "preferences")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )


@admin.register(Location)
class LocationAdmin(RecordAdmin):
    list_display = ("name", "user_id", "category", "latitude", "longitude", "updated_at")
    list_filter = (("category", RecentValuesFilter), "updated_at")
    search_fields = ("name", "address", "user_id__exact", "id__exact")
    date_hierarchy = "updated_at"
    ordering = ("-updated_at",)


@admin.register(LocationHistory)
class LocationHistoryAdmin(LargeTableAdmin):
    list_display = ("timestamp", "user_id", "activity", "place")
    list_filter = (("activity", RecentValuesFilter), "timestamp")
    search_fields = ("user_id__exact", "key__exact")
    search_help_text = "A user's whole id."
    ordering = ("-timestamp",)

    @admin.display(description="place")
    def place(self, record: LocationHistory) -> str:
        """Latitude and longitude, where the location has them; else what there is, shortened."""
        location = record.location
        if isinstance(location, dict) and {"lat", "lng"} <= location.keys():
            return f"{text_of(location['lat'])},\N{NO-BREAK SPACE}{text_of(location['lng'])}"
        return shortened(text_of(location), 60)
