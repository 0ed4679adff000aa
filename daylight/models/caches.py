"""Answers of other services, kept until they expire. Losing one costs a request, nothing more."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from daylight.models.base import json_field
from dbcore.tables import Deadline, Retention, Table, Tier

_KEY_LENGTH = 255


class CachedAnswer(models.Model):
    """What every cache keeps beside its key."""

    data = json_field(default=dict, blank=True)
    timestamp = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


def _cache_table(name: str, key: str, days: int) -> Table:
    return Table(
        name=name,
        hash_key=key,
        expires=(Deadline("expires_at"),),
        retention=Retention(days, ("timestamp",), Tier.HOT),
    )


class WeatherCache(CachedAnswer):
    """The weather at a place."""

    location_key = models.CharField(max_length=_KEY_LENGTH, primary_key=True)

    storage = _cache_table("weather_cache", "location_key", 7)

    class Meta:
        db_table = "weather_cache"
        verbose_name_plural = "weather cache"


class TrafficData(CachedAnswer):
    """The traffic on a route."""

    route_key = models.CharField(max_length=_KEY_LENGTH, primary_key=True)

    storage = _cache_table("traffic_data", "route_key", 30)

    class Meta:
        db_table = "traffic_data"
        verbose_name_plural = "traffic data"


class EventsCache(CachedAnswer):
    """The events in an area."""

    area_key = models.CharField(max_length=_KEY_LENGTH, primary_key=True)

    storage = _cache_table("events_cache", "area_key", 14)

    class Meta:
        db_table = "events_cache"
        verbose_name_plural = "events cache"
