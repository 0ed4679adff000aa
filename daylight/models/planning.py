"""Plans, saved places and where a user has been. Each belongs to a user: keyed (user, id)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from daylight.models.base import Stamped, id_field, json_field, owner_field, record_key
from dbcore.tables import Deadline, LocalIndex, Retention, Table, Tier


class Plan(Stamped):
    """A day, or a part of one, as a user means to spend it."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        COMPLETED = "completed"
        CANCELLED = "cancelled"

    key = record_key("user_id", "id")
    user_id = owner_field()
    id = id_field()
    title = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    location = json_field(null=True, blank=True)
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    activities = json_field(default=list, blank=True)
    preferences = json_field(default=dict, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)

    storage = Table(
        name="plans",
        hash_key="user_id",
        range_key="id",
        indexes=(LocalIndex("UserPlansIndex", "created_at"),),
        retention=Retention(365, ("end_time", "updated_at"), Tier.WARM),
        owner="user_id",
    )

    class Meta:
        db_table = "plans"
        indexes = [
            models.Index(fields=["user_id", "created_at"], name="plans_user_created"),
            models.Index(fields=["updated_at"], name="plans_updated"),
        ]

    def __str__(self) -> str:
        return self.title


class Location(Stamped):
    """A place that a user has saved."""

    key = record_key("user_id", "id")
    user_id = owner_field()
    id = id_field()
    name = models.CharField(max_length=255)
    latitude = models.FloatField()
    longitude = models.FloatField()
    address = models.CharField(max_length=500, blank=True)
    category = models.CharField(max_length=64, blank=True)
    metadata = json_field(default=dict, blank=True)

    storage = Table(
        name="locations",
        hash_key="user_id",
        range_key="id",
        retention=Retention(1095, ("updated_at",), Tier.COLD),
        owner="user_id",
    )

    class Meta:
        db_table = "locations"
        indexes = [models.Index(fields=["updated_at"], name="locations_updated")]

    def __str__(self) -> str:
        return self.name


class LocationHistory(Stamped):
    """Where a user was at an instant, and what they were doing."""

    key = record_key("user_id", "id")
    user_id = owner_field()
    id = id_field()
    location = json_field()
    activity = models.CharField(max_length=64, blank=True)
    timestamp = models.DateTimeField(default=timezone.now)
    metadata = json_field(default=dict, blank=True)

    storage = Table(
        name="location_history",
        hash_key="user_id",
        range_key="id",
        indexes=(LocalIndex("UserTimestampIndex", "timestamp"),),
        expires=(Deadline("timestamp", days=90),),
        retention=Retention(90, ("timestamp",), Tier.HOT),
        owner="user_id",
    )

    class Meta:
        db_table = "location_history"
        verbose_name_plural = "location history"
        indexes = [
            models.Index(fields=["user_id", "timestamp"], name="location_history_user_time"),
            models.Index(fields=["timestamp"], name="location_history_time"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.activity} at {self.timestamp:%Y-%m-%d %H:%M}"
