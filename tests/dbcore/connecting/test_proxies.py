"""Proxies and CAs as each client has them: boto3 goes through HTTPS_PROXY, the wire and the web
hooks do not, and each is told."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from dbcore.monitoring.health.results import Status
from tests.dbcore.connecting.conftest import Ask, said
from tests.dbcore.wire.server import Server, http
from tests.support.archives import S3, use_storage
from tests.support.certificates import Authority
from tests.support.connect_proxy import ConnectProxy

HOST = "s3.nowhere.invalid"  # which no name server knows
DATE = "Date: Sun, 06 Nov 2016 08:49:37 GMT"


def bucket_answer(_: Any) -> bytes:
    return http(b"", "x-amz-bucket-region: eu-central-1")


@pytest.fixture
def bucket(settings: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket elsewhere, and a server that could be it."""
    use_storage(settings, S3, bucket_name="kept", endpoint_url=f"https://{HOST}",
                region_name="eu-central-1", location="")  # fmt: skip
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
    issued = authority.issue(HOST, f"*.{HOST}")
    with Server(bucket_answer, tls=issued.context()) as server:
        yield server


def test_a_proxy_that_connects_is_gone_through_and_told_without_its_password(
    bucket: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask, authority: Authority
) -> None:
    with ConnectProxy(to=("127.0.0.1", bucket.port)) as proxy:
        address = proxy.url.replace("://", "://ana:geheim%40@")
        monkeypatch.setenv("HTTPS_PROXY", address)
        found = ask("s3")
    assert (found.status, said(found)) == (Status.HEALTHY, "")
    assert found.facts["proxy"] == proxy.url, "without its user and password"
    assert found.addresses == (), "the proxy looked the name up, not this machine"
    assert found.authorities == f"AWS_CA_BUNDLE: {authority.file}"
    assert found.tls is not None and found.tls.judged == "chain and name"
    assert {each.partition(":")[2] for each in proxy.asked} == {"443"}
    assert set(proxy.accounts) == {"Basic YW5hOmdlaGVpbUA="}
    assert [each.method for each in bucket.requests] == ["HEAD"]


@pytest.mark.parametrize(
    ("refusal", "what", "advice"),
    [
        ("403 Forbidden", "refuses to connect for s3.nowhere.invalid:443 (403 Forbidden)",
         "have the proxy's owner allow it"),
        ("407 Proxy Authentication Required", "asks for a user and password",
         "HTTPS_PROXY a user and password"),
        ("502 Bad Gateway", "(502 Bad Gateway)", "can the proxy itself reach that host?"),
        ("nonsense \x1b[2J", "(", "?"),
    ],
    ids=["403", "407", "502", "nonsense"],
)  # fmt: skip
def test_a_proxy_that_refuses_is_told_with_what_to_do(
    bucket: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask, refusal: str, what: str, advice: str
) -> None:
    with ConnectProxy(refusal=refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://ana:geheim@"))
        found = ask("s3")
    assert found.status is Status.CRITICAL
    assert what in said(found) and advice in said(found)
    assert proxy.url in said(found) and "geheim" not in said(found)
    assert said(found).isprintable()
    assert bucket.requests == []


def test_no_proxy_is_honoured_and_a_proxy_that_is_none_is_told(
    bucket: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:geheim@proxy.nowhere.invalid:3128")
    assert "the name proxy.nowhere.invalid is not known" in said(ask("s3"))
    monkeypatch.setenv("NO_PROXY", HOST)
    found = ask("s3")
    assert found.facts["proxy"] == "none"
    assert f"the name {HOST} is not known" in said(found)
    monkeypatch.delenv("NO_PROXY")
    for wrong in ("socks5://ana:geheim@127.0.0.1:1080", "http://ana:geheim@127.0.0.1:99999"):
        monkeypatch.setenv("HTTPS_PROXY", wrong)
        words = said(ask("s3"))
        assert "HTTPS_PROXY is no address of a proxy" in words and "geheim" not in words
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{gone.getsockname()[1]}")
    assert "nothing listens at 127.0.0.1:" in said(ask("s3"))


def test_the_wire_and_the_hooks_do_not_use_it_and_that_is_told(
    settings: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    with ConnectProxy(refusal="403 Forbidden") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        settings.ALERT_SLACK_WEBHOOK = "https://localhost:9/T0/B0/secret"
        settings.DYNAMODB_ENDPOINT = f"https://{HOST}"
        found = ask("dynamodb")
        assert found.facts["proxy"] == "none: the wire to DynamoDB does not use HTTPS_PROXY"
        assert ask("slack").facts["proxy"] == "none: the sender of alerts does not use HTTPS_PROXY"
    assert proxy.asked == []


def test_each_client_has_cas_of_its_own(
    bucket: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask, stranger: Authority, tmp_path: Any
) -> None:
    with ConnectProxy(to=("127.0.0.1", bucket.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(stranger.file))
        words = said(ask("s3"))
        assert f"not among the CAs in use (AWS_CA_BUNDLE: {stranger.file})" in words
        monkeypatch.delenv("AWS_CA_BUNDLE")
        words = said(ask("s3"))
        assert "not among the CAs in use (botocore's default: " in words
        assert "into the file that AWS_CA_BUNDLE names" in words, "SSL_CERT_FILE is not for boto3"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
        words = said(ask("s3"))
        assert f"the CAs cannot be read (REQUESTS_CA_BUNDLE: {tmp_path / 'gone.pem'}" in words
    assert bucket.requests == []
