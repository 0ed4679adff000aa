"""What is secret or personal, by its name or by its look, taken out of whatever leaves the process:
logs, Sentry, messages. It never raises and never lets a value through because it is nested deep.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.conf import settings
from django.db import models

from dbcore.configuration import DBCORE
from dbcore.schema import storage_models
from dbcore.secrecy import MASK, Bare, is_secret_name, mask_text, plain_name

MAX_DEPTH = 8
_MIN_SECRET = 4  # characters: to mask a shorter one would mask half of any text
_MIN_AWS = 16  # of a secret of AWS, whose are 40 characters and more
# Settings whose values must never be seen in a text, whatever error quotes them; and what AWS's
# own libraries read.
SECRET_SETTINGS = (
    *(each.name for each in DBCORE.variables if each.secret),
    "SECRET_KEY", "SECRET_KEY_FALLBACKS", "EMAIL_HOST_PASSWORD",
)  # fmt: skip
_OF_AWS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# A field whose name has one of these in it is personal, whatever its value, or secret beside what
# `is_secret_name` knows; names are compared as that compares them.
PERSONAL_PARTS = (
    "session", "email", "ipaddress", "remoteaddr", "forwarded", "realip", "useragent", "username",
    "firstname", "lastname", "fullname", "phone", "latitude", "longitude",
)  # fmt: skip
# And one that is called so, also where a text names it.
PERSONAL_NAMES = frozenset({"ip", "lat", "lon", "lng", "userid"})
# And, where it is a field, what holds anything.
DENIED_NAMES = PERSONAL_NAMES | {
    "user", "address", "title", "description", "avatar", "key", "keys", "item", "items", "row",
    "record", "records", "values", "params", "parameters", "body", "payload", "query",
    "querystring", "headers", "locals", "env", "argv",
}  # fmt: skip
# Ids of work, not of people: in a field called so an id may be seen.
WORK_IDS = frozenset({
    "requestid", "runid", "traceid", "spanid", "eventid", "sweepid", "process", "archive",
    "erasure", "act", "incident",
})  # fmt: skip

_PERSONAL_LOOKS = (
    (re.compile(r"\?[^\s?]*=[^\s\"'`<>]*"), f"?{MASK}"),  # a query: who asked, and for what
    (re.compile(r"[\w.+'-]{1,64}(?:@|%40)(?:[\w-]+(?:\.[\w-]+)+|localhost\b)"), f"{MASK}@{MASK}"),
)
_ID_LOOKS = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), MASK),
    # Keys, tokens, digests; names in code have no digit in them.
    (re.compile(r"(?<![\w+=-])(?=[\w+=-]*\d)[\w+=-]{32,}"), MASK),
    # Where somebody is: two numbers of a degree, to ten metres.
    (
        re.compile(r"(?<![\w.])-?\d{1,2}\.\d{4,},\s{0,4}-?\d{1,3}\.\d{4,}(?![\w.])"),
        f"{MASK},{MASK}",
    ),
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f.]{0,4}:)[0-9A-Fa-f:.]{1,44}[0-9A-Fa-f](?![\w:])"
)
_PASSWORD = re.compile(r"://[^\s/@:]*:(\S+)@")  # of a URL in the settings


def scrub_text(text: str) -> str:
    """The text without secrets, e-mails, addresses of machines elsewhere, ids and tokens."""
    text = _masked(text, Bare.ALWAYS, _is_denied_in_text)
    for pattern, mask in _ID_LOOKS:
        text = pattern.sub(mask, text)
    text = _record_keys().sub(rf"\1{MASK}", text)
    return _IPV6.sub(_masked_address, _IPV4.sub(_masked_address, text))


def mask_secrets(text: str, bare: Bare = Bare.ALWAYS) -> str:
    """The text without secrets and e-mails; ids and addresses of machines stay."""
    return _masked(text, bare, _is_secret_in_text)


def _masked(text: str, bare: Bare, is_secret: Callable[[str], bool]) -> str:
    text = mask_text(text, bare=bare, is_secret=is_secret, known=_secrets())
    for pattern, mask in _PERSONAL_LOOKS:
        text = pattern.sub(mask, text)
    return text


def scrub(value: Any, name: str = "") -> Any:
    """The value, without what is secret or personal; mappings and lists with all that is in them.

    `name` is that of the field which holds it. What is neither text, number, mapping nor list is
    told by its text.
    """
    return _scrubbed(value, name, MAX_DEPTH)


def is_denied(name: str) -> bool:
    """Whether a field called so is secret or personal, whatever its value."""
    return _is_denied(name, apps.models_ready)


def _scrubbed(value: Any, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name and is_denied(name):
        return MASK
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth == 0:
            return MASK
        if isinstance(value, Mapping):
            return {
                scrub_text(str(key)): _scrubbed(each, str(key), depth - 1)
                for key, each in value.items()
            }
        return [_scrubbed(each, name, depth - 1) for each in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return MASK
    try:
        text = str(value)
    except Exception:
        return MASK
    return mask_secrets(text) if plain_name(name) in WORK_IDS else scrub_text(text)


@functools.lru_cache(maxsize=1000)
def _is_denied(name: str, with_models: bool) -> bool:
    plain = plain_name(name)
    if plain in WORK_IDS:
        return False
    if plain in DENIED_NAMES or is_secret_name(name) or _has_personal_part(plain):
        return True
    return with_models and plain in personal_fields()


def _is_denied_in_text(name: str) -> bool:
    """Whether a sentence or a document hides what it says behind this name."""
    plain = plain_name(name)
    is_personal = plain in PERSONAL_NAMES or _has_personal_part(plain)
    return _is_secret_in_text(name) or (is_personal and not _is_table(name))


def _is_secret_in_text(name: str) -> bool:
    return is_secret_name(name) and not _is_table(name)


def _has_personal_part(plain: str) -> bool:
    return any(part in plain for part in PERSONAL_PARTS)


def _is_table(name: str) -> bool:
    """Whether it is one of the tables: what is said of api_keys is no API key."""
    return name.lower() in _table_names(apps.models_ready)


@functools.lru_cache(maxsize=2)
def _table_names(with_models: bool) -> frozenset[str]:
    found = storage_models() if with_models else []
    return frozenset(model.storage.name for model in found)  # type: ignore[attr-defined]


@functools.cache
def personal_fields() -> frozenset[str]:
    """The names of fields that hold personal data, as `is_denied` compares them: what the tables
    declare as the owner, personal or secret, and what people fill in freely."""
    names: set[str] = set()
    for model in storage_models():
        table = model.storage  # type: ignore[attr-defined]
        names.update(table.personal, table.secret, filter(None, [table.owner]))
        if table.owner:
            free = (models.JSONField, models.EmailField, models.GenericIPAddressField)
            fields = model._meta.local_concrete_fields
            names.update(field.name for field in fields if isinstance(field, free))
    return frozenset(map(plain_name, names))


def _record_keys() -> re.Pattern[str]:
    return _keys_after_tables(apps.models_ready)


@functools.lru_cache(maxsize=2)
def _keys_after_tables(with_models: bool) -> re.Pattern[str]:
    """A record's key as errors name it: "users/u-1", "plans u-1/p-1"."""
    names = sorted(_table_names(with_models), key=len, reverse=True)
    tables = "|".join(map(re.escape, names)) or r"(?!)"
    return re.compile(rf"(\b(?:{tables})(?:/| (?=\S*[/#@\d])(?![\d,.]+(?:\s|$))))[^\s:;,]+")


