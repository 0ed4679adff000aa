"""What the differential test gives the services: mostly few values, so that records meet; at times
such as must be refused. Every strategy is one cheap draw from a list, or a few.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from hypothesis import strategies as st

from daylight.models import ApiUsage, AuditLog, AuthSession, Permission, Plan, Role, User
from daylight.models import UserProfile as Profile
from dbcore.attributes import MAX_NESTING
from dbcore.items import layout_of
from tests.strategies import nested

Strategy = st.SearchStrategy[Any]

# Far ahead: no engine deletes by its own clock what is alive here. Just before a day's end.
BEGIN = dt.datetime(2090, 5, 6, 23, 59, 58, 500_000, tzinfo=dt.UTC)
TODAY = BEGIN.date()
SECOND = dt.timedelta(seconds=1)
INSTANT = dt.timedelta(microseconds=1)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Past:
    """What an earlier step gave: the `back`-th newest of its kind, `plus` so much."""

    kind: str
    back: int = 0
    plus: dt.timedelta | None = None


@dataclass(frozen=True)
class Big:
    """JSON that no store has room for; short where it is printed."""

    size: int = 500_000


@dataclass(frozen=True)
class Raised:
    """An exception that was raised with this text."""

    kind: type[Exception]
    text: str


class Whole(int, enum.Enum):
    """A whole number whose text is a name."""

    ONE = 1


class Kind(str, enum.Enum):  # noqa: UP042  (a StrEnum's text is its value)
    """A text whose text is a name."""

    A = "a"


class Nowhere(dt.tzinfo):
    """A time zone that does not know how far it is from UTC."""

    def utcoffset(self, when: dt.datetime | None) -> None:
        return None


class _Pool:
    """Gives one of many by its number. Hypothesis shows strategies: this one is short."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = list(values)

    def __call__(self, at: int) -> Any:
        return self.values[at]

    def __repr__(self) -> str:
        return "pool"


def one_of(values: Iterable[Any]) -> Strategy:
    """Each of them as often as it is there; shrinks to the first."""
    pool = _Pool(values)
    return st.sampled_from(range(len(pool.values))).map(pool)


MISSING = object()  # a field that is not given after all


def of(good: Iterable[Any], bad: Iterable[Any] = (), weight: int = 25) -> Strategy:
    """One of the good, at times one of the bad: about one in `weight`."""
    good, bad = list(good), list(bad)
    times = max(1, -(-weight * len(bad) // len(good))) if bad else 1
    return one_of(good * times + bad)


# --- Arguments ----------------------------------------------------------------------------------

BAD_IDS = ["", None, 5, "x" * 65, "x" * 300, "a\0b", "\ud800"]
USERS = ["u1"] * 14 + ["u2"] * 4 + ["U1", "ü/%", "x" * 64]
users = of(USERS, BAD_IDS)
own_ids = ["a", "B", "a/b", "\uffff", "😀", "é"]  # their order by code point is not UTF-16's

TIMES = [BEGIN + each for each in (dt.timedelta(0), -INSTANT, SECOND, DAY, -DAY, -30 * DAY)]
TIMES.append((BEGIN + 2 * SECOND).astimezone(dt.timezone(dt.timedelta(hours=-9))))
BAD_TIMES = [
    BEGIN.replace(tzinfo=Nowhere()),
    BEGIN.replace(tzinfo=None), "2090-01-01", 5, TODAY,
    dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))),
]  # fmt: skip
SEEN_TIMES = [
    Past("time", back, plus) for back in range(3) for plus in (dt.timedelta(0), INSTANT, -INSTANT)
]
EDGES = [dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)]
starts = of([*EDGES[:1] * 9, BEGIN - 9 * DAY, *TIMES, *SEEN_TIMES], [*BAD_TIMES, None])
ends = of([*EDGES[1:] * 9, BEGIN + 9 * DAY, *TIMES, *SEEN_TIMES], [*BAD_TIMES, None])
maybe_starts = of([None] * 12 + EDGES[:1] * 9 + TIMES + SEEN_TIMES, BAD_TIMES)
maybe_ends = of([None] * 20 + EDGES[1:] * 9 + TIMES + SEEN_TIMES, BAD_TIMES)
nows = of([None] * 12 + TIMES + SEEN_TIMES, BAD_TIMES)
days = of(
    [TODAY] * 4 + [TODAY + each * DAY for each in (1, -1, 30)], [None, BEGIN, "2090-05-06", 5]
)
limits = of([2, 1, 3, 1000], [0, -1, 1001, 1.0, True, None, "2"])
cursors = of(
    [None] * 8 + [Past("cursor", back) for back in range(4)],
    ["", "x", "a:b:c", 5, "\0", "\ud800"],
)
wholes = of([1, 30, 3660], [0, -1, 3661, 10**9, 1.5, True, None, "1"], weight=12)
minutes = of([1, 2, 60], [0, 10**7, 1.5, True, None], weight=12)
_in_time = [DAY, 31 * DAY, SECOND, 1.5 * SECOND, 60 * SECOND]
lives = of(  # a session's end, which may be given in two ways
    [
        *({"ttl": each} for each in _in_time * 5),
        *({"expires_at": each} for each in (*TIMES, *SEEN_TIMES, EDGES[1])),
    ],
    [
        *({"ttl": each} for each in (SECOND / 2, -DAY, dt.timedelta.max, 60)),
        *({"expires_at": each} for each in BAD_TIMES),
        {"ttl": DAY, "expires_at": BEGIN + DAY},
    ],
)
changed_lives = st.one_of(st.just({}), lives)


