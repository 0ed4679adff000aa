"""The SQLite file that Daylight's Node backend kept, table by table. Its sessions have the ids
that devices bear; behind the source there are their hashes alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from daylight import models
from dbcore.errors import InvalidValue
from dbcore.migration.plan import Computed, Constant, LegacyTable
from dbcore.migration.readings import read_float, read_text

# Entries of `history` were made before there were accounts.
UNKNOWN_USER = "unknown"
_HISTORY_ID = re.compile(r"history_(.+)", re.DOTALL)
# As SQLite writes a row number. Any other text is one that a column of another kind may hold.
_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)


def _history_id(number: Any) -> str:
    if number is None:
        raise InvalidValue("is missing")
    return f"history_{read_text(number)}"


def _position(latitude: Any, longitude: Any) -> dict[str, Any]:
    return {"lat": _coordinate("lat", latitude), "lng": _coordinate("lng", longitude)}


def _coordinate(name: str, value: Any) -> float | None:
    try:
        return None if value is None else read_float(value)
    except InvalidValue as error:
        raise InvalidValue(f"has a {name} that {error}") from None


def _outcome(provider: Any, ok: Any, error: Any) -> dict[str, Any]:
    for name, value in (("provider", provider), ("ok", ok), ("error", error)):
        if not isinstance(value, (str, int, float, type(None))):
            raise InvalidValue(f"has a {name} that is not text")
    return {"provider": provider, "ok": ok, "error": error}


def _locate_history(key: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = _HISTORY_ID.fullmatch(key["id"])
    if key["user_id"] != UNKNOWN_USER or found is None:
        return None
    return {"id": int(found[1]) if _NUMBER.fullmatch(found[1]) else found[1]}


LEGACY_TABLES = (
    LegacyTable(
        "history",
        models.LocationHistory,
        fields={
            "user_id": Constant(UNKNOWN_USER),
            "id": Computed(("id",), _history_id),
            "location": Computed(("lat", "lng"), _position),
            "activity": "type",
            "timestamp": "ts",
            "metadata": Computed(("provider", "ok", "error"), _outcome),
            "created_at": "ts",
            "updated_at": "ts",
        },
        locate=_locate_history,
    ),
    LegacyTable("location_history", models.LocationHistory),
    LegacyTable("users", models.User),
    LegacyTable("user_profiles", models.UserProfile),
    LegacyTable("user_sessions", models.UserSession, hashed=frozenset({"session_id"})),
)
