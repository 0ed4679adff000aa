"""What would go over a network in the clear is a finding, however the setting came to be; what is
encrypted, or stays on this machine, is none; and no finding quotes a secret.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from django.core.mail.backends.smtp import EmailBackend

from dbcore import transport_checks
from dbcore.transport_checks import check_authenticated, check_environment, check_transport
from tests.settings.complete import COMPLETE

ROOT = Path(__file__).resolve().parents[2]
REDIS = "django.core.cache.backends.redis.RedisCache"
MEMCACHED = "django.core.cache.backends.memcached.PyMemcacheCache"
Inside = Callable[[dict[str, Any]], None]
S3 = "dbcore.retention.archives.s3.S3Archives"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


def cache(location: Any, backend: str = REDIS, **options: Any) -> dict[str, Any]:
    return {"CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}}


def postgres(host: str, **options: Any) -> dict[str, Any]:
    given = {"ENGINE": "django.db.backends.postgresql", "HOST": host, "OPTIONS": options}
    return {"DATABASES": {"default": given}}


def archives(url: str, **more: Any) -> dict[str, Any]:
    return {"STORAGES": {"archives": {"BACKEND": S3, "OPTIONS": {"endpoint_url": url, **more}}}}


def mail(host: str, **given: Any) -> dict[str, Any]:
    plain = {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False}
    return {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": host, **plain, **given}


class Fast(RedisCache):
    """A project's own."""


