"""What is given out once and lets in whoever bears it: ids of sessions, texts of API keys. They
are known by their beginnings, and wherever one would be written down its hash stands instead.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from daylight.models import AuthSession, UserSession
from daylight.services.base import check_id
from dbcore.attributes import MAX_NESTING
from dbcore.bearers import hash_of, looks_hashed
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store

# By which a leaked one is found in a repository or a log.
KEY, SESSION = "dl_", "ds_"
BYTES = 32  # 256 bits: no salt and no slow hash is needed against guessing
MAX_LENGTH = 4096  # characters: a header has hardly room for more
# Not the end of a word of code, such as records_…, which has no capital behind it: 43 random
# characters do. What was escaped or encoded before one may end with a letter, as \n and %3d do.
# Whatever else stands at it goes with it.
_OURS = re.compile(
    rf"(?:{KEY}|{SESSION})(?:(?<![a-z]...)|(?=[a-z0-9_-]{{0,42}}[A-Z]))[A-Za-z0-9_-]{{43,}}",
    re.ASCII,
)
_NO_LETTER = re.compile(r"[^a-z]")


class _TooDeep(Exception):
    """No store keeps a value that is nested so deep."""


def new_bearer(beginning: str) -> str:
    """A new secret, 46 characters long."""
    return beginning + secrets.token_urlsafe(BYTES)


def session_hash(session_id: Any) -> str:
    """What a session is kept under whose id this is; InvalidRecord for what nobody could bear. Ids
    of earlier times may have any form."""
    return hash_of(check_id("session_id", session_id, MAX_LENGTH))


def reference_to(session: Any) -> str:
    """What other records say of a session, which is what it is kept under.

    `session`: its record, or its id as its device bears it. A text in the form of a hash, such as a
    record has for an id, is taken for one, unless it lets somebody in: the store is asked, since
    ids of earlier times may have that form. InvalidRecord, StoreUnavailable.
    """
    if isinstance(session, (UserSession, AuthSession)):
        return str(session.pk)
    hashed = session_hash(session)
    return str(session) if looks_hashed(session) and not _is_kept(hashed) else hashed


def without_bearers(value: Any) -> Any:
    """Text, or JSON, in which every secret that was made here is replaced by its hash; of JSON also
    what is called session_id, whatever its form, unless it is that of a hash.

    What no store would keep comes back as it is, to be refused there.
    """
    try:
        return _replaced(value, MAX_NESTING + 1)
    except _TooDeep:
        return value


def fields_without_bearers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields as they may be kept: `session_id` is what other records say of a session,
    and nothing else in them lets anybody in. InvalidRecord, StoreUnavailable."""
    return {
        name: reference_to(value)
        if name == "session_id" and value is not None
        else without_bearers(value)
        for name, value in fields.items()
    }


def _replaced(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        if KEY not in value and SESSION not in value:
            return value
        return _OURS.sub(lambda found: hash_of(found[0]), value)
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        raise _TooDeep
    if isinstance(value, list):
        return [_replaced(each, depth - 1) for each in value]
    return {
        _replaced(name, depth): _replaced_member(name, each, depth - 1)
        for name, each in value.items()
    }


def _replaced_member(name: Any, value: Any, depth: int) -> Any:
    is_id = isinstance(name, str) and _NO_LETTER.sub("", name.lower()) == "sessionid"
    if is_id and isinstance(value, str) and value:
        return value if looks_hashed(value) else hash_of(value)
    return _replaced(value, depth)


def _is_kept(hashed: str) -> bool:
    """Whether there is a session of this hash."""
    store = primary_store(cached=False)
    return any(
        store.get(model, {layout_of(model).table.hash_key: hashed}) is not None
        for model in (UserSession, AuthSession)
    )
