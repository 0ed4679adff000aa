"""Sample users, their profiles, sessions and devices. No hash here belongs to any password."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from daylight.models import AuthSession, User, UserProfile, UserSession
from daylight.sample_data.draw import Draw
from daylight.sample_data.words import AVATARS, CITIES, PEOPLE, USER_AGENTS, City

DAY = dt.timedelta(days=1)
GONE = 0.1  # share of users without a sign of life for over seven years: due for the archive


@dataclass(frozen=True)
class Person:
    """A sample user, and what the other tables need to know of them."""

    user: User
    names: tuple[str, str]
    city: City

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def last_seen(self) -> dt.datetime:
        """Nothing that they did is younger than this."""
        return self.user.last_login_at or self.user.created_at


def make_people(draw: Draw, count: int) -> list[Person]:
    """`count` people; the first is active and the last is gone, however few there are."""
    return [_person(draw, index, gone=_is_gone(index, count)) for index in range(count)]


def _is_gone(index: int, count: int) -> bool:
    return index >= count - max(1, round(count * GONE))


def _person(draw: Draw, index: int, *, gone: bool) -> Person:
    first, last, address = PEOPLE[index % len(PEOPLE)]
    if gone:
        created = draw.between(draw.now - 3300 * DAY, draw.now - 2900 * DAY)
        seen: dt.datetime | None = draw.between(created, draw.now - 2600 * DAY)
    else:
        created = draw.between(draw.now - 2500 * DAY, draw.now - 400 * DAY)
        seen = draw.ago(3)
    if gone and draw.often(0.2):
        seen = None  # registered, and never signed in
    user = User(
        id=draw.new_id(created),
        email=f"{address}.{index}@example.org",
        username=None if draw.often(0.15) else f"{address.replace('.', '_')}_{index}",
        password_hash=_password_hash(draw),
        is_active=not gone or draw.often(0.5),
        email_verified=draw.often(0.85),
        created_at=created,
        updated_at=draw.between(created, seen) if seen else created,
        last_login_at=seen,
    )
    return Person(user, (first, last), draw.one(CITIES))


def _password_hash(draw: Draw) -> str:
    """The form of PBKDF2's result around random bytes: it opens with no password."""
    digest = base64.b64encode(draw.chance.randbytes(32)).decode()
    return f"pbkdf2_sha256$1000000${draw.hexadecimal(22)}${digest}"


def profiles(draw: Draw, people: list[Person]) -> Iterator[UserProfile]:
    """One profile a person; the first has settings of 20 KB, the second nothing optional."""
    for index, person in enumerate(people):
        user = person.user
        yield UserProfile(
            user_id=user.id,
            first_name=person.names[0],
            last_name=person.names[1],
            avatar=None if index == 1 else draw.one((None, "", *AVATARS)),
            timezone=person.city.timezone,
            preferences={} if index == 1 else _preferences(draw),
            settings=draw.large_json() if index == 0 else _settings(draw),
            created_at=user.created_at,
            updated_at=draw.between(user.created_at, person.last_seen),
        )


def _preferences(draw: Draw) -> dict[str, object]:
    return {
        "pace": draw.one(("slow", "medium", "brisk")),
        "likes": draw.some(("art", "parks", "food 🍜", "books", "water"), 4),
        "budget": {"currency": draw.one(("EUR", "JPY", "INR")), "perDay": draw.one((0, 20, 55.5))},
        "wakeAt": draw.one(("06:30", "08:00", None)),
    }


def _settings(draw: Draw) -> dict[str, object]:
    return {
        "theme": draw.one(("light", "dark", "system")),
        "notifications": {"email": draw.often(0.5), "push": draw.often(0.7), "quiet": [22, 7]},
        "shareLocation": draw.often(0.3),
    }


def sessions(draw: Draw, people: list[Person], count: int) -> Iterator[UserSession]:
    """App sessions of the last 45 days. Some have expired: by their date, or by their age."""
    for _ in range(count):
        person = draw.one(people)
        created = draw.ago(45, since=person.user.created_at)
        yield UserSession(
            session_id=draw.session_hash(created),
            user_id=person.id,
            data={}
            if draw.often(0.1)
            else {"csrf": draw.hexadecimal(32), "views": draw.one((1, 7))},
            expires_at=created + draw.one((1, 14, 60)) * DAY,
            created_at=created,
        )


def auth_sessions(draw: Draw, people: list[Person], count: int) -> Iterator[AuthSession]:
    """Devices that signed in during the last 60 days, for a day, a month or 90 days."""
    for _ in range(count):
        person = draw.one(people)
        created = draw.ago(60, since=person.user.created_at)
        expires = created + draw.one((1, 30, 90)) * DAY
        yield AuthSession(
            id=draw.session_hash(created),
            user_id=person.id,
            ip_address=None if draw.often(0.1) else draw.address(),
            user_agent=draw.one((None, *USER_AGENTS)),
            device={"platform": draw.one(("ios", "android", "web")), "trusted": draw.often(0.6)},
            mfa_verified=draw.often(0.4),
            created_at=created,
            last_activity_at=draw.between(created, min(expires, draw.now)),
            expires_at=expires,
        )
