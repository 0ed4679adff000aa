"""What is secret or personal, by its name or by its look, taken out of whatever leaves the process:
logs, Sentry, messages. It never raises and never lets a value through because it is nested deep.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models

from dbcore.schema import storage_models

MASK = "***"
MAX_DEPTH = 8
_MIN_SECRET = 4  # characters: to mask a shorter one would mask half of any text
# Settings whose values must never be seen in a text, whatever error quotes them.
SECRET_SETTINGS = (
    "SECRET_KEY",
    "ALERT_SLACK_WEBHOOK",
    "ALERT_PAGERDUTY_KEY",
    "EMAIL_HOST_PASSWORD",
    "METRICS_TOKEN",
    "SENTRY_DSN",
)
# A field whose name has one of these in it is secret or personal, whatever its value; names are
# compared in lower case, without what is neither letter nor digit.
DENIED_PARTS = (
    "password", "passwd", "secret", "token", "apikey", "privatekey", "credential", "authorization",
    "cookie", "csrf", "signature", "session", "email", "ipaddress", "remoteaddr", "forwarded",
    "realip", "useragent", "username", "firstname", "lastname", "fullname", "phone", "latitude",
    "longitude", "dsn",
)  # fmt: skip
# And one that is called so.
DENIED_NAMES = (
    "auth", "ip", "user", "lat", "lon", "lng", "address", "title", "description", "avatar", "key",
    "keys", "item", "items", "row", "record", "records", "values", "params", "parameters", "body",
    "payload", "query", "querystring", "headers", "locals", "env", "argv",
)  # fmt: skip
# Ids of work, not of people: in a field called so an id may be seen.
WORK_IDS = frozenset({
    "requestid", "runid", "traceid", "spanid", "eventid", "sweepid", "process", "archive",
    "erasure", "act", "incident",
})  # fmt: skip

# How much each may look ahead is bounded: a text of a megabyte must not take a second.
_SECRET_LOOKS = (
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{MASK}@"),  # the account in a URL
    # Its password may have a slash in it.
    (re.compile(r"(?<=://)[^\s/@:]{0,64}:[^\s@?]{1,200}@"), f"{MASK}@"),
    (re.compile(r"(https?://hooks\.slack(?:-gov)?\.com)/\S*"), rf"\1/{MASK}"),
    (re.compile(r"\?[^\s?]*=\S*"), f"?{MASK}"),  # a query, with its tokens
    (re.compile(r"\b([Bb]earer|Basic)\s+[A-Za-z0-9+/._~=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|signature|api[_-]?key)(\s*[=:]\s*)\S+"),
     rf"\1\2{MASK}"),
    (re.compile(r"[\w.+'-]{1,64}@(?:[\w-]+(?:\.[\w-]+)+|localhost\b)"), f"{MASK}@{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),
)  # fmt: skip
_ID_LOOKS = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), MASK),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), MASK),  # a JSON web token
    # Keys, tokens, digests; names in code have no digit in them.
    (re.compile(r"(?<![\w+=-])(?=[\w+=-]*\d)[\w+=-]{32,}"), MASK),
    # What PostgreSQL says of a value that is taken: Key (email)=(ana@example.org) already exists.
    (re.compile(r"(\([\w, \"():]{1,200}\))=\(.*\)"), rf"\1=({MASK})"),
    (re.compile(r"(?i)(failing row contains )\(.*\)"), rf"\1({MASK})"),
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f.]{0,4}:)[0-9A-Fa-f:.]{1,44}[0-9A-Fa-f](?![\w:])"
)
_PASSWORD = re.compile(r"://[^\s/@:]*:(\S+)@")  # of a URL in the settings
_NO_NAME = re.compile(r"[^a-z0-9]")


def scrub_text(text: str) -> str:
    """The text without secrets, e-mails, addresses of machines elsewhere, ids and tokens."""
    text = mask_secrets(text)
    for pattern, mask in _ID_LOOKS:
        text = pattern.sub(mask, text)
    text = _record_keys().sub(rf"\1{MASK}", text)
    return _IPV6.sub(_masked_address, _IPV4.sub(_masked_address, text))


def mask_secrets(text: str) -> str:
    """The text without secrets and e-mails; ids and addresses of machines stay."""
    for secret in _secrets():
        text = text.replace(secret, MASK)
    for pattern, mask in _SECRET_LOOKS:
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
    return mask_secrets(text) if _plain(name) in WORK_IDS else scrub_text(text)


@functools.lru_cache(maxsize=1000)
def _is_denied(name: str, with_models: bool) -> bool:
    plain = _plain(name)
    if plain in WORK_IDS:
        return False
    if plain in DENIED_NAMES or any(part in plain for part in DENIED_PARTS):
        return True
    return with_models and plain in personal_fields()


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
    return frozenset(map(_plain, names))


@functools.lru_cache(maxsize=1000)
def _plain(name: str) -> str:
    return _NO_NAME.sub("", name.lower())


def _record_keys() -> re.Pattern[str]:
    return _keys_after_tables(apps.models_ready)


@functools.lru_cache(maxsize=2)
def _keys_after_tables(with_models: bool) -> re.Pattern[str]:
    """A record's key as errors name it: "users/u-1", "plans u-1/p-1"."""
    names = {model.storage.name for model in storage_models()} if with_models else set()  # type: ignore[attr-defined]
    tables = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)"
    return re.compile(rf"(\b(?:{tables})(?:/| (?=\S*[/#@\d])(?![\d,.]+(?:\s|$))))[^\s:;,]+")


def _masked_address(match: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return match.group()
    return match.group() if address.is_loopback or address.is_unspecified else MASK


def _secrets() -> Iterator[str]:
    if not settings.configured:
        return  # gunicorn's own process, which has none
    given = [getattr(settings, name, "") for name in SECRET_SETTINGS]
    given += [each.get("PASSWORD") for each in getattr(settings, "DATABASES", {}).values()]
    for cache in getattr(settings, "CACHES", {}).values():
        places = cache.get("LOCATION", "")
        for place in [places] if isinstance(places, str) else places:
            given += _PASSWORD.findall(str(place))
        given.append((cache.get("OPTIONS") or {}).get("PASSWORD"))
    keys = getattr(settings, "ARCHIVE_ENCRYPTION_KEYS", {}).values()
    given += [base64.b64encode(key).decode() for key in keys]
    yield from (each for each in given if isinstance(each, str) and len(each) >= _MIN_SECRET)
