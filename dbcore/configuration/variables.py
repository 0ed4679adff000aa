"""The variables of the layer itself: what any project needs that uses it. Each is a setting of
Django's of the same name.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator

from dbcore.addresses import is_loopback, parse_endpoint, parse_hook, parse_sentry
from dbcore.configuration.kinds import (
    Boolean,
    Choice,
    Integer,
    Json,
    ListOf,
    Number,
    Pairs,
    Parsed,
    Share,
    Text,
)
from dbcore.configuration.masks import host_alone, names_alone, without_account
from dbcore.configuration.reading import Configuration
from dbcore.configuration.registry import Registry, Variable, in_group
from dbcore.configuration.retired import RETIRED
from dbcore.errors import ConfigurationError
from dbcore.peers import UNIX

PUBLISHED_KEY = "development:ZGV2ZWxvcG1lbnQgb25seSwgbm90IGEgc2VjcmV0ISE="
PRODUCTION = ("production",)
DAY = 86_400
YEARS = 36_500  # days in a hundred years
REGION = Text(r"[a-z]{2,4}(-[a-z0-9]+)+-[0-9]{1,2}", "a region of AWS, such as eu-central-1")
TABLE_PREFIX = Text(r"[a-zA-Z0-9_.-]{1,100}", "1 to 100 of a-z A-Z 0-9 _ . -")
_PATH = Text(r"[^\x00-\x1f]+", "a path")
_KMS = Text(r"[a-zA-Z0-9:/_-]{1,2048}", "the id, ARN or alias/NAME of a KMS key")
_TOKEN = Text(r"[\x21-\x7e]{16,512}", "16 to 512 printable characters without blanks")
_ADDRESS = re.compile(r"[^\s@<>,;\x00-\x1f]{1,64}@[^\s@<>,;\x00-\x1f]{1,255}")
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _proxy(text: str) -> None:
    if text == UNIX:
        return
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


PROXY = Parsed(_proxy, "an address, a network, or unix")


def _endpoint(what: str) -> Parsed:
    return Parsed(
        lambda url: parse_endpoint(url, what),
        "an https URL without a path, or http on this machine",
    )


def _dynamodb(text: str) -> None:
    if text != "local":
        parse_endpoint(text)


def _replica(text: str) -> None:
    region, equals, url = (each.strip() for each in text.partition("="))
    try:
        REGION.parse(region)
    except ValueError:
        raise ConfigurationError(f"{region!r} is not {REGION.allowed}") from None
    if equals:
        parse_endpoint(url, f"the replica {region}")


def _mail_address(text: str) -> None:
    if not _ADDRESS.fullmatch(text):
        raise ConfigurationError("an entry is no address")


def _topic(text: str) -> None:
    parts = text.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns" or not all(parts[3:]):
        raise ConfigurationError("it is no topic's")


def _runbooks(text: str) -> None:
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s]*)?", text):
        raise ConfigurationError("it is no URL")


def archive_keys(text: str) -> dict[str, bytes]:
    """Keys by id, in order, from "id:base64,id2:base64"; the message never shows a key."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        key_id, _, encoded = entry.partition(":")
        if not _KEY_ID.fullmatch(key_id):
            raise ConfigurationError(f"the id of number {len(keys) + 1} is not one")
        if key_id in keys:
            raise ConfigurationError(f"two keys are called {key_id!r}")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != 32:
            raise ConfigurationError(f"key {key_id!r} is not 32 bytes in base64")
    return keys


def _production_keys(found: Configuration) -> Iterator[str]:
    if found.environment != "production":
        return
    keys: dict[str, bytes] = found.get("ARCHIVE_ENCRYPTION_KEYS") or {}
    how = "python -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)))'"
    for key_id, key in keys.items():
        if key.startswith(b"development only"):
            yield (
                f"ARCHIVE_ENCRYPTION_KEYS: {key_id!r} is the development key, which is published "
                f"with the source: make one by {how}"
            )
        elif len(set(key)) < 8:
            yield (
                f"ARCHIVE_ENCRYPTION_KEYS: {key_id!r} is an example (all zero, or nearly so): make "
                f"one by {how}"
            )