class Mail(EmailBackend):
    """A project's own."""


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Settings as the checks see them; Django itself keeps its own."""

    def put(given: dict[str, Any]) -> None:
        own = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
        monkeypatch.setattr(transport_checks, "settings", SimpleNamespace(**{**own, **given}))

    return put


def found(inside: Inside, given: dict[str, Any]) -> list[str]:
    inside(given)
    messages = check_transport(None)
    assert all(each.hint for each in messages)
    assert not [each for each in messages if "hunter2" in f"{each.msg}{each.hint}"]
    return [str(each.id) for each in messages]


@pytest.mark.parametrize(
    ("id_", "given"),
    [
        ("E016", {"DYNAMODB_REPLICA_REGIONS": ["eu-west-1=http://10.0.0.5:8000"]}),
        ("E017", {"ALERT_SNS_ENDPOINT": "http://sns.internal"}),
        ("E017", {"DB_CLOUDWATCH_ENDPOINT": "http://10.0.0.5"}),
        ("E017", archives("http://s3.internal")),
        ("E017", archives("", verify=False)),
        ("E017", archives("https://s3.internal", use_ssl=False)),
        ("E017", {**archives("https://s3.internal"), "AWS_S3_VERIFY": False}),
        ("E017", {"STORAGES": 7}),
        ("E018", {"SENTRY_DSN": "http://hunter2@sentry.internal/1"}),
        ("E018", {"ALERT_SLACK_WEBHOOK": "http://hooks.internal/hunter2"}),
        ("E018", {"ALERT_PAGERDUTY_URL": "http://events.internal/"}),
        ("E018", {"SENTRY_DSN": "hunter2"}),
        ("E019", cache("redis://:hunter2@10.0.0.5:6379/0")),
        ("E019", cache(["rediss://a.internal/0", "redis://:hunter2@b.internal/0"])),
        ("E019", cache("rediss://a.internal/0,redis://b.internal/0")),
        ("E019", cache("rediss://a.internal/0", ssl_cert_reqs="none")),
        ("E019", cache("rediss://a.internal/0", ssl_check_hostname=False)),
        ("E019", cache("10.0.0.5:11211", MEMCACHED)),
        ("E019", cache("rediss://a.internal/0", CONNECTION_POOL_KWARGS={"ssl_cert_reqs": None})),
        ("E019", cache("redis://a.internal/0", f"{__name__}.Fast")),
        ("E019", cache("tcp://a.internal", "django.core.cache.backends.base.BaseCache")),
        ("E019", cache("anything", "nowhere.Cache")),
        ("E019", {"CACHES": 7}),
        ("E020", postgres("db.internal")),
        ("E020", postgres("10.0.0.5", sslmode="disable", password="hunter2")),
        ("E020", postgres("db.internal", sslmode="prefer")),
        ("E020", postgres("db.internal", sslmode="yes")),
        ("E020", postgres("", service="evil")),
        ("E020", postgres("localhost", hostaddr="10.0.0.5")),
        ("E020", {"DATABASES": {"default": {"ENGINE": "dbcore.postgresql", "HOST": "db"}}}),
        ("E020", {"DATABASES": {"default": {"ENGINE": "django.db.backends.mysql", "HOST": "db"}}}),
        ("E021", mail("mail.internal")),
        ("E021", mail("mail.internal", EMAIL_BACKEND=f"{__name__}.Mail")),
    ],
)
def test_what_goes_over_a_network_in_the_clear_is_found(
    id_: str, given: dict[str, Any], inside: Inside
) -> None:
    assert found(inside, given) == [f"dbcore.{id_}"]


@pytest.mark.parametrize(
    "given",
    [
        {"DYNAMODB_REPLICA_REGIONS": ["eu-west-1", "us-east-1=https://x.internal"]},
        {"ALERT_SNS_ENDPOINT": "https://sns.internal", "DB_CLOUDWATCH_ENDPOINT": ""},
        archives("http://127.0.0.1:9000"),
        {"SENTRY_DSN": "https://key@sentry.internal/1"},
        {"ALERT_SLACK_WEBHOOK": "http://localhost:8000/hook"},
        cache("rediss://a.internal/0"),
        cache("redis://127.0.0.1:6379/0"),
        cache("unix:///run/redis.sock"),
        cache("127.0.0.1:11211", MEMCACHED),
        cache("anything", "django.core.cache.backends.locmem.LocMemCache"),
        postgres("db.internal", sslmode="require"),
        postgres("127.0.0.1"),
        postgres("/run/postgresql", sslmode="disable"),
        mail("mail.internal", EMAIL_USE_TLS=True),
        mail("localhost"),
        mail(""),
        cache("/var/cache", "django.core.cache.backends.base.BaseCache"),
    ],
)
def test_what_is_encrypted_or_stays_here_is_no_finding(
    given: dict[str, Any], inside: Inside
) -> None:
    assert found(inside, given) == []


def test_libpqs_own_variables_are_seen(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    assert found(inside, postgres("db.internal")) == []
    monkeypatch.setenv("PGHOST", "db.internal")
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert found(inside, postgres("")) == ["dbcore.E020"]


def test_a_deployment_is_told_where_nobody_proves_who_the_database_is(inside: Inside) -> None:
    for mode in ("require", "verify-ca"):  # the second by any server of that authority
        inside(postgres("db.internal", sslmode=mode))
        assert [each.id for each in check_authenticated(None)] == ["dbcore.W002"]
    inside(postgres("db.internal", sslmode="verify-full"))
    assert check_authenticated(None) == []


def test_a_deployment_is_told_of_endpoints_that_the_environment_names(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.internal:4566")
    inside({"DYNAMODB_ENDPOINT": "http://127.0.0.1:8000"})
    assert check_environment(None) == [], "nothing here asks AWS"
    inside({"ALERT_SNS_TOPIC": "arn:aws:sns:eu-central-1:1:t"})
    said = [f"{each.id} {each.msg}".partition(" (")[0] for each in check_environment(None)]
    assert said == ["dbcore.E017 the endpoint of sns", "dbcore.E017 the endpoint of sts"]
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    (tmp_path / "config").write_text("this is no such file")
    assert "cannot be read (ConfigParseError)" in str(check_environment(None)[0].msg)


def check_deploy(**given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, **COMPLETE, **given},
    )  # fmt: skip


def test_the_deployment_check_of_a_complete_production_is_clean() -> None:
    proven = f"{COMPLETE['DATABASE_URL']}?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    done = check_deploy(DATABASE_URL=proven, DJANGO_TRUSTED_PROXIES="10.0.0.0/8")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
    done = check_deploy()
    assert done.returncode == 1 and "dbcore.W002" in done.stderr


def test_an_address_without_sslmode_is_not_spoken_to_in_the_clear() -> None:
    code = (
        "import settings; settings.settings_module(); from django.conf import settings as s; "
        "print(s.DATABASES['default']['OPTIONS']['sslmode'])"
    )
    environment = {"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, **COMPLETE}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "require\n", done.stderr
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**environment, "PGSSLMODE": "disable"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert "PGSSLMODE or PGSERVICE's is disable, which may speak in the clear" in done.stderr
