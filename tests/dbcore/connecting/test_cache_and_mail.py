"""Redis over TLS and without, a mail server with STARTTLS, web hooks and Sentry: asked as their
clients ask them, and nothing is kept or sent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import environ
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from dbcore.connecting.found import Found
from dbcore.local_engine.probe import free_port
from dbcore.monitoring.health.results import Status
from tests.dbcore.connecting.conftest import SOON, Ask, said
from tests.dbcore.wire.server import Server, http
from tests.support.certificates import Authority, Issued
from tests.support.connect_proxy import ConnectProxy
from tests.support.redis import RedisServer


# --- The cache ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def redis_over_tls(authority: Authority) -> Iterator[RedisServer]:
    server = RedisServer(authority.issue("localhost"), authority)
    yield server
    server.close()


@pytest.fixture
def ask_cache(settings: Any, ask: Ask) -> Callable[..., Found]:
    """What is found of the cache that a CACHE_URL names."""

    def asked(url: str, seconds: float = 20.0) -> Found:
        given = environ.Env.cache_url_config(url)
        settings.CACHES = {
            **settings.CACHES, "default": {name.upper(): each for name, each in given.items()}
        }  # fmt: skip
        return ask("cache", seconds)

    return asked


def test_redis_answers_a_ping(redis_server: RedisServer, ask_cache: Callable[..., Found]) -> None:
    found = ask_cache(redis_server.url)
    assert (found.status, said(found)) == (Status.HEALTHY, "")
    assert found.answer.startswith("PING: ") and found.tls is None
    assert found.endpoint == f"redis://127.0.0.1:{redis_server.port}/0"
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_redis_over_tls_is_told_with_its_certificate(
    redis_over_tls: RedisServer, ask_cache: Callable[..., Found], stranger: Authority
) -> None:
    found = ask_cache(redis_over_tls.url)
    assert (found.status, said(found)) == (Status.HEALTHY, "")
    assert found.tls is not None and found.tls.judged == "chain and name"
    assert found.tls.leaf is not None and found.tls.leaf.issuer == "A test's CA"
    words = said(ask_cache(redis_over_tls.url.replace("localhost", "127.0.0.1")))
    assert "its certificate is for localhost, and not for 127.0.0.1" in words
    assert "name the host in CACHE_URL" in words
    found = ask_cache(f"{redis_over_tls.url}?ssl_ca_certs={stranger.file}")
    assert found.status is Status.HEALTHY, "more CAs are more"
    assert found.authorities.endswith(f"; ssl_ca_certs: {stranger.file}")


def test_redis_refuses_a_wrong_password_the_wrong_scheme_and_does_not_answer(
    redis_server: RedisServer, redis_over_tls: RedisServer, ask_cache: Callable[..., Found],
) -> None:  # fmt: skip
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "ana", "on", ">geheim", "+@all", "~*")
    try:
        words = said(ask_cache(redis_server.url.replace("://", "://ana:falsch@")))
    finally:
        with redis_server.client() as client:
            client.execute_command("ACL", "DELUSER", "ana")
    assert "Redis refuses the user or the password" in words and "falsch" not in words
    words = said(ask_cache(redis_over_tls.url.replace("rediss", "redis")))
    assert "rediss:// where the server speaks TLS" in words or "closed the connection" in words
    words = said(ask_cache(redis_server.url.replace("redis:", "rediss:"), SOON))
    assert "does not answer the TLS handshake -> does it speak TLS at this port?" in words
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"redis://127.0.0.1:{gone.getsockname()[1]}/0"
    assert "nothing listens at 127.0.0.1:" in said(ask_cache(url))


def test_a_redis_that_hangs_is_given_up_in_time(
    redis_server: RedisServer, ask_cache: Callable[..., Found]
) -> None:
    with redis_server.stalled():
        words = said(ask_cache(redis_server.url, SOON))
    assert f"127.0.0.1:{redis_server.port} can be reached and does not answer the call" in words


# --- Mail -----------------------------------------------------------------------------------------
class Mailbox:
    """What a mail server was told; its one account is ana:geheim."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.logins: list[bool] = []

    async def handle_NOOP(self, server: SMTP, *_: Any) -> str:
        self.said.append("NOOP")
        return "250 OK"

    async def handle_MAIL(self, server: SMTP, *_: Any) -> str:
        self.said.append("MAIL")
        return "250 OK"

    def authenticate(self, server: SMTP, session: Any, envelope: Any, how: str, data: Any) -> Any:
        ok = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ana", b"geheim")
        self.logins.append(ok)
        return AuthResult(success=ok, handled=False)


@contextmanager
def mail_server(issued: Issued | None = None) -> Iterator[tuple[int, Mailbox]]:
    box = Mailbox()
    options: dict[str, Any] = {}
    if issued:
        options = {
            "tls_context": issued.context(), "require_starttls": True,
            "authenticator": box.authenticate, "auth_required": True,
        }  # fmt: skip
    controller = Controller(box, hostname="127.0.0.1", port=free_port("127.0.0.1"), **options)
    controller.start()
    try:
        yield controller.port, box
    finally:
        controller.stop()


