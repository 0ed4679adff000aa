"""Sample records of all tables, as if Daylight had been in use for years: for trying things out.

Pure generation: the same seed, size and `now` give the same records, and nothing is saved here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Model

from daylight import models
from daylight.sample_data import guards, machines, people, places
from daylight.sample_data.draw import Draw

# Shares of all rows; `location_history` takes what is left, about half. Roles and permissions are
# as many as there are, whatever the size.
SHARES: dict[type[Model], float] = {
    models.User: 0.01,
    models.UserProfile: 0.01,
    models.UserSession: 0.02,
    models.Plan: 0.06,
    models.Location: 0.04,
    models.WeatherCache: 0.015,
    models.TrafficData: 0.015,
    models.EventsCache: 0.008,
    models.UsageAnalytics: 0.14,
    models.PerformanceMetric: 0.05,
    models.ErrorLog: 0.02,
    models.AuthSession: 0.02,
    models.AuditLog: 0.07,
    models.ApiKey: 0.006,
    models.ApiUsage: 0.07,
    models.RateLimit: 0.015,
}
SMALLEST = 200  # rows; with fewer some tables would have next to nothing

Sample = Iterator[tuple[type[Model], Iterator[Model]]]


def counts(rows: int) -> dict[type[Model], int]:
    """How many records of each model make a sample of `rows` in all."""
    if rows < SMALLEST:
        raise ValueError(f"a sample has at least {SMALLEST} rows")
    result = {model: max(2, round(rows * share)) for model, share in SHARES.items()}
    result[models.Permission] = sum(1 for _ in guards.permissions(_draw(0, models.Permission)))
    result[models.Role] = sum(1 for _ in guards.roles(_draw(0, models.Role)))
    result[models.LocationHistory] = rows - sum(result.values())
    return result


def filled(alias: str) -> list[str]:
    """The tables that hold rows in a database, which must have them all."""
    kept = counts(SMALLEST)
    return [model._meta.db_table for model in kept if model._default_manager.using(alias).exists()]


def _draw(
    seed: int, model: type[Model], now: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
) -> Draw:
    return Draw(seed, model._meta.db_table, now)


def sample(rows: int, *, seed: int, now: dt.datetime) -> Sample:
    """Each model with its unsaved records, made as they are asked for."""
    size = counts(rows)

    def draw(model: type[Model]) -> Draw:
        return _draw(seed, model, now)

    everybody = people.make_people(draw(models.User), size[models.User])
    # Who is gone has left an account, a profile and a trail; all else is of those who stayed.
    present = [each for each in everybody if each.last_seen > now - dt.timedelta(days=30)]
    keys = list(guards.api_keys(draw(models.ApiKey), present, size[models.ApiKey]))
    yield models.User, iter(each.user for each in everybody)
    yield models.UserProfile, people.profiles(draw(models.UserProfile), everybody)
    yield models.AuditLog, guards.audit(draw(models.AuditLog), everybody, size[models.AuditLog])
    yield models.ApiKey, iter(keys)
    for model, make in _OF_PEOPLE.items():
        yield model, make(draw(model), present, size[model])
    for model, make_alone in _ALONE.items():
        yield model, make_alone(draw(model), size[model])
    for model, make_all in _ALL.items():
        yield model, make_all(draw(model))
    for model, make_of_keys in _OF_KEYS.items():
        yield model, make_of_keys(draw(model), keys, size[model])


_OF_PEOPLE = {
    models.UserSession: people.sessions,
    models.AuthSession: people.auth_sessions,
    models.Plan: places.plans,
    models.Location: places.locations,
    models.LocationHistory: places.walks,
    models.UsageAnalytics: machines.usage,
    models.ErrorLog: machines.errors,
}
_ALONE = {
    models.WeatherCache: machines.weather,
    models.TrafficData: machines.traffic,
    models.EventsCache: machines.events,
    models.PerformanceMetric: machines.metrics,
}
_ALL = {models.Permission: guards.permissions, models.Role: guards.roles}
_OF_KEYS = {models.ApiUsage: guards.api_usage, models.RateLimit: guards.rate_limits}
