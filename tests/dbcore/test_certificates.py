"""Whoever is told anything over TLS is verified: nothing arrives at a server whose certificate
nobody vouches for, or is another's, and no variable changes that.

AWS's clients are in test_aws, the wire in wire/test_client, PostgreSQL in connecting/test_sql.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import sentry_sdk
from django.core.cache import caches

from dbcore.monitoring.alerts.channels import SendFailed, configured_channels
from dbcore.monitoring.alerts.channels.http import hook_at
from dbcore.monitoring.sentry import setup
from tests.dbcore.monitoring.alerts.receivers import MailServer
from tests.dbcore.monitoring.alerts.test_channels import message
from tests.dbcore.wire.server import Server, http
from tests.support.certificates import Authority, make_certificate
from tests.support.redis import RedisServer

Deliver = Callable[[], bool]  # says something, and whether it has arrived
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "http_proxy")


@contextmanager
def mail(folder: Path, name: str, settings: Any, **given: Any) -> Iterator[Deliver]:
    tls = make_certificate(folder, name)
    at_once = given["EMAIL_USE_SSL"]
    how = {"ssl_context": tls} if at_once else {"tls_context": tls, "require_starttls": True}
    with MailServer(**how).running() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", server.port
        settings.ALERT_EMAIL = ["oncall@daylight.example"]
        for setting, value in given.items():
            setattr(settings, setting, value)

        def deliver() -> bool:
            try:
                configured_channels()["email"].send(message())
            except SendFailed as error:
                assert "certificate verify failed" in str(error)
            return bool(server.mails)

        yield deliver


def starttls(folder: Path, name: str, settings: Any) -> Any:
    return mail(folder, name, settings, EMAIL_USE_TLS=True, EMAIL_USE_SSL=False)


def smtp_ssl(folder: Path, name: str, settings: Any) -> Any:
    return mail(folder, name, settings, EMAIL_USE_TLS=False, EMAIL_USE_SSL=True)


@contextmanager
def hook(folder: Path, name: str, settings: Any) -> Iterator[Deliver]:
    with Server(lambda _: http(b"ok"), make_certificate(folder, name)) as server:

        def deliver() -> bool:
            try:
                hook_at(f"{server.endpoint}/secret", "ALERT_SLACK_WEBHOOK").post({})
            except SendFailed as error:
                assert "secret" not in str(error)
            return bool(server.requests)

        yield deliver


@contextmanager
def sentry(folder: Path, name: str, settings: Any) -> Iterator[Deliver]:
    with Server(lambda _: http(b"{}"), make_certificate(folder, name)) as server:
        settings.SENTRY_DSN = server.endpoint.replace("https://", "https://key@") + "/1"

        def deliver() -> bool:
            setup.start()
            try:
                logging.getLogger("planted").error("told to Sentry")
                sentry_sdk.get_client().flush(timeout=30)
            finally:
                setup.stop()
            return bool(server.requests)

        yield deliver


@contextmanager
def cache(folder: Path, name: str, settings: Any) -> Iterator[Deliver]:
    authority = Authority(folder)
    authority.file = authority.file.rename(folder / "certificate.pem")
    server = RedisServer(authority.issue(name), authority)
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": server.url,
        }
    }

    def deliver() -> bool:
        try:
            caches["default"].set("k", "v")
        except redis.ConnectionError as error:
            assert "certificate verify failed" in str(error)
            return False
        return bool(caches["default"].get("k") == "v")

    try:
        yield deliver
    finally:
        caches["default"]._cache._pools.clear()
        server.stop()


@pytest.fixture(params=[starttls, smtp_ssl, hook, sentry, cache])
def peer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return request.param


def test_only_a_server_that_somebody_vouches_for_is_told_anything(
    peer: Any, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer(tmp_path, "localhost", settings) as deliver:
        assert not deliver(), "nobody vouches for it"
        for value in ("", "0", "false"):
            monkeypatch.setenv("SSL_CERT_FILE", value)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", value)
            monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
            assert not deliver(), f"no value of a variable vouches for it, nor does {value!r}"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert deliver(), "its certificate is known, and for its name"


def test_a_server_with_the_certificate_of_another_is_told_nothing(
    peer: Any, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with peer(tmp_path, "other.example", settings) as deliver:
        assert not deliver()


def test_a_mail_server_that_has_no_starttls_is_told_nothing(settings: Any) -> None:
    with MailServer().running() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", server.port
        settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = True, False
        settings.ALERT_EMAIL = ["oncall@daylight.example"]
        with pytest.raises(SendFailed, match="STARTTLS"):
            configured_channels()["email"].send(message())
        assert not server.mails
