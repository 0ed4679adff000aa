"""Sample caches, usage, measurements and errors: what Daylight itself writes down."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from daylight.models import (
    ErrorLog,
    EventsCache,
    PerformanceMetric,
    TrafficData,
    UsageAnalytics,
    WeatherCache,
)
from daylight.sample_data.draw import EPOCH, Draw, timestamp_ms
from daylight.sample_data.people import DAY, Person
from daylight.sample_data.words import CITIES, EVENTS, FAILURES, SKIES, USAGE, USER_AGENTS
from dbcore.attributes import timestamp_text

WINDOW = dt.timedelta(minutes=5)
SERIES = (
    "plans#Query",
    "plans#PutItem",
    "location_history#BatchWriteItem",
    "location_history#Query",
    "users#GetItem",
    "weather_cache#GetItem",
)
HOSTS = ("web-1", "web-2", "worker-1")
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)  # seconds


def weather(draw: Draw, count: int) -> Iterator[WeatherCache]:
    """The weather around cities; about a third of it is over its week."""
    for index in range(count):
        latitude, longitude = draw.near(draw.one(CITIES), 30)
        at = draw.ago(10)
        yield WeatherCache(
            location_key=f"{latitude:.3f},{longitude:.3f}@{index}",
            data={
                "sky": draw.one(SKIES),
                "temperature": round(draw.chance.gauss(14, 9), 1),
                "wind": {"speed": draw.one((0, 3.5, 12)), "from": draw.one(("N", "SW", None))},
                "observedAt": timestamp_ms(at),
                "hours": [
                    {"h": hour, "t": round(draw.chance.gauss(14, 4), 1)} for hour in range(6)
                ],
            },
            timestamp=at,
            expires_at=at + draw.one((1, 7)) * DAY,
        )


def traffic(draw: Draw, count: int) -> Iterator[TrafficData]:
    """Routes between two places of a city, asked for within the last 40 days."""
    for index in range(count):
        city = draw.one(CITIES)
        at = draw.ago(40)
        minutes = draw.chance.randint(4, 80)
        yield TrafficData(
            route_key=f"{city.places[0]}→{city.places[-1]}/{city.name}#{index}",
            data={
                "minutes": minutes,
                "delay": draw.one((0, 2, 15)),
                "incidents": [] if draw.often(0.7) else [{"kind": "roadworks", "lanes": [1, 2]}],
            },
            timestamp=at,
            expires_at=at + draw.one((0.5, 30)) * DAY,
        )


def events(draw: Draw, count: int) -> Iterator[EventsCache]:
    """What is on in an area; the first answer is 20 KB."""
    for index in range(count):
        city = draw.one(CITIES)
        at = draw.ago(20)
        found = [
            {"title": title, "where": draw.one(city.places), "free": draw.often(0.3)}
            for title in draw.some(EVENTS, 4)
        ]
        yield EventsCache(
            area_key=f"{city.name}/{index}",
            data=draw.large_json() if index == 0 else {"events": found, "source": ""},
            timestamp=at,
            expires_at=at + draw.one((2, 14)) * DAY,
        )


def usage(draw: Draw, people: list[Person], count: int) -> Iterator[UsageAnalytics]:
    """What people did within 500 days; a year of it is kept."""
    for _ in range(count):
        person = draw.one(people)
        at = draw.ago(500, since=person.user.created_at)
        yield UsageAnalytics(  # type: ignore[misc]  # session_id may be null
            user_id=person.id,
            id=draw.new_id(at),
            event_type=draw.one(USAGE),
            event_data=_event_data(draw, at),
            timestamp=at,
            session_id=None if draw.often(0.2) else draw.session_hash(at - dt.timedelta(minutes=9)),
            user_agent=draw.one((None, "", *USER_AGENTS)),
        )


def _event_data(draw: Draw, at: dt.datetime) -> dict[str, Any]:
    if draw.often(0.1):
        return {}
    return {
        "screen": draw.one(("home", "map", "plan", "")),
        "clientTime": timestamp_ms(at),
        "trace": draw.chance.randint(10**14, 10**15 - 1),
        "path": ["home", {"tab": 2, "filters": {"tags": [], "near": None}}],
    }


def metrics(draw: Draw, count: int) -> Iterator[PerformanceMetric]:
    """Windows of five minutes, spread over 40 days or as far back as `count` needs."""
    each = -(-count // (len(SERIES) * len(HOSTS)))  # windows of each series on each host
    step = max(1, int(40 * DAY / WINDOW / each))
    newest = EPOCH + (draw.now - EPOCH) // WINDOW * WINDOW - WINDOW
    for index in range(count):
        window, rest = divmod(index, len(SERIES) * len(HOSTS))
        host, series = divmod(rest, len(SERIES))
        yield _metric(draw, SERIES[series], newest - window * step * WINDOW, HOSTS[host])


def _metric(draw: Draw, series: str, start: dt.datetime, host: str) -> PerformanceMetric:
    durations = [draw.chance.lognormvariate(-5, 1) for _ in range(draw.chance.randint(1, 30))]
    counts = [0] * (len(BOUNDS) + 1)  # the last one for what is slower than every bound
    for duration in durations:
        counts[bisect.bisect_left(BOUNDS, duration)] += 1
    return PerformanceMetric(
        series=series,
        window=f"{timestamp_text(start)}#{host}",
        started_at=start,
        count=len(durations),
        errors=1 if draw.often(0.05) else 0,
        rows=len(durations) * draw.one((1, 4, 25)),
        capacity=Decimal(len(durations)) * draw.one((Decimal("0.5"), Decimal("1.0"))),
        duration={"bounds": list(BOUNDS), "counts": counts, "sum": round(sum(durations), 9)},
        window_seconds=int(WINDOW.total_seconds()),
    )


def errors(draw: Draw, people: list[Person], count: int) -> Iterator[ErrorLog]:
    """Errors of 120 days; 90 are kept. Some had no user, some are without a stack."""
    for _ in range(count):
        person = draw.one(people)
        at = draw.ago(120, since=person.user.created_at)
        name = draw.one(tuple(FAILURES))
        message, thrown = FAILURES[name]
        yield ErrorLog(  # type: ignore[misc]  # user_id may be null
            id=draw.new_id(at),
            name=name,
            message=message.format(city=person.city.name),
            stack="" if draw.often(0.1) else _stack(draw, name, thrown),
            context={} if draw.often(0.1) else {"release": "4.2.0", "retry": {"n": 2, "of": 3}},
            user_id=None if draw.often(0.2) else person.id,
            timestamp=at,
            severity=draw.one(ErrorLog.Severity.values),
            resolved=draw.often(0.4),
        )


def _stack(draw: Draw, name: str, thrown: str) -> str:
    callers = [f"    at step{draw.one(range(90))} (queue.ts:{line}:5)" for line in (12, 57, 210)]
    return "\n".join([f"{name}:", f"    at {thrown}", *callers])
