"""Answers of other services, kept for some minutes. An answer that has expired is never returned,
whether or not the engine has deleted it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from daylight.models import EventsCache, TrafficData, WeatherCache
from daylight.services.base import Service, check_id
from daylight.services.checks import check_whole
from daylight.services.twins import twin
from dbcore.items import layout_of
from dbcore.stores.errors import RecordNotFound
from dbcore.stores.interface import Record

Json = dict[str, Any] | list[Any]
MAX_TTL_MINUTES = 366 * 24 * 60  # an answer that is good for longer belongs in a table of its own


class CacheService(Service):
    """The weather at places, the traffic on routes, the events in areas.

    In all calls a key is a text of 1 to 255 characters, and an answer is a record whose `data` is
    the JSON object or list that was set. Reads may come from the cache of records.
    """

    def set_weather_cache(
        self, location_key: str, data: Json, ttl_minutes: int = 60
    ) -> WeatherCache:
        """Keep the weather at a place, over what is kept there; `ttl_minutes`: 1 to a year's.

        Returns the record. Conflict, InvalidRecord, StoreUnavailable.
        """
        return self._set(WeatherCache, location_key, data, ttl_minutes)

    def get_weather_cache(self, location_key: str) -> WeatherCache | None:
        """The weather at a place; None: absent or expired. InvalidRecord, StoreUnavailable."""
        return self._get(WeatherCache, location_key)

    def delete_weather_cache(self, location_key: str) -> None:
        """Forget the weather at a place, if it is kept. Conflict, InvalidRecord,
        StoreUnavailable."""
        self._delete(WeatherCache, location_key)

    def set_traffic_cache(self, route_key: str, data: Json, ttl_minutes: int = 30) -> TrafficData:
        """Keep the traffic on a route, over what is kept there; `ttl_minutes`: 1 to a year's.

        Returns the record. Conflict, InvalidRecord, StoreUnavailable.
        """
        return self._set(TrafficData, route_key, data, ttl_minutes)

    def get_traffic_cache(self, route_key: str) -> TrafficData | None:
        """The traffic on a route; None: absent or expired. InvalidRecord, StoreUnavailable."""
        return self._get(TrafficData, route_key)

    def delete_traffic_cache(self, route_key: str) -> None:
        """Forget the traffic on a route, if it is kept. Conflict, InvalidRecord,
        StoreUnavailable."""
        self._delete(TrafficData, route_key)

    def set_events_cache(self, area_key: str, data: Json, ttl_minutes: int = 60) -> EventsCache:
        """Keep the events in an area, over what is kept there; `ttl_minutes`: 1 to a year's.

        Returns the record. Conflict, InvalidRecord, StoreUnavailable.
        """
        return self._set(EventsCache, area_key, data, ttl_minutes)

    def get_events_cache(self, area_key: str) -> EventsCache | None:
        """The events in an area; None: absent or expired. InvalidRecord, StoreUnavailable."""
        return self._get(EventsCache, area_key)

    def delete_events_cache(self, area_key: str) -> None:
        """Forget the events in an area, if they are kept. Conflict, InvalidRecord,
        StoreUnavailable."""
        self._delete(EventsCache, area_key)

    aset_weather_cache = twin(set_weather_cache)
    aget_weather_cache = twin(get_weather_cache)
    adelete_weather_cache = twin(delete_weather_cache)
    aset_traffic_cache = twin(set_traffic_cache)
    aget_traffic_cache = twin(get_traffic_cache)
    adelete_traffic_cache = twin(delete_traffic_cache)
    aset_events_cache = twin(set_events_cache)
    aget_events_cache = twin(get_events_cache)
    adelete_events_cache = twin(delete_events_cache)

    def _set(self, model: type[Record], key: Any, data: Any, ttl_minutes: Any) -> Record:
        now = timezone.now()
        minutes = check_whole("ttl_minutes", ttl_minutes, MAX_TTL_MINUTES)
        expires_at = now + dt.timedelta(minutes=minutes)
        return self.store.put(
            model(**_key(model, key), data=data, timestamp=now, expires_at=expires_at)
        )

    def _get(self, model: type[Record], key: Any) -> Record | None:
        return self.store.get(model, _key(model, key), live_at=timezone.now())

    def _delete(self, model: type[Record], key: Any) -> None:
        try:
            self.store.delete(model, _key(model, key))
        except RecordNotFound:
            pass


def _key(model: type[Record], value: Any) -> dict[str, str]:
    (name,) = layout_of(model).table.key_fields
    return {name: check_id(name, value)}


cache_service = CacheService()
