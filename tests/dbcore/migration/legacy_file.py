"""Builds SQLite files as Daylight's Node backend left them: good rows of every form, and one bad
row of every kind, each with the reason that it must be refused for."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
NOT_UTF8 = b"caf\xe9 \xc3("
LONG_RANGE_KEY = "k" * 1100
LONG_HASH_KEY = "ü" * 1100

SCHEMA = {
    "history": "id INTEGER PRIMARY KEY, ts TEXT, type TEXT, provider TEXT, lat REAL, lng REAL,"
    " ok INTEGER, error TEXT",
    "location_history": "id TEXT PRIMARY KEY, user_id TEXT, location TEXT, activity TEXT,"
    " timestamp TEXT, metadata TEXT, created_at TEXT, updated_at TEXT",
    "users": "id TEXT PRIMARY KEY, email TEXT, username TEXT, password_hash TEXT,"
    " is_active INTEGER, email_verified INTEGER, created_at TEXT, updated_at TEXT,"
    " last_login_at TEXT",
    "user_profiles": "user_id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT, avatar TEXT,"
    " timezone TEXT, preferences TEXT, settings TEXT, created_at TEXT, updated_at TEXT",
    "user_sessions": "session_id TEXT PRIMARY KEY, user_id TEXT, data TEXT, expires_at TEXT,"
    " created_at TEXT",
}


@dataclass(frozen=True)
class Undecodable:
    """A TEXT value that is these bytes."""

    raw: bytes


@dataclass(frozen=True)
class Bad:
    """A row that cannot be an item: where it is, how a letter names it, and why."""

    table: str
    row: Row
    reason: str
    key: str | None = None  # None: it has no key, a letter gives its row number


@dataclass
class Legacy:
    """A file, and what it holds."""

    path: Path
    good: dict[str, list[Row]] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)

    def count(self, table: str) -> int:
        return len(self.good[table]) + sum(bad.table == table for bad in self.bad)

    def total(self) -> int:
        return sum(map(self.count, SCHEMA))

    def reasons(self) -> list[tuple[str, str]]:
        return sorted((bad.table, bad.reason) for bad in self.bad)

    def execute(self, sql: str, *arguments: Any) -> None:
        """Change the file."""
        execute(self.path, sql, *arguments)


def build(
    path: Path,
    *,
    history: int = 60,
    places: int = 60,
    users: int = 40,
    profiles: int = 40,
    sessions: int = 40,
    bad: bool = True,
    seed: int = 1,
) -> Legacy:
    """A file with so many good rows a table, bad rows strewn among them."""
    made = _Maker(seed)
    legacy = Legacy(path)
    legacy.good = {
        "history": [made.history(at) for at in range(1, history + 1)],
        "location_history": [made.place(at) for at in range(places)],
        "users": [made.user(at) for at in range(users)],
        "user_profiles": [made.profile(at) for at in range(profiles)],
        "user_sessions": [made.session(at) for at in range(sessions)],
    }
    legacy.bad = list(made.bad_rows(legacy.good)) if bad else []
    with open_file(path) as file:
        for table, columns in SCHEMA.items():
            file.execute(f"CREATE TABLE {table} ({columns})")
            of_table = [each.row for each in legacy.bad if each.table == table]
            for row in _strewn(legacy.good[table], of_table):
                insert(file, table, row)
    return legacy


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that commits and closes."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        yield file


def execute(path: Path, sql: str, *arguments: Any) -> None:
    """One statement on a file."""
    with open_file(path) as file:
        file.execute(sql, arguments)


def insert(file: sqlite3.Connection, table: str, row: Row) -> None:
    """One row; an Undecodable value is stored as TEXT all the same."""
    marks = ["CAST(? AS TEXT)" if isinstance(v, Undecodable) else "?" for v in row.values()]
    values = [v.raw if isinstance(v, Undecodable) else v for v in row.values()]
    columns = ", ".join(f'"{name}"' for name in row)
    file.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(marks)})", values)


def _strewn(good: list[Row], bad: list[Row]) -> Iterator[Row]:
    """The bad rows after the first good ones, a few rows apart."""
    apart = max(1, len(good) // (len(bad) + 1))
    waiting = iter(bad)
    for at, row in enumerate(good, start=1):
        yield row
        if at % apart == 0:
            yield from itertools.islice(waiting, 1)
    yield from waiting


def kept_id(session_id: str) -> str:
    """What a session is kept under whose device bears this id."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def iso(instant: dt.datetime) -> str:
    """As JavaScript writes a date."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


class _Maker:
    """Rows that are the same for the same seed on the same day."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _when(self, most_days: float) -> dt.datetime:
        seconds = self._random.uniform(60, most_days * 86400)
        return NOW - dt.timedelta(milliseconds=round(seconds * 1000))

    def _time(self, at: int, most_days: float = 60) -> Any:
        """An instant in one of the forms that a file may have; one in eight is long past."""
        instant = self._when(most_days) - dt.timedelta(days=200 * (at % 8 == 7))
        forms = {
            3: instant.strftime("%Y-%m-%d %H:%M:%S"),
            5: str(int(instant.timestamp() * 1000)),
            6: (instant + dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
        }
        return forms.get(at % 8, iso(instant))

    def _number(self) -> int | float:
        return self._random.choice(
            [0, -0.0, 1, -17, 0.1, 1e-7, 1.5e300 / 1e200, 10**37 + 1, self._random.random() * 1e6]
        )

    def _json(self, at: int) -> str | None:
        """JSON of an everyday shape, and now and then a strange one."""
        strange = {
            4: '{"deep":' + "[" * 29 + "1" + "]" * 29 + "}",
            9: ' { "spaced" : [ 1 , 2.50 , null , true ] , "quote\\"d" : "\\u00e9\\n" } ',
            13: None,
            14: "{}",
            15: '{"long":"' + "ж" * 3000 + '"}',
            16: '{"exact":0.12345678901234567890123456789}',
            17: '{"twice":1,"twice":{"percent":"100 % (s) %s"}}',
        }
        if at % 20 in strange:
            return strange[at % 20]
        value = {"lat": self._number(), "lng": self._random.uniform(-180, 180), "n": at}
        return json.dumps(value | {"tags": ["a", "ü", ""], "on": at % 2 == 0})

    def history(self, number: int) -> Row:
        return {
            "id": number,
            "ts": self._time(number),
            "type": self._random.choice(["walk", "drive", ""]),
            "provider": self._random.choice(["gps", "net", None]),
            "lat": self._random.choice([None, 0.0, self._random.uniform(-90, 90)]),
            "lng": self._random.uniform(-180, 180),
            "ok": number % 2,
            "error": None if number % 3 else "no signal ✗",
        }

    def place(self, at: int) -> Row:
        return {
            "id": f"place-{at:06}",
            "user_id": "unknown" if at % 10 == 0 else f"user-{at % 7}",
            "location": self._json(at),
            "activity": self._random.choice(["home", "work", "", "Größe 😀"]),
            "timestamp": self._time(at),
            "metadata": self._json(at + 7),
            "created_at": self._time(at + 1),
            "updated_at": self._time(at + 2),
        }

    def user(self, at: int) -> Row:
        return {
            "id": f"user-{at}",
            "email": f"Person.{at}@Example.org" if at % 2 else f"person.{at}@example.org",
            "username": None if at % 4 == 3 else f"person{at}",
            "password_hash": f"$2b$10${self._random.getrandbits(128):032x}",
            "is_active": at % 5 != 0,
            "email_verified": at % 3 == 0,
            "created_at": self._time(at),
            "updated_at": self._time(at),
            "last_login_at": None if at % 6 == 0 else self._time(at + 3),
        }

    def profile(self, at: int) -> Row:
        return {
            "user_id": f"user-{at}",
            "first_name": self._random.choice(["Ada", "Łukasz", ""]),
            "last_name": self._random.choice(["Lovelace", "O'Brien"]),
            "avatar": None if at % 2 else f"https://example.org/{at}.png",
            "timezone": "Europe/Berlin",
            "preferences": self._json(at),
            "settings": self._json(at + 5),
            "created_at": self._time(at),
            "updated_at": self._time(at),
        }

    def session(self, at: int) -> Row:
        made = self._when(20) - dt.timedelta(days=100 * (at % 9 == 8))
        return {
            "session_id": f"session-{at:05}",
            "user_id": f"user-{at % 11}",
            "data": self._json(at),
            "expires_at": iso(made + dt.timedelta(days=25)),
            "created_at": iso(made),
        }

    def bad_rows(self, good: dict[str, list[Row]]) -> Iterator[Bad]:
        """One of every kind. Those about unique values need a user with a name first."""
        yield from self._bad_places()
        for name, change, reason in (
            ("infinity", {"lat": float("inf")}, "location has Infinity, which DynamoDB's numbers"
             " have not"),
            ("word", {"lng": "north"}, "location has a lng that is not a number"),
            ("no type", {"type": None}, "type is missing"),
            ("no date", {"ts": None}, "ts is missing"),
            ("blob", {"provider": b"\x00\x01"}, "metadata has a provider that is not text"),
        ):  # fmt: skip
            number = 900_000_000 + sum(map(ord, name))
            yield Bad("history", self.history(number) | change, reason, str(number))
        named = next((row for row in good["users"] if row["username"]), None)
        for name, change, reason in (
            ("no-email", {"email": None}, "email is missing"),
            ("maybe", {"is_active": "maybe"}, "is_active is not true or false"),
            *(
                (
                    ("same-email", {"email": named["email"].swapcase(), "username": None},
                     "email belongs to another user (case apart)"),
                    ("same-name", {"username": named["username"]},
                     "username belongs to another user"),
                )
                if named
                else ()
            ),
        ):  # fmt: skip
            row = self.user(0) | {"id": name, "email": f"{name}@x.org", "username": name}
            yield Bad("users", row | change, reason, name)
        for name, change, reason in (
            ("no-zone", {"timezone": None}, "timezone is missing"),
            ("bad-json", {"preferences": "{'a': 1}"}, "preferences is not JSON"),
        ):
            yield Bad("user_profiles", self.profile(0) | {"user_id": name} | change, reason, name)
        for name, change, reason in (
            ("endless", {"expires_at": None}, "expires_at is missing"),
            ("scalar", {"data": '"text"'}, "data is not a JSON object or list"),
            ("no-user", {"user_id": ""}, "user_id is empty, which a key may not be"),
        ):
            row = self.session(0) | {"session_id": name} | change
            yield Bad("user_sessions", row, reason, kept_id(name))

    def _bad_places(self) -> Iterator[Bad]:
        digits = "1234567890" * 4
        for name, change, reason in (
            ("json", {"location": '{"lat": 1,'}, "location is not JSON"),
            ("date", {"timestamp": "yesterday"}, "timestamp is not a date"),
            ("february", {"timestamp": "2026-02-31T10:00:00Z"}, "timestamp is not a date"),
            ("zone", {"created_at": "2026-02-03T10:00:00"},
             "created_at is a date without a time zone"),
            ("owner", {"user_id": None}, "user_id is missing"),
            ("null", {"activity": None}, "activity is missing"),
            ("big", {"metadata": json.dumps({"text": "x" * 420_000})}, "item is over 400 KB"),
            ("digits", {"metadata": f'{{"n": {digits}}}'},
             "metadata has a number beyond 38 digits"),
            ("places", {"metadata": f'{{"n": 0.{digits}1}}'},
             "metadata has a number beyond 38 digits"),
            ("range", {"metadata": '{"n": 1e400}'},
             "metadata has 1E+400, out of the range of DynamoDB's numbers (1E-130 to 1E+126)"),
            ("nan", {"metadata": '{"n": NaN}'}, "metadata is not JSON: it has NaN"),
            ("surrogate", {"metadata": '{"t": "\\ud83d"}'},
             "metadata has a lone surrogate, which is not Unicode text"),
            ("latin", {"activity": Undecodable(NOT_UTF8)},
             "activity is not UTF-8 text (a lone surrogate, or another encoding)"),
            ("blob", {"activity": b"\x89PNG"}, "activity is bytes, not text"),
            ("empty", {"user_id": ""}, "user_id is empty, which a key may not be"),
            ("hash", {"user_id": LONG_HASH_KEY}, "user_id is over 2048 bytes, too long for a key"),
            ("scalar", {"location": "42"}, "location is not a JSON object or list"),
            ("deep", {"metadata": '{"a":' * 40 + "1" + "}" * 40},
             "metadata is nested deeper than 31 levels"),
        ):  # fmt: skip
            row = self.place(1) | {"id": f"bad-{name}"} | change
            yield Bad("location_history", row, reason, row["id"])
        row = self.place(1) | {"id": LONG_RANGE_KEY}
        reason = "id is over 1024 bytes, too long for a key"
        yield Bad("location_history", row, reason, LONG_RANGE_KEY[:1000])
        yield Bad("location_history", self.place(1) | {"id": None}, "id is missing")
        row = self.place(1) | {"id": "history_1", "user_id": "unknown"}
        yield Bad("location_history", row, "key belongs to a row of history", "history_1")
