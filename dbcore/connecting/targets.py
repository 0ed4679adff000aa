"""Which targets there are, by the settings. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import BotoCoreError
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from dbcore.addresses import parse_endpoint
from dbcore.connecting import aws, cache, hooks, mail, sql
from dbcore.connecting.found import Found
from dbcore.errors import ConfigurationError
from dbcore.items import layout_of
from dbcore.monitoring.health.dynamodb import is_used
from dbcore.schema import create_table_request, storage_models
from dbcore.stores.dynamo.replicas import Replica, configured_replicas
from dbcore.wire import get_wire

S3 = "dbcore.retention.archives.s3.S3Archives"


@dataclass(frozen=True, slots=True)
class Target:
    """Something to be asked. `missing`: what is not set, so that it cannot be asked. `unused`: why
    it is not asked but by its name."""

    name: str
    ask: Callable[[Found], None]
    missing: str = ""
    unused: str = ""

    @property
    def family(self) -> str:
        """What it may be asked for by, with others of its kind."""
        return self.name.partition(":")[0]


def targets() -> Iterator[Target]:
    """All of them, in the order in which people are told."""
    account = aws.Account()
    yield from _identity(account)
    yield from _dynamodb()
    yield Target("s3", partial(aws.s3, account=account), missing=_no_bucket())
    yield Target("sns", partial(aws.sns, account=account), missing=_empty("ALERT_SNS_TOPIC"))
    unused = "" if settings.DB_CLOUDWATCH_INTEGRATION else "DB_CLOUDWATCH_INTEGRATION is false"
    yield Target("cloudwatch", partial(aws.cloudwatch, account=account), unused=unused)
    yield Target("sql", partial(sql.database, alias=DEFAULT_DB_ALIAS, setting="DATABASE_URL"))
    for alias in settings.DATABASE_REPLICAS:
        ask = partial(sql.database, alias=alias, setting="DATABASE_REPLICA_URLS")
        yield Target(f"sql:{alias}", ask)
    yield from _caches()
    no_mail = "" if settings.EMAIL_BACKEND == mail.BACKEND else "EMAIL_URL names no mail server"
    yield Target("mail", mail.mail, missing=no_mail)
    yield from _hooks()


def _empty(*names: str) -> str:
    """Which of these settings is empty; "" where none is."""
    return next((f"{name} is empty" for name in names if not getattr(settings, name)), "")


def _identity(account: aws.Account) -> Iterator[Target]:
    unused = "" if _asks_aws() else "nothing in use asks AWS"
    yield Target("credentials", partial(aws.credentials, account=account), unused=unused)
    yield Target("sts", partial(aws.sts, account=account), unused=unused)


def _asks_aws() -> bool:
    """Whether anything that is in use looks for credentials where botocore does."""
    if settings.ALERT_SNS_TOPIC or settings.DB_CLOUDWATCH_INTEGRATION:
        return True
    if not _no_bucket():
        endpoint = settings.STORAGES["archives"]["OPTIONS"].get("endpoint_url") or ""
        if not _is_here(endpoint):
            return True
    return is_used() and not _is_here(settings.DYNAMODB_ENDPOINT)


def _is_here(endpoint: str) -> bool:
    """Whether it is on this machine. Of what is no endpoint its own target tells."""
    try:
        return endpoint == "local" or (endpoint != "" and parse_endpoint(endpoint).loopback)
    except ConfigurationError:
        return False


def _no_bucket() -> str:
    archives = settings.STORAGES["archives"]
    if archives["BACKEND"] == S3:
        return ""
    return "ARCHIVE_S3_BUCKET is empty: archives are files on this machine"


def _dynamodb() -> Iterator[Target]:
    unused = "" if is_used() else f"DATABASE_PRIMARY is {settings.DATABASE_PRIMARY}"
    yield Target("dynamodb", partial(aws.dynamodb, get_wire=get_wire), unused=unused)
    try:
        replicas: Sequence[Replica] = configured_replicas()
    except (ConfigurationError, BotoCoreError) as error:
        yield Target("dynamodb:replicas", partial(_wrong, error=error), unused=unused)
        return
    for each in replicas:
        request = create_table_request(layout_of(storage_models()[0]))
        ask = partial(aws.replica, wire=each.wire, request=request)
        yield Target(f"dynamodb:{each.wire.region}", ask, unused=unused)


def _wrong(found: Found, error: Exception) -> None:
    found.setting = "DYNAMODB_REPLICA_REGIONS"
    raise error


def _caches() -> Iterator[Target]:
    missing = ""
    if settings.CACHES["default"]["BACKEND"] in cache.IN_PROCESS:
        missing = "CACHE_URL is empty: each process has a cache of its own"
    for number, server in enumerate(cache.servers() or [""], 1):
        name = "cache" if number == 1 else f"cache:{number}"
        yield Target(name, partial(cache.cache, server=server), missing=missing)


def _hooks() -> Iterator[Target]:
    slack = partial(hooks.hook, setting="ALERT_SLACK_WEBHOOK", channel="slack")
    yield Target("slack", slack, missing=_empty("ALERT_SLACK_WEBHOOK"))
    pagerduty = partial(hooks.hook, setting="ALERT_PAGERDUTY_URL", channel="pagerduty")
    missing = _empty("ALERT_PAGERDUTY_KEY", "ALERT_PAGERDUTY_URL")
    yield Target("pagerduty", pagerduty, missing=missing)
    yield Target("sentry", hooks.sentry, missing=_empty("SENTRY_DSN"))