def ids_of(kind: str, own: Iterable[Any] = ()) -> Strategy:
    """Ids of records that were written, newest first; others; and what is none."""
    past = [Past(kind, back) for back in range(4)]
    return of([*past * 3, *own, "nothing"], BAD_IDS)


# --- Fields -------------------------------------------------------------------------------------

JSON = [
    {}, [], {"a": 1}, {"a": {"b": [None, True, -0.0, 0.1]}}, [1e22, 10**37, "ü😀"], {"": "%s"},
    {"n": [1e23, 12345678901234567168.0, -1e38, 1e100, 10**23]}, {Kind.A: [Kind.A, Whole.ONE]},
    nested(MAX_NESTING),
]  # fmt: skip
BAD_JSON = [
    "text", 5, None, (1, 2), {"x": float("nan")}, {1: 2}, {"x": Decimal(1)}, {"x": "\0"},
    ["\ud800"], {"x": {1}}, nested(MAX_NESTING + 1), [10**38], [1e-200], Big(),
]  # fmt: skip
objects = of([each for each in JSON if isinstance(each, dict)], [*BAD_JSON, []], weight=12)
jsons = of(JSON, BAD_JSON, weight=12)
maybe_objects = of([None, *(each for each in JSON if isinstance(each, dict))], BAD_JSON, weight=12)
maybe_json = of([None, *JSON], BAD_JSON, weight=12)
EMAILS = [
    "ana@example.org", "Ana@Example.ORG", "bea@example.org", "k@example.org",
    "\u212a@example.org", "a@MÜNCHEN.de", "a@münchen.de",
]  # fmt: skip
BAD_EMAILS = ["", "nobody", "a@b@c", None, 5, "x" * 250 + "@example.org", " a@example.org"]
NAMES = ["reader", "writer", "Reader", "straße", "STRASSE", "x" * 150]
name_lists = of([[], ["reader"], ["writer", "reader"], NAMES], [None, "reader", [5], [""]])

_NUMBERS = (
    [0, 1, 200, 32767, Whole.ONE], [-1, 32768, 2**63, 10**38, 10**400, True, "5", 1.5, None],
)  # fmt: skip
_FLOATS = (
    [0.5, 1, -0.0, 1e100, 10**15, Whole.ONE],
    [float("nan"), float("inf"), 1e-200, 10**400, 2**53 + 1, True, "5", None],
)
_VALUES: dict[type, tuple[list[Any], list[Any]]] = {
    models.BooleanField: ([True, False], [1, "true", None]),
    models.PositiveSmallIntegerField: _NUMBERS,
    models.PositiveBigIntegerField: _NUMBERS,
    models.FloatField: _FLOATS,
    models.DateTimeField: (TIMES, [*BAD_TIMES, None]),
    models.JSONField: (JSON, BAD_JSON),
    models.GenericIPAddressField: (
        ["10.0.0.1", "2001:DB8::1", "::ffff:10.0.0.1", None], ["1.2.3", "", 5, "::1%eth0"],
    ),
    models.EmailField: (EMAILS, BAD_EMAILS),
}  # fmt: skip
_TEXTS = ["a", "A", "ü😀", "%s'\"", " e\u0301 ", Kind.A]
_BAD_TEXTS: list[Any] = [None, 5, b"x", "a\0b", "\ud800", ""]