@pytest.fixture
def ask_mail(settings: Any, ask: Ask) -> Callable[..., Found]:
    """What is found of the mail server that an EMAIL_URL names."""

    def asked(url: str, seconds: float = 20.0) -> Found:
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        for name, value in environ.Env.email_url_config(url).items():
            setattr(settings, name, value)
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        return ask("mail", seconds)

    return asked


def test_a_mail_server_is_signed_in_to_after_starttls_and_no_mail_is_begun(
    authority: Authority, ask_mail: Callable[..., Found]
) -> None:
    with mail_server(authority.issue("localhost")) as (port, box):
        found = ask_mail(f"smtp+tls://ana:geheim@localhost:{port}")
        assert (found.status, said(found)) == (Status.HEALTHY, "")
        assert found.endpoint == f"smtp+tls://localhost:{port}"
        assert found.answer.startswith("EHLO, login, NOOP: ")
        assert found.tls is not None and found.tls.judged == "chain and name"
        assert (box.said, box.logins) == (["NOOP"], [True])
        found = ask_mail(f"smtp+tls://ana:falsch@localhost:{port}")
    assert "the server refuses the user or the password (535 " in said(found)
    assert "falsch" not in said(found)


def test_a_mail_server_that_is_not_believed_is_not_told_the_password(
    authority: Authority, ask_mail: Callable[..., Found]
) -> None:
    with mail_server(authority.issue("mail.example", until=-1)) as (port, box):
        words = said(ask_mail(f"smtp+tls://ana:geheim@localhost:{port}"))
    assert "its certificate expired on" in words or "is for mail.example" in words
    assert (box.said, box.logins) == ([], [])


def test_a_mail_server_without_tls_is_told_and_one_that_waits_for_it(
    ask_mail: Callable[..., Found],
) -> None:
    with mail_server() as (port, box):
        found = ask_mail(f"smtp://127.0.0.1:{port}")
        assert (found.status, box.said) == (Status.HEALTHY, ["NOOP"]), said(found)
        assert "offers no STARTTLS" in said(ask_mail(f"smtp+tls://127.0.0.1:{port}"))
        assert "does not speak TLS at this port" in said(ask_mail(f"smtp+ssl://127.0.0.1:{port}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = said(ask_mail(f"smtp+tls://127.0.0.1:{silent.getsockname()[1]}", SOON))
    assert "accepts the connection and says nothing" in words


# --- Web hooks and Sentry -------------------------------------------------------------------------
def test_a_hook_is_reached_and_nothing_is_posted_nor_its_url_told(
    settings: Any, authority: Authority, ask: Ask
) -> None:
    with Server(lambda _: http(b""), tls=authority.issue("localhost").context()) as server:
        settings.ALERT_SLACK_WEBHOOK = f"{server.endpoint}/services/T0/B0/geheim?token=geheim"
        settings.ALERT_PAGERDUTY_KEY = "geheim-geheim"
        settings.ALERT_PAGERDUTY_URL = f"{server.endpoint}/v2/enqueue"
        for name in ("slack", "pagerduty"):
            found = ask(name)
            assert (found.status, said(found)) == (Status.HEALTHY, "")
            assert found.endpoint == server.endpoint
            tries = f"`manage.py send_test_alert --channel {name}` sends a test"
            assert found.answer == f"not asked; {tries}"
            assert "geheim" not in repr(found)
    assert server.requests == []


def test_sentry_is_reached_through_the_proxy_that_its_sdk_uses(
    settings: Any, authority: Authority, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = authority.issue("sentry.nowhere.invalid")
    settings.SENTRY_DSN = "https://geheim@sentry.nowhere.invalid/7"
    with (
        Server(lambda _: http(b""), tls=issued.context()) as server,
        ConnectProxy(to=("127.0.0.1", server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)  # to which the SDK falls back for https, too
        found = ask("sentry")
    assert (found.status, said(found)) == (Status.HEALTHY, "")
    assert found.facts["proxy"] == proxy.url
    assert proxy.asked == ["sentry.nowhere.invalid:443"]
    assert "geheim" not in repr(found) and server.requests == []


@pytest.mark.parametrize(
    ("name", "setting", "url"),
    [
        ("slack", "ALERT_SLACK_WEBHOOK", "http://hooks.example/T0/geheim"),
        ("sentry", "SENTRY_DSN", "https://geheim.example"),
    ],
)
def test_what_is_no_address_is_told_by_its_setting_alone(
    settings: Any, ask: Ask, name: str, setting: str, url: str
) -> None:
    setattr(settings, setting, url)
    words = said(ask(name))
    assert words.startswith("critical ") and setting in words and "geheim" not in words
