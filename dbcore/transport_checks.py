"""System checks of transport: whatever Django's settings name outside of this machine is spoken to
encrypted. They judge what is in force, however a project sets it; none may raise or quote a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.cache.backends import db, dummy, filebased, locmem, memcached, redis
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.mail.backends import smtp
from django.utils.module_loading import import_string

from dbcore import aws
from dbcore.addresses import (
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
CACHES_HERE = (
    locmem.LocMemCache, dummy.DummyCache, filebased.FileBasedCache, db.DatabaseCache,
)  # fmt: skip
S3 = "dbcore.retention.archives.s3.S3Archives"
Finding = tuple[str, str]  # number, message


@register("dbcore", Tags.security)
def check_transport(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What would go over a network in the clear."""
    return [error for number, judge in _JUDGES.items() for error in _errors(number, judge)]


@register("dbcore", Tags.security, deploy=True)
def check_environment(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Endpoints of AWS that its own variables and config file name: no request is signed for one in
    the clear, and here that is seen before."""
    return _errors("E017", _aws_of_the_environment)


def _errors(number: str, judge: Callable[[], Iterator[Finding]]) -> list[CheckMessage]:
    found: list[Finding] = []
    try:
        found.extend(judge())
    except Exception as error:  # of a setting that has another shape
        found.append((number, _unread(error)))
    return [Error(said, hint=HINTS[id_], id=f"dbcore.{id_}") for id_, said in found]


def _unread(error: Exception) -> str:
    return f"a setting cannot be read ({type(error).__name__})."


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
        yield number, _unread(error)


def _replicas() -> Iterator[Finding]:
    for text in getattr(settings, "DYNAMODB_REPLICA_REGIONS", ()):
        region, _, url = str(text).partition("=")
        if url:
            what = f"DYNAMODB_REPLICA_REGIONS {region.strip()}"
            yield from _said("E016", partial(parse_endpoint, url.strip(), what))


def _aws() -> Iterator[Finding]:
    storage = _archives()
    named = {name: _named(name) for name in ("ALERT_SNS_ENDPOINT", "DB_CLOUDWATCH_ENDPOINT")}
    named["ARCHIVE_S3_ENDPOINT"] = str(storage.get("endpoint_url") or "")
    for name, url in named.items():
        if url:
            yield from _said("E017", partial(parse_endpoint, url, name))
    if storage.get("verify") is False or not storage.get("use_ssl", True):
        yield "E017", "STORAGES['archives']: verify and use_ssl may not be False."


def _archives() -> dict[str, Any]:
    """The options of the archives, with what django-storages takes from Django's settings."""
    names = {"endpoint_url": "AWS_S3_ENDPOINT_URL", "verify": "AWS_S3_VERIFY",
             "use_ssl": "AWS_S3_USE_SSL"}  # fmt: skip
    more = {
        name: getattr(settings, each) for name, each in names.items() if hasattr(settings, each)
    }
    storage = getattr(settings, "STORAGES", {}).get("archives", {})
    return {**more, **storage.get("OPTIONS", {})} if storage.get("BACKEND") == S3 else {}


def _aws_of_the_environment() -> Iterator[Finding]:
    used = {
        "dynamodb": getattr(settings, "DYNAMODB_ENDPOINT", "local") == "",
        "sns": bool(_named("ALERT_SNS_TOPIC") and not _named("ALERT_SNS_ENDPOINT")),
        "cloudwatch": bool(
            getattr(settings, "DB_CLOUDWATCH_INTEGRATION", False)
            and not _named("DB_CLOUDWATCH_ENDPOINT")
        ),
        "s3": bool((storage := _archives()) and not storage.get("endpoint_url")),
    }
    used["sts"] = any(used.values())  # it gives the credentials of a role
    region = _named("DYNAMODB_REGION") or "us-east-1"
    for service in (each for each, is_used in used.items() if is_used):
        what = f"the endpoint of {service}"
        yield from _said("E017", partial(aws.endpoint_of, service, region, "", what))


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
    what, path = f"CACHES[{alias!r}]", str(cache.get("BACKEND", ""))
    backend, given = import_string(path), cache.get("LOCATION", "")
    if issubclass(backend, CACHES_HERE):
        return
    options = cache.get("OPTIONS", {})
    options = {**options, **options.get("CONNECTION_POOL_KWARGS", {})}  # of django-redis
    texts = given if isinstance(given, list | tuple) else str(given).replace(";", ",").split(",")
    for location in texts:
        if issubclass(backend, memcached.BaseMemcachedCache):
            parse_memcached(str(location), what)
        elif issubclass(backend, redis.RedisCache) or re.search("redis|valkey", path.lower()):
            parse_redis(str(location), what, options)
        elif location and not str(location).startswith("/"):
            raise ConfigurationError(f"{what}: it is not known here how {path} speaks")


def _databases() -> Iterator[Finding]:
    for alias, database in settings.DATABASES.items():
        yield from _said("E020", partial(_database, alias, database))


def _database(alias: str, given: Mapping[str, Any]) -> None:
    what, host = f"DATABASES[{alias!r}]", str(given.get("HOST") or "")
    if given.get("ENGINE") not in POSTGRESQL:
        if host and not (host.startswith("/") or is_loopback(host)):
            raise ConfigurationError(
                f"{what} for {host!r}: it is not known here how {given.get('ENGINE')} encrypts"
            )
        return
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
        if not (found.here or found.in_the_clear or found.mode == "verify-full"):
            yield alias, found.mode


def _mail() -> Iterator[Finding]:
    secure, host = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL, settings.EMAIL_HOST
    if not host or secure or is_loopback(host):
        return
    if issubclass(import_string(settings.EMAIL_BACKEND), smtp.EmailBackend):
        yield "E021", f"Mails go to {host!r} in plain text."


_JUDGES: dict[str, Callable[[], Iterator[Finding]]] = {
    "E016": _replicas,
    "E017": _aws,
    "E018": _hooks,
    "E019": _caches,
    "E020": _databases,
    "E021": _mail,
}
