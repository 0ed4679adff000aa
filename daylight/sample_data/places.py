"""Sample plans, saved places and walks recorded by GPS. A walk is one person's, in order of time,
and no faster than its activity.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

from daylight.models import Location, LocationHistory, Plan
from daylight.sample_data.draw import Draw
from daylight.sample_data.people import DAY, Person
from daylight.sample_data.words import ACTIVITIES, CATEGORIES

# Activity -> metres a second.
SPEEDS = {"still": 0.0, "walking": 1.4, "cycling": 4.8, "driving": 11.0}
METRES_PER_DEGREE = 111_320
LONGEST_WALK = 60  # points


def plans(draw: Draw, people: list[Person], count: int) -> Iterator[Plan]:
    """Plans of two years and of the days to come; the first has nothing optional."""
    for index in range(count):
        person = draw.one(people)
        created = draw.ago(730, since=person.user.created_at)
        start = created + draw.chance.uniform(-0.2, 9) * DAY
        bare = index == 0
        yield Plan(
            user_id=person.id,
            id=draw.new_id(created),
            title=f"{draw.one(('A day in', 'Weekend:', '☀️', '計画:'))} {person.city.name}",
            description="" if bare else draw.one(("", "With Zoë.\nBring water 💧", "  indented  ")),
            location=None if bare else _spot(draw, person),
            start_time=None if bare else start,
            end_time=None if bare else start + dt.timedelta(hours=draw.chance.randint(1, 30)),
            activities=[] if bare else _activities(draw, start),
            preferences={}
            if bare
            else {"weather": {"avoid": ["rain"], "min": -3.5}, "nested": [[]]},
            status=_status(draw, start),
            created_at=created,
            updated_at=draw.between(created, min(draw.now, created + 5 * DAY)),
        )


def _status(draw: Draw, start: dt.datetime) -> Plan.Status:
    if draw.often(0.1):
        return Plan.Status.CANCELLED
    return Plan.Status.ACTIVE if start > draw.now - DAY else Plan.Status.COMPLETED


def _spot(draw: Draw, person: Person) -> dict[str, Any]:
    latitude, longitude = draw.near(person.city)
    return {"lat": latitude, "lng": longitude, "name": draw.one(person.city.places)}


def _activities(draw: Draw, start: dt.datetime) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "start": (start + dt.timedelta(hours=hour)).isoformat(),
            "minutes": draw.one((15, 45, 90)),
            "done": draw.often(0.5),
            "notes": draw.one((None, "", "ask for the terrace")),
        }
        for hour, title in enumerate(draw.some(ACTIVITIES, 5))
    ]


def locations(draw: Draw, people: list[Person], count: int) -> Iterator[Location]:
    """Saved places, up to four years old and so in part beyond their three years."""
    for _ in range(count):
        person = draw.one(people)
        created = draw.ago(1500, since=person.user.created_at)
        latitude, longitude = draw.near(person.city)
        place = draw.one(person.city.places)
        yield Location(
            user_id=person.id,
            id=draw.new_id(created),
            name=place,
            latitude=latitude,
            longitude=longitude,
            address=""
            if draw.often(0.1)
            else f"{place} {draw.one(range(1, 200))}, {person.city.name}",
            category=draw.one(CATEGORIES),
            metadata={} if draw.often(0.2) else {"visits": draw.one((1, 12)), "rating": 4.5},
            created_at=created,
            updated_at=draw.between(created, min(draw.now, created + 200 * DAY)),
        )


def walks(draw: Draw, people: list[Person], count: int) -> Iterator[LocationHistory]:
    """`count` points of walks in the last 120 days: about a quarter have expired."""
    while count > 0:
        points = min(count, draw.chance.randint(LONGEST_WALK // 4, LONGEST_WALK))
        yield from _walk(draw, draw.one(people), points)
        count -= points


def _walk(draw: Draw, person: Person, points: int) -> Iterator[LocationHistory]:
    latitude, longitude = draw.near(person.city, 4)
    # Early enough to have ended by now.
    at = draw.ago(119, since=person.user.created_at) - dt.timedelta(hours=2)
    heading, activity = draw.chance.uniform(0, math.tau), draw.one(tuple(SPEEDS))
    for step in range(points):
        seconds = draw.chance.uniform(20, 115)
        if draw.often(0.12):
            activity = draw.one(tuple(SPEEDS))
        speed = SPEEDS[activity] * draw.chance.uniform(0.6, 1.0)
        heading += draw.chance.gauss(0, 0.35)
        degrees = speed * seconds / METRES_PER_DEGREE
        latitude += degrees * math.cos(heading)
        longitude += degrees * math.sin(heading) / math.cos(math.radians(latitude))
        at += dt.timedelta(seconds=seconds)
        yield LocationHistory(
            user_id=person.id,
            id=draw.new_id(at),
            location=_fix(draw, latitude, longitude, speed),
            activity="" if draw.often(0.01) else activity,
            timestamp=at,
            metadata={}
            if draw.often(0.1)
            else {"provider": draw.one(("gps", "wifi")), "step": step},
            created_at=at,
            updated_at=at,
        )


def _fix(draw: Draw, latitude: float, longitude: float, speed: float) -> dict[str, Any]:
    """What a phone reports; one in fifty with all 15 digits that it has computed."""
    digits = 13 if draw.often(0.02) else 6
    return {
        "lat": round(latitude, digits),
        "lng": round(longitude, digits),
        "accuracy": draw.one((3, 5, 12.5, 30)),
        "altitude": None if draw.often(0.2) else round(draw.chance.uniform(-3, 900), 1),
        "speed": round(speed, 2),
    }