def _production_engine(found: Configuration) -> Iterator[str]:
    if found.environment != "production":
        return
    endpoint = found.get("DYNAMODB_ENDPOINT")
    if endpoint == "local":
        yield (
            "DYNAMODB_ENDPOINT is 'local', the development engine, which production refuses: leave "
            "it empty for AWS"
        )
    elif (
        endpoint and parse_endpoint(endpoint).loopback and not found["DYNAMODB_LOCAL_IN_PRODUCTION"]
    ):
        yield (
            f"DYNAMODB_ENDPOINT is {endpoint!r}, on this machine, which production refuses: leave "
            "it empty for AWS (DYNAMODB_LOCAL_IN_PRODUCTION=true where that is meant)"
        )


def _replicas_elsewhere(found: Configuration) -> Iterator[str]:
    endpoint = found.get("DYNAMODB_ENDPOINT") or ""
    here = endpoint == "local" or (endpoint and is_loopback(parse_endpoint(endpoint).host))
    for text in found.get("DYNAMODB_REPLICA_REGIONS") or ():
        region, equals, _ = (each.strip() for each in text.partition("="))
        if here and not equals:
            yield (
                f"DYNAMODB_REPLICA_REGIONS: {region} would be AWS, while DYNAMODB_ENDPOINT is this "
                f"machine: give its URL ({region}=http://127.0.0.1:8001)"
            )
        if region == found.get("DYNAMODB_REGION") and not equals:
            yield f"DYNAMODB_REPLICA_REGIONS: {region} is the region of DynamoDB itself"


def _timeouts(found: Configuration) -> Iterator[str]:
    deadline = found.get("DYNAMODB_DEADLINE")
    for name in ("DYNAMODB_CONNECT_TIMEOUT", "DYNAMODB_READ_TIMEOUT"):
        value = found.get(name) if found.is_set(name) else None
        if deadline is not None and value is not None and value > deadline:
            yield f"{name} is {value:g} s, over the {deadline:g} s of DYNAMODB_DEADLINE for all"


def _disk(found: Configuration) -> Iterator[str]:
    low, least = found.get("DB_HEALTH_DISK_WARNING"), found.get("DB_HEALTH_DISK_CRITICAL")
    if low is not None and least is not None and least > low:
        yield (
            f"DB_HEALTH_DISK_CRITICAL is {least:g}, over the {low:g} of DB_HEALTH_DISK_WARNING: "
            "there would be no warning before"
        )


_RULES = (_production_keys, _production_engine, _replicas_elsewhere, _timeouts, _disk)


