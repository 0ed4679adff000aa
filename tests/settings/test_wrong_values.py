"""No wrong value is taken for a right one: a table over all variables. Each was once read as
something else, or might be.
"""

from __future__ import annotations

import pytest

from dbcore.configuration import WrongConfiguration, read
from settings.variables import ALL
from tests.settings.complete import ARCHIVE_KEY, COMPLETE

BOOLEAN = ("", "enabled", '""true""', "tru", "2", "True!", "y", "ja", "null", "true,", "tr ue")
NUMBER = (
    "",
    "500ms",
    "1,000",
    "1_000",
    "1e999",
    "-1",
    "nan",
    "inf",
    "0x10",
    "5%",
    "1.",
    ".5",
    "١٢",
)
INTEGER = ("", "1.5", "1e3", "-1", "1_0", "ten", "0x1f", "99999999999999999999", "5 s", "１")
SHARE = ("", "20", "1.01", "-0.1", "nan", "20%", "5 %", "1/20", "0,05")
ENDPOINT = (
    "http://sns.internal", "http://10.0.0.5:8000", "ftp://x.internal", "sns.internal", "https://",
    "https://u:hunter2@x.internal", "https://x.internal/path", "https://x.internal:0",
    "https://x.internal:99999", "https://x y", "//x.internal", "http://127.0.0.1.nip.io",
)  # fmt: skip
PROXIES = ("proxy.internal", "10.0.0.0/33", "10.0.0.1,,unix", "Unix", "10.0.0.1/8")
PATH = ("a\x00b", "a\nb")
KMS = ("key id", "alias/ü", "a;b")
WRONG: dict[str, tuple[str, ...]] = {
    "DAYLIGHT_ENV": ("staging", "Production", "prod", ""),
    "DJANGO_DEBUG": BOOLEAN,
    "DJANGO_SECRET_KEY": ("", "a\x01b"),
    "DJANGO_SECRET_KEY_FALLBACKS": ("short-hunter2", ",", "x" * 50 + ",,"),
    "DJANGO_ALLOWED_HOSTS": ("", ",", "a b", "https://daylight.internal", "host/path", "a,,b"),
    "DJANGO_CSRF_TRUSTED_ORIGINS": ("daylight.internal", "https://", "ftp://x", "https://x/p", "*"),
    "ADMIN_TOTP_REQUIRED": BOOLEAN,
    "DJANGO_TRUSTED_PROXIES": PROXIES,
    "LOG_LEVEL": ("", "loud", "20", "WARN", "INFO,DEBUG"),
    "DATABASE_URL": (
        "", "daylight", "mysql://u:hunter2@db.internal/d", "postgres://u:hunter2@db.internal/",
        "postgres://u:hunter2@db.internal:port/d", "postgres://u@db.internal/d?sslmode=disable",
        "postgres://u@db.internal/d?sslmode=prefer", "postgres://u@10.0.0.5/d?sslmode=allow",
        "postgres://u@db.internal/d?sslmode=yes", "postgres://u@db.internal/d?host=10.0.0.5",
        "postgres://a.internal,b.internal/d", "sqlite:///", "sqlite://relative/file", "oracle://x/y",
        "postgres//u@db.internal/d", "postgres://u@db.internal/d?conn_max_age=abc",
        "postgres://u@db.internal/d?sslmod=require", "postgres://u@db.internal/d?connect_timeout=3s",
    ),
    "DATABASE_SQLITE_IN_PRODUCTION": BOOLEAN,
    "DATABASE_CONN_MAX_AGE": (*INTEGER, "86401"),
    "DATABASE_CONN_HEALTH_CHECKS": BOOLEAN,
    "DATABASE_POOL_SIZE": (*INTEGER, "1001"),
    "DATABASE_POOL_TIMEOUT": (*NUMBER, "0", "301"),
    "DATABASE_REPLICA_URLS": ("replica", "postgres://u@r.internal/d?sslmode=disable", ",", "a,,b"),
    "CACHE_URL": (
        "", "redis", "redis://cache.internal:6379/0", "rediscache://10.0.0.5", "valkey://10.0.0.5",
        "rediss://:hunter2@cache.internal:x/0", "rediss://cache.internal?ssl_cert_reqs=none",
        "memcache://10.0.0.5:11211", "memcache://127.0.0.1:11211", "filecache:///tmp/hunter2",
        "dbcache://hunter2", "http://cache.internal", "rediss://",
        "rediss://cache.internal/zero", "rediss://cache.internal/0?timeout=abc",
    ),
    "APP_CACHE_SIZE": (*INTEGER, "0", "1"),
    "EMAIL_URL": (
        "smtp://mail.internal", "smtp://u:hunter2@10.0.0.5:25", "mail.internal", "smtp+tls://",
        "smtp+tls://mail.internal:x", "imap://mail.internal",
    ),
    "ALERT_EMAIL_FROM": ("", "a", "a\nBcc: b@c.internal"),
    "DATABASE_PRIMARY": ("", "mongodb", "DynamoDB", "sqlite3", "dynamo"),
    "LOG_FORMAT": ("", "JSON", "xml"),
    "APP_CACHE_ENABLED": BOOLEAN,
    "APP_CACHE_TTL": (*INTEGER, "0", "86401"),
    "DYNAMODB_ENDPOINT": (*ENDPOINT, "Local", "aws"),
    "DYNAMODB_REGION": ("", "Frankfurt", "eu_central_1", "eu-central", "eu-central-1;x", "us 1"),
    "DYNAMODB_REPLICA_REGIONS": (
        "Ireland", "eu-west-1=", "eu-west-1=http://10.0.0.5:8000", "=https://x.internal",
        "eu-west-1,,us-east-1", "eu-west-1,eu-west-1", "eu-central-1",
    ),
    "DYNAMODB_TABLE_PREFIX": ("", "day light-", "ü-", "a/b", "x" * 101),
    "DYNAMODB_CONNECT_TIMEOUT": (*NUMBER, "0", "61"),
    "DYNAMODB_READ_TIMEOUT": (*NUMBER, "0", "121"),
    "DYNAMODB_DEADLINE": (*NUMBER, "0", "601"),
    "DYNAMODB_POOL_SIZE": (*INTEGER, "0", "10001"),
    "DYNAMODB_LOCAL_IN_PRODUCTION": BOOLEAN,
    "DYNAMODB_KMS_KEY_ID": KMS,
    "DYNAMODB_POINT_IN_TIME_RECOVERY": BOOLEAN,
    "DYNAMODB_DELETION_PROTECTION": BOOLEAN,
    "DYNAMODB_TAGS": ("", "application", "a=1,a=2", "=1", "a=", "a=b;c"),
    "DYNAMODB_ENGINE": ("", "localstack", "Auto"),
    "DYNOXIDE_BINARY": PATH,
    "LOCAL_DYNAMODB_PATH": ("", *PATH),
    "LOCAL_DYNAMODB_PORT": (*INTEGER, "65536"),
    "MIGRATE_FROM_SQLITE": BOOLEAN,
    "DYNAMODB_WRITE_PRICE": (*NUMBER, "$1.25"),
    "RETENTION_ENABLED": BOOLEAN,
    "RETENTION_DAYS": ("plans", "plans=3_65", "plans=", "plans=0", "plans=1,plans=2", "plans=36501",
                       "plans=1.5", "plans:30", "=30", "plans=30d"),
    "RETENTION_MAX_SHARE": SHARE,
    "RETENTION_LOOKBACK_DAYS": (*INTEGER, "0", "36501"),
    "RETENTION_GRACE_DAYS": (*INTEGER, "36501"),
    "ARCHIVE_ENCRYPTION_KEYS": (
        "", ARCHIVE_KEY, f"a b:{ARCHIVE_KEY}", f"a:{ARCHIVE_KEY},a:{ARCHIVE_KEY}", "a:",
        f"a:{ARCHIVE_KEY[:-4]}", f"a:{ARCHIVE_KEY}!", f"{'x' * 65}:{ARCHIVE_KEY}",
    ),
    "ARCHIVE_DIR": ("", *PATH),
    "ARCHIVE_S3_BUCKET": ("A", "s3://bucket", "Bucket", "bucket/prefix", "arn:aws:s3:::bucket"),
    "ARCHIVE_S3_PREFIX": ("a b", "a?b", "ä"),
    "ARCHIVE_S3_ENDPOINT": ENDPOINT,
    "ARCHIVE_KMS_KEY_ID": KMS,
    "DB_METRICS_ENABLED": BOOLEAN,
    "DB_METRICS_INTERVAL": (*NUMBER, "0", "60000"),
    "DB_SLOW_QUERY_LOG": BOOLEAN,
    "DB_CLOUDWATCH_INTEGRATION": BOOLEAN,
    "DB_CLOUDWATCH_NAMESPACE": ("", "AWS/DynamoDB", "a b", "x" * 256),
    "DB_CLOUDWATCH_ENDPOINT": ENDPOINT,
    "METRICS_TOKEN": ("hunter2", "with blank hunter2", "ü" * 20),
    "PROMETHEUS_MULTIPROC_DIR": PATH,
    "REQUEST_ID_PROXIES": PROXIES,
    "DB_HEALTH_DEADLINE": (*NUMBER, "0", "301"),
    "DB_HEALTH_DISK_WARNING": SHARE,
    "DB_HEALTH_DISK_CRITICAL": (*SHARE, "0.5"),
    "DB_ALERTS_ENABLED": BOOLEAN,
    "DB_LATENCY_THRESHOLD": (*NUMBER, "600001"),
    "DB_ERROR_THRESHOLD": SHARE,
    "DB_CONN_THRESHOLD": SHARE,
    "DB_ALERT_RULES": ("{", "[]", "null", '"x"', '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 5000),
    "DB_ALERTS_SOURCE": ("a\nb", "x" * 101),
    "DB_RUNBOOK_URL": ("runbooks", "ftp://x", "https://x y", "https://"),
    "ALERT_EMAIL": ("oncall", "a@b@c", "a@b,,c@d", "<a@b.internal>", "a@b.internal; c@d.internal"),
    "ALERT_SLACK_WEBHOOK": (
        "http://hooks.internal/hunter2", "hooks.slack.com/hunter2", "https://u:hunter2@x.internal/",
        "https://x.internal:hunter2/",
    ),
    "ALERT_SNS_TOPIC": ("topic", "arn:aws:sns", "arn:aws:sqs:eu-central-1:1:x", "arn:aws:sns:::x"),
    "ALERT_SNS_ENDPOINT": ENDPOINT,
    "ALERT_PAGERDUTY_KEY": ("hunter2", "a b c d e f g h hunter2"),
    "ALERT_PAGERDUTY_URL": ("", "http://events.internal", "events.pagerduty.com"),
    "SENTRY_DSN": (
        "http://hunter2@sentry.internal/1", "https://sentry.internal/1", "https://hunter2@host/x",
        "hunter2",
    ),
    "SENTRY_ENVIRONMENT": ("", "a b", "a/b", "None", "x" * 65),
    "SENTRY_RELEASE": ("a b", "a/b", "x" * 201),
    "SENTRY_TRACES_SAMPLE_RATE": SHARE,
}  # fmt: skip
# Of which any text is taken: it is another program's, or read before all others.
FREE = {"NODE_ENV", "DAYLIGHT_ENV_FILE"}
CASES = [(name, text) for name, texts in WRONG.items() for text in texts]


def test_no_variable_is_left_out_of_the_table() -> None:
    assert WRONG.keys() | FREE == {each.name for each in ALL.variables}
    assert len(CASES) >= 120


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(name: str) -> None:
    for text in WRONG[name]:
        with pytest.raises(WrongConfiguration) as refused:
            read(ALL, "production", {**COMPLETE, name: text})
        (problem,) = refused.value.problems
        assert problem.startswith(name), (text, problem)
        assert "hunter2" not in problem and ARCHIVE_KEY[:12] not in problem, (text, problem)
        assert problem.isprintable(), (text, problem)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {name: texts[-1] for name, texts in WRONG.items()}
    with pytest.raises(WrongConfiguration) as refused:
        read(ALL, "production", {**COMPLETE, **wrong})
    said = {problem.split()[0].rstrip(":") for problem in refused.value.problems}
    assert said >= WRONG.keys() - {"DB_HEALTH_DISK_CRITICAL", "DYNAMODB_REPLICA_REGIONS"}


def test_a_value_that_is_not_a_secret_is_shown_as_it_was_typed() -> None:
    with pytest.raises(WrongConfiguration, match=r"DYNAMODB_READ_TIMEOUT is '500ms'; it must be a"):
        read(ALL, "production", {**COMPLETE, "DYNAMODB_READ_TIMEOUT": "500ms"})


@pytest.mark.parametrize("text", ['"true"', "'true'", " true ", "true\r", "YES", "On", "1"])
def test_what_surrounds_a_value_is_taken_off_and_protects_the_tables_all_the_same(
    text: str,
) -> None:
    found = read(ALL, "development", {"DYNAMODB_DELETION_PROTECTION": text})
    assert found["DYNAMODB_DELETION_PROTECTION"] is True


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (
            {"DATABASE_PRIMARY": "sqlite"},
            {},
            "DATABASE_PRIMARY is sqlite, and DATABASE_URL is post",
        ),
        ({"DATABASE_POOL_SIZE": "10"}, {"DATABASE_CONN_MAX_AGE": "60"}, "leave DATABASE_CONN_MAX"),
        (
            {"DYNAMODB_DEADLINE": "10"},
            {"DYNAMODB_READ_TIMEOUT": "15"},
            "DYNAMODB_READ_TIMEOUT is 15",
        ),
        ({"DB_HEALTH_DISK_CRITICAL": "0.2"}, {}, "there would be no warning before"),
        ({"ALERT_EMAIL": "a@b.internal"}, {"EMAIL_URL": "consolemail://"}, "EMAIL_URL must name"),
    ],
)
def test_two_that_do_not_go_together_are_refused(
    first: dict[str, str], second: dict[str, str], why: str
) -> None:
    with pytest.raises(WrongConfiguration) as refused:
        read(ALL, "production", {**COMPLETE, **first, **second})
    (problem,) = refused.value.problems
    assert why in problem
