"""System checks of transport: whatever Django's settings name outside of this machine is spoken to
encrypted. They judge what is in force, however a project sets it; none may raise or quote a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from dbcore.addresses import (
    VERIFYING_MODES,
    is_loopback,
    parse_endpoint,
    parse_hook,
    parse_memcached,
    parse_redis,
    parse_sentry,
)
from dbcore.errors import ConfigurationError
from dbcore.postgresql import server_of

HINTS = {
    "E016": "Give each as REGION, or REGION=URL with an https URL, or http on this machine.",
    "E017": "Leave it empty for AWS, or name an https URL, or http on this machine.",
    "E018": "Use the https URL that the service gives.",
    "E019": "Use rediss:// with ssl_cert_reqs left alone, or a cache on this machine.",
    "E020": "Set sslmode=verify-full with sslrootcert, or sslmode=require.",
    "E021": "Use smtp+tls:// (EMAIL_USE_TLS) or smtp+ssl:// (EMAIL_USE_SSL).",
    "W002": "Set sslmode=verify-full, and sslrootcert to the file of the server's CA.",
}
POSTGRESQL = (
    "django.db.backends.postgresql",
    "django.contrib.gis.db.backends.postgis",
    "dbcore.postgresql",
)
SMTP = "django.core.mail.backends.smtp.EmailBackend"
Finding = tuple[str, str]  # number, message


@register("dbcore", Tags.security)
def check_transport(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What would go over a network in the clear."""
    return [
        Error(message, hint=HINTS[number], id=f"dbcore.{number}")
        for judge in _JUDGES
        for number, message in judge()
    ]


@register("dbcore", Tags.security, deploy=True)
def check_authenticated(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Databases that are encrypted, by whoever answers."""
    return [
        Warning(
            f"The database {alias!r} is encrypted (sslmode={mode}), but who answers for it is not "
            "proven.",
            hint=HINTS["W002"],
            id="dbcore.W002",
        )
        for alias, mode in _unproven()
    ]


def _named(name: str) -> str:
    return str(getattr(settings, name, "") or "")


def _said(number: str, judge: Callable[[], object]) -> Iterator[Finding]:
    """A finding where the judge refuses; what it cannot read is refused, too."""
    try:
        judge()
    except ConfigurationError as error:
        yield number, f"{error}."
    except Exception as error:
        yield number, f"a setting cannot be read ({type(error).__name__})."


def _replicas() -> Iterator[Finding]:
    for text in getattr(settings, "DYNAMODB_REPLICA_REGIONS", ()):
        region, _, url = str(text).partition("=")
        if url:
            what = f"DYNAMODB_REPLICA_REGIONS {region.strip()}"
            yield from _said("E016", partial(parse_endpoint, url.strip(), what))


def _aws() -> Iterator[Finding]:
    storage = getattr(settings, "STORAGES", {}).get("archives", {}).get("OPTIONS", {})
    named = {name: _named(name) for name in ("ALERT_SNS_ENDPOINT", "DB_CLOUDWATCH_ENDPOINT")}
    named["ARCHIVE_S3_ENDPOINT"] = str(storage.get("endpoint_url") or "")
    for name, url in named.items():
        if url:
            yield from _said("E017", partial(parse_endpoint, url, name))


def _hooks() -> Iterator[Finding]:
    for name in ("ALERT_SLACK_WEBHOOK", "ALERT_PAGERDUTY_URL"):
        if url := _named(name):
            yield from _said("E018", partial(parse_hook, url, name))
    if dsn := _named("SENTRY_DSN"):
        yield from _said("E018", partial(parse_sentry, dsn))


def _caches() -> Iterator[Finding]:
    for alias, cache in settings.CACHES.items():
        yield from _said("E019", partial(_cache, alias, cache))


def _cache(alias: str, cache: Mapping[str, Any]) -> None:
    backend, given = str(cache.get("BACKEND", "")), cache.get("LOCATION", "")
    texts = given if isinstance(given, list | tuple) else str(given).replace(";", ",").split(",")
    for location in texts:
        what = f"CACHES[{alias!r}]"
        if "redis" in backend.lower():
            parse_redis(str(location), what, cache.get("OPTIONS", {}))
        elif "memcached" in backend.lower():
            parse_memcached(str(location), what)


def _databases() -> Iterator[Finding]:
    for alias, database in settings.DATABASES.items():
        if database.get("ENGINE") in POSTGRESQL:
            yield from _said("E020", partial(_database, alias, database))


def _database(alias: str, given: Mapping[str, Any]) -> None:
    what = f"DATABASES[{alias!r}]"
    server = server_of(str(given.get("HOST", "")), given.get("OPTIONS") or {}, what)
    if server.in_the_clear:
        raise server.refusal(what)


def _unproven() -> Iterator[tuple[str, str]]:
    for alias, database in settings.DATABASES.items():
        if database.get("ENGINE") not in POSTGRESQL:
            continue
        try:
            found = server_of(str(database.get("HOST", "")), database.get("OPTIONS") or {}, alias)
        except ConfigurationError:
            continue  # an error of the other check
        if not (found.here or found.in_the_clear or found.mode in VERIFYING_MODES):
            yield alias, found.mode


def _mail() -> Iterator[Finding]:
    secure = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if settings.EMAIL_BACKEND == SMTP and not secure and not is_loopback(settings.EMAIL_HOST):
        yield "E021", f"Mails go to {settings.EMAIL_HOST!r} in plain text."


_JUDGES = (_replicas, _aws, _hooks, _caches, _databases, _mail)