_STORE = in_group(
    "The store of services",
    Variable(
        name="DATABASE_PRIMARY", kind=Choice(("sqlite", "postgresql", "dynamodb")),
        default={"": "sqlite", "production": "dynamodb"},
        sentence="The store that services use: sqlite or postgresql (Django's own database), or "
        "dynamodb.",
    ),
    Variable(
        name="LOG_FORMAT", kind=Choice(("json", "text")),
        default={"": "text", "production": "json"},
        sentence="The log, on standard error. json: a line of JSON each, for machines; text: for "
        "people. See docs/logs.md.",
    ),
)  # fmt: skip
_CACHE = in_group(
    "Cache of records",
    Variable(
        name="APP_CACHE_ENABLED", kind=Boolean(), default="true",
        sentence="Users, profiles, roles, permissions and the caches of other services; never "
        "sessions or keys.",
    ),
    Variable(
        name="APP_CACHE_TTL", kind=Integer(1, DAY, "seconds"), default="30",
        sentence="How long a record may be read from the cache.",
    ),
)  # fmt: skip
_DYNAMODB = in_group(
    "DynamoDB",
    Variable(
        name="DYNAMODB_ENDPOINT", empty=True, masked=without_account,
        kind=Parsed(_dynamodb, "local, an https URL, or http on this "
        "machine"),
        default={"": "", "development": "local"},
        sentence="Empty: AWS. An https URL: a VPC endpoint. local: the project's own engine, "
        "started when a command needs it, which production refuses. A URL such as "
        "http://localhost:8000: another engine on this machine.",
    ),
    Variable(
        name="DYNAMODB_REGION", kind=REGION, otherwise=("AWS_REGION", "AWS_DEFAULT_REGION"),
        default={"": "eu-central-1", "production": ""}, required=PRODUCTION,
        sentence="The region of DynamoDB, CloudWatch and the archives' bucket. Where it is not "
        "set, AWS_REGION and then AWS_DEFAULT_REGION count.",
    ),
    Variable(
        name="DYNAMODB_REPLICA_REGIONS", masked=without_account,
        kind=ListOf(Parsed(_replica, "REGION, or REGION=URL for one that is not at AWS")),
        sentence="Replicas of global tables, for reads that may lag: nearer than the region above, "
        "or there to relieve it.",
    ),
    Variable(
        name="DYNAMODB_TABLE_PREFIX", kind=TABLE_PREFIX, default="daylight-",
        sentence="What the names of all tables begin with.",
    ),
    Variable(
        name="DYNAMODB_CONNECT_TIMEOUT", kind=Number(0.05, 60, "seconds"), default="5",
        sentence="For a connection to be there.",
    ),
    Variable(
        name="DYNAMODB_READ_TIMEOUT", kind=Number(0.05, 120, "seconds"), default="15",
        sentence="For an answer.",
    ),
    Variable(
        name="DYNAMODB_DEADLINE", kind=Number(0.1, 600, "seconds"), default="30",
        sentence="For one call with all its retries.",
    ),
    Variable(
        name="DYNAMODB_POOL_SIZE", kind=Integer(1, 10_000, "connections"), default="32",
        sentence="Idle connections that are kept, and async calls that run at the same time, a "
        "process.",
    ),
    Variable(
        name="DYNAMODB_LOCAL_IN_PRODUCTION", kind=Boolean(), default="false",
        sentence="Whether production may use an engine on its own machine, for a rehearsal.",
    ),
)  # fmt: skip
_TABLES = in_group(
    "DynamoDB tables (sync_tables)",
    Variable(
        name="DYNAMODB_KMS_KEY_ID", kind=_KMS,
        sentence="A KMS key of yours; empty: the one that AWS manages.",
    ),
    Variable(
        name="DYNAMODB_POINT_IN_TIME_RECOVERY", kind=Boolean(), default="true",
        sentence="Whether tables can be brought back to any second of the last 35 days.",
    ),
    Variable(
        name="DYNAMODB_DELETION_PROTECTION", kind=Boolean(),
        default={"": "false", "production": "true"},
        sentence="Whether AWS refuses to delete a table.",
    ),
    Variable(
        name="DYNAMODB_TAGS",
        kind=Pairs("TAG", Text(r"[\w .:/=+@-]{1,256}", "1 to 256 characters that AWS takes"),
                   r"[\w .:/+@-]{1,128}"),
        default="application=daylight",
        sentence="Tags of every table.",
    ),
)  # fmt: skip
_LOCAL = in_group(
    "The local engine (not in production)",
    Variable(
        name="DYNAMODB_ENGINE", kind=Choice(("auto", "dynoxide", "moto")), default="auto",
        sentence="auto is dynoxide where npm has installed it, else moto.",
    ),
    Variable(
        name="DYNOXIDE_BINARY", kind=_PATH,
        sentence="A dynoxide binary elsewhere than in node_modules.",
    ),
    Variable(
        name="LOCAL_DYNAMODB_PATH", kind=_PATH, default="var/dynamodb/daylight.db",
        sentence="Its data. A relative path is the project's.",
    ),
    Variable(
        name="LOCAL_DYNAMODB_PORT", kind=Integer(0, 65_535), default="0",
        sentence="0: a free one.",
    ),
)  # fmt: skip
_MIGRATION = in_group(
    "Migration",
    Variable(
        name="MIGRATE_FROM_SQLITE", kind=Boolean(), default="false",
        sentence="Whether a start copies Django's database to DynamoDB, once.",
    ),
    Variable(
        name="DYNAMODB_WRITE_PRICE", kind=Number(0, 1_000_000, "dollars a million write units"),
        default="0",
        sentence="For --dry-run; 0: the table in dbcore/migration/prices.py.",
    ),
)  # fmt: skip
_RETENTION = in_group(
    "Retention",
    Variable(
        name="RETENTION_ENABLED", kind=Boolean(), default="true",
        sentence="A sweep deletes only where this is true; a dry run always works.",
    ),
    Variable(
        name="RETENTION_DAYS", kind=Pairs("TABLE", Integer(1, YEARS, "days"), r"[a-z][a-z_]*"),
        sentence="Other days than the code declares: plans=400,users=3650. Fewer must be accepted "
        "once, by enforce_retention --accept-policy-change.",
    ),
    Variable(
        name="RETENTION_MAX_SHARE", kind=Share(), default="0.2",
        sentence="A sweep that would delete more than this share of a table stops and asks: with 0 "
        "each asks, with 1 none does.",
    ),
    Variable(
        name="RETENTION_LOOKBACK_DAYS", kind=Integer(1, YEARS, "days"), default="3650",
        sentence="How far back the first sweep of a table in DynamoDB looks for what is due.",
    ),
    Variable(
        name="RETENTION_GRACE_DAYS", kind=Integer(0, YEARS, "days"), default="30",
        sentence="In which no sweep takes a record again that was restored.",
    ),
)  # fmt: skip
_ARCHIVES = in_group(
    "Archives of retention",
    Variable(
        name="ARCHIVE_ENCRYPTION_KEYS", secret=True, masked=names_alone, required=PRODUCTION,
        kind=Parsed(archive_keys, "ID:KEY,ID:KEY, an id of 1 to 64 of a-z A-Z 0-9 _ . -, a key of "
                    "32 bytes in base64", keeps=True),
        default={"": PUBLISHED_KEY, "production": ""},
        sentence="The first encrypts, all decrypt. To change keys, put the new one first, run "
        "rotate_archive_keys, and remove those that it names. Whoever loses the keys loses the "
        'archives. A key: python -c "import base64, secrets; '
        'print(base64.b64encode(secrets.token_bytes(32)).decode())"',
    ),
    Variable(
        name="ARCHIVE_DIR", kind=_PATH, default="var/archives",
        sentence="Where no bucket is set: a directory, on a disk that is backed up. A relative "
        "path is the project's.",
    ),
    Variable(
        name="ARCHIVE_S3_BUCKET",
        kind=Text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket"),
        sentence="Where it is set, archives go to S3 instead, under the prefix, in the region of "
        "DynamoDB.",
    ),
    Variable(
        name="ARCHIVE_S3_PREFIX",
        kind=Text(r"[a-zA-Z0-9_!.*'()/-]{1,500}",
                  "a prefix of keys, of a-z A-Z 0-9 _ ! . * ' ( ) / -"),
        sentence="What the keys of all archives begin with.",
    ),
    Variable(
        name="ARCHIVE_S3_ENDPOINT", masked=without_account,
        kind=_endpoint("ARCHIVE_S3_ENDPOINT"),
        sentence="Empty: AWS. An https URL: a VPC endpoint, or another S3.",
    ),
    Variable(
        name="ARCHIVE_KMS_KEY_ID", kind=_KMS,
        sentence="A KMS key of yours, with which S3 encrypts once more; empty: the one that AWS "
        "manages.",
    ),
)  # fmt: skip
_MONITORING = in_group(
    "Monitoring",
    Variable(
        name="DB_METRICS_ENABLED", kind=Boolean(), default="true",
        sentence="Whether calls are measured.",
    ),
    Variable(
        name="DB_METRICS_INTERVAL", kind=Number(0.1, 3_600, "seconds"), default="60",
        sentence="Between records in performance_metrics, and at CloudWatch.",
    ),
    Variable(
        name="DB_SLOW_QUERY_LOG", kind=Boolean(), default="true",
        sentence="A line in the log for each query that takes longer than DB_LATENCY_THRESHOLD.",
    ),
    Variable(
        name="DB_CLOUDWATCH_INTEGRATION", kind=Boolean(), default="false",
        sentence="Whether what is measured goes to CloudWatch, too.",
    ),
    Variable(
        name="DB_CLOUDWATCH_NAMESPACE", default="Daylight/Database",
        kind=Text(r"(?!AWS/)[a-zA-Z0-9_.#:/-]{1,255}",
                  "1 to 255 of a-z A-Z 0-9 . - _ / # :, and not AWS/"),
        sentence="Where it is found there.",
    ),
    Variable(
        name="DB_CLOUDWATCH_ENDPOINT", masked=without_account,
        kind=_endpoint("DB_CLOUDWATCH_ENDPOINT"),
        sentence="Empty: AWS, in the region of DynamoDB.",
    ),
    Variable(
        name="METRICS_TOKEN", kind=_TOKEN, secret=True,
        sentence="Who sends it as a bearer token may read /metrics. Empty: only this machine and "
        "staff.",
    ),
    Variable(
        name="PROMETHEUS_MULTIPROC_DIR", kind=_PATH,
        sentence="Several processes on one machine, as under gunicorn: the directory where their "
        "counters add up. See docs/monitoring.md. A relative path is the project's.",
    ),
    Variable(
        name="REQUEST_ID_PROXIES",
        kind=ListOf(PROXY),
        sentence="Proxies whose X-Request-ID is taken over; unix is one that comes through a "
        "socket. They must replace what clients send. Empty: each request gets a new id.",
    ),
)  # fmt: skip
_HEALTH = in_group(
    "Health (db_health, /health/ready)",
    Variable(
        name="DB_HEALTH_DEADLINE", kind=Number(0.1, 300, "seconds"), default="5",
        sentence="That each check has; one that takes longer is critical.",
    ),
    Variable(
        name="DB_HEALTH_DISK_WARNING", kind=Share(), default="0.1",
        sentence="With less of a disk free it is a warning.",
    ),
    Variable(
        name="DB_HEALTH_DISK_CRITICAL", kind=Share(), default="0.03",
        sentence="With less of a disk free it is critical.",
    ),
)  # fmt: skip
_ALERTS = in_group(
    "Alerts (monitor)",
    Variable(
        name="DB_ALERTS_ENABLED", kind=Boolean(), default="true",
        sentence="Whether messages go out. send_test_alert tries the channels without it.",
    ),
    Variable(
        name="DB_LATENCY_THRESHOLD", kind=Number(0, 600_000, "milliseconds"), default="500",
        sentence="Over which 95 % of the calls of one operation on one table may not take.",
    ),
    Variable(
        name="DB_ERROR_THRESHOLD", kind=Share(), default="0.05",
        sentence="Of calls that may fail.",
    ),
    Variable(
        name="DB_CONN_THRESHOLD", kind=Share(), default="0.8",
        sentence="Of connections that may be in use.",
    ),
    Variable(
        name="DB_ALERT_RULES",
        kind=Json('{"high_latency": {"threshold": 800, "for_seconds": 300}, "throttling": null}'),
        sentence="Other rules than the defaults, by name; null switches one off.",
    ),
    Variable(
        name="DB_ALERTS_SOURCE",
        kind=Text(r"[^\x00-\x1f]{1,100}", "1 to 100 characters on one line"),
        sentence="Which installation an alert is about. Empty: DYNAMODB_TABLE_PREFIX.",
    ),
    Variable(
        name="DB_RUNBOOK_URL", kind=Parsed(_runbooks, "a URL"),
        sentence="Where docs/runbooks is served; the page's name follows, or stands for {name}: "
        "https://git.example/daylight/docs/runbooks/{name}.md",
    ),
    Variable(
        name="ALERT_EMAIL", kind=ListOf(Parsed(_mail_address, "an address")),
        sentence="Channels are used that are set. This one: who gets mails, by the server of "
        "EMAIL_URL.",
    ),
    Variable(
        name="ALERT_SLACK_WEBHOOK", secret=True, masked=host_alone,
        kind=Parsed(lambda url: parse_hook(url, "ALERT_SLACK_WEBHOOK"), "an https URL"),
        sentence="An incoming web hook; whoever has the URL can post, so it is a secret.",
    ),
    Variable(
        name="ALERT_SNS_TOPIC",
        kind=Parsed(_topic, "a topic's ARN: arn:aws:sns:REGION:ACCOUNT:NAME"),
        sentence="A topic of SNS.",
    ),
    Variable(
        name="ALERT_SNS_ENDPOINT", masked=without_account,
        kind=_endpoint("ALERT_SNS_ENDPOINT"),
        sentence="Empty: AWS.",
    ),
    Variable(
        name="ALERT_PAGERDUTY_KEY", kind=_TOKEN, secret=True,
        sentence="The integration key of a service (Events API v2).",
    ),
    Variable(
        name="ALERT_PAGERDUTY_URL", masked=host_alone,
        kind=Parsed(lambda url: parse_hook(url, "ALERT_PAGERDUTY_URL"), "an https URL"),
        default="https://events.pagerduty.com/v2/enqueue",
        sentence="In the EU: https://events.eu.pagerduty.com/v2/enqueue",
    ),
)  # fmt: skip
_ERRORS = in_group(
    "Errors (Sentry)",
    Variable(
        name="SENTRY_DSN", secret=True, masked=without_account,
        kind=Parsed(parse_sentry, "a project's key: https://KEY@HOST/PROJECT"),
        sentence="Where errors are told. Empty: nowhere.",
    ),
    Variable(
        name="SENTRY_ENVIRONMENT",
        kind=Text(r"(?!None$)[^\s/\x00-\x1f]{1,64}", "1 to 64 characters without blanks and /"),
        default={"": "development", "production": "production", "test": "test"},
        sentence="What Sentry calls this installation.",
    ),
    Variable(
        name="SENTRY_RELEASE", kind=Text(r"[^\s/\\\x00-\x1f]{1,200}", "the name of a release"),
        sentence="Empty: the commit, where the code is a checkout.",
    ),
    Variable(
        name="SENTRY_TRACES_SAMPLE_RATE", kind=Share(), default="0",
        sentence="Of requests that are traced, each with a span for every database call.",
    ),
)  # fmt: skip


DBCORE = Registry(
    (
        *_STORE, *_CACHE, *_DYNAMODB, *_TABLES, *_LOCAL, *_MIGRATION, *_RETENTION, *_ARCHIVES,
        *_MONITORING, *_HEALTH, *_ALERTS, *_ERRORS,
    ),
    _RULES,
    RETIRED,
    (
        "ALERT_", "APP_CACHE_", "ARCHIVE_", "DATABASE_", "DB_", "DYNAMODB_", "DYNOXIDE_",
        "LOCAL_DYNAMODB_", "LOG_", "METRICS_", "MIGRATE_", "RETENTION_", "REQUEST_ID_",
    ),
)  # fmt: skip