def _values(field: models.Field[Any, Any]) -> tuple[list[Any], list[Any]]:
    """What a field may have, and what is mostly refused."""
    if field.name == "name" or field.name == "username":
        return NAMES, [*_BAD_TEXTS, "x" * 151]
    if field.flatchoices:
        return [choice for choice, _ in field.flatchoices], ["lost", "", None, 5]
    if type(field) in _VALUES:
        return _VALUES[type(field)]
    longest = field.max_length
    if longest is None:
        return _TEXTS, _BAD_TEXTS
    return [*_TEXTS, "x" * longest], [*_BAD_TEXTS, "x" * (longest + 1)]


_STRANGE = [("nonsense", 1), ("", 1), (5, 1), ("key", "u1/a"), ("ttl", 5)]


def _pairs(model: type[models.Model], own: Mapping[str, Any]) -> Strategy:
    """One field and a value for it; at times a bad one, or no field of the model."""
    good, bad = [], list(_STRANGE)
    for column in layout_of(model).columns:
        valid, invalid = _values(column.field)
        # As often for each field, however many values it has.
        valid = own.get(column.name, valid)
        good += [(column.name, valid[at % len(valid)]) for at in range(12)]
        bad += [(column.name, value) for value in invalid]
    return of(good, bad)


def _no_mapping(chosen: Any) -> Any:
    return 5 if chosen == [("nonsense", 1)] else dict(chosen)


def updates(model: type[models.Model], own: Mapping[str, Any] | None = None) -> Strategy:
    """Changes of up to three fields."""
    return st.lists(_pairs(model, own or {}), max_size=3).map(_no_mapping)


def data(
    model: type[models.Model],
    needed: Mapping[str, Strategy],
    own: Mapping[str, Any] | None = None,
    nest: Callable[[dict[Any, Any]], dict[Any, Any]] = lambda found: found,
) -> Strategy:
    """A new record's fields: those needed, and up to three more, which may take their place."""

    def joined(parts: tuple[dict[str, Any], list[tuple[Any, Any]]]) -> dict[Any, Any]:
        found = {**parts[0], **dict(parts[1])}
        return nest({name: value for name, value in found.items() if value is not MISSING})

    more = st.lists(_pairs(model, own or {}), max_size=3)
    return st.tuples(st.fixed_dictionaries(dict(needed)), more).map(joined)


def _with_profile(found: dict[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in found.items() if not (name == "profile" and not value)}


_id = of([MISSING] * 6 + own_ids)
user_data = data(
    User,
    {
        "id": of([*USERS, MISSING], BAD_IDS),
        "email": of([*EMAILS, *EMAILS, *(f"e{at}@example.org" for at in range(6))], BAD_EMAILS),
        "password_hash": of(["h"], [MISSING]),
        "profile": st.one_of(st.just({}), st.just({}), updates(Profile)),
    },
    nest=_with_profile,
)
user_updates = updates(User)
profile_updates = updates(Profile)
plan_data = data(
    Plan, {"title": of(["Lake"], [MISSING]), "id": _id, "created_at": of([MISSING, *TIMES])}
)
plan_updates = updates(Plan)
audit_data = data(
    AuditLog,
    {
        "id": _id,
        "user_id": of([*USERS, None]),
        "timestamp": of([MISSING, MISSING, *TIMES]),
        **{name: of(["x"], [MISSING]) for name in ("event_type", "resource", "action")},
        "outcome": of(["success"], [MISSING]),
        "source": of(["x"], [MISSING]),
    },
)
auth_data = data(
    AuthSession, {"id": of([MISSING] * 19 + own_ids[:1]), "created_at": of([MISSING, *TIMES])}
)
role_data = data(
    Role,
    {
        "id": _id,
        "name": of(NAMES),
        "permissions": name_lists,
        "inherited_roles": name_lists,
    },
    own={"permissions": [["reader"], []], "inherited_roles": [["writer"], []]},
)
role_updates = updates(Role, {"permissions": [["reader"], []], "inherited_roles": [["writer"]]})
CONDITIONS = [{}, {"owner": True}, {"n": 1}]
permission_data = data(
    Permission,
    {"id": _id, "name": of(NAMES), "resource": of(["plans", "*"]), "action": of(["read", "*"])},
    own={"conditions": CONDITIONS},
)
permission_updates = updates(Permission, {"conditions": CONDITIONS, "resource": ["plans", "*"]})
usage_data = data(
    ApiUsage,
    {
        "id": _id,
        "endpoint": of(["/plans"], [MISSING]),
        "method": of(["GET"], [MISSING]),
        "status_code": of([200], [MISSING]),
        "response_time_ms": of([1.5, 2], [MISSING]),
        "timestamp": of([MISSING, MISSING, *TIMES]),
    },
)