def _masked_address(match: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return match.group()
    return match.group() if address.is_loopback or address.is_unspecified else MASK


def _secrets() -> Iterator[str]:
    """The secrets of the settings, as they are and as a URL has them."""
    if not settings.configured:
        return  # gunicorn's own process, which has none
    given: list[Any] = [getattr(settings, name, "") for name in SECRET_SETTINGS]
    texts = getattr(getattr(settings, "DBCORE_CONFIGURATION", None), "texts", {})
    # Not a short one: that is a local engine's, and a word of sentences.
    given += [found for name in _OF_AWS if len(found := texts.get(name, "")) >= _MIN_AWS]
    given += [each.get("PASSWORD") for each in getattr(settings, "DATABASES", {}).values()]
    for cache in getattr(settings, "CACHES", {}).values():
        places = cache.get("LOCATION", "")
        for place in [places] if isinstance(places, str) else places:
            given += _PASSWORD.findall(str(place))
        given.append((cache.get("OPTIONS") or {}).get("PASSWORD"))
    for each in _texts(given):
        if len(each) >= _MIN_SECRET:
            yield each
            if (quoted := quote(each, safe="")) != each:
                yield quoted


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts in settings, also of lists and mappings; keys as they are given in variables."""
    for each in values:
        if isinstance(each, str):
            yield each
        elif isinstance(each, bytes):
            yield base64.b64encode(each).decode()
        elif isinstance(each, Mapping):
            yield from _texts(each.values())
        elif isinstance(each, Iterable):
            yield from _texts(each)
