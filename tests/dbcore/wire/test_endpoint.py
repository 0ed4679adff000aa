"""Where DynamoDB is found, and that nothing but this machine is ever spoken to in plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from dbcore.addresses import parse_endpoint
from dbcore.errors import ConfigurationError
from dbcore.local_engine import find_engine, release
from dbcore.local_engine.errors import EngineError
from dbcore.wire import Wire, close_wires, get_wire, resolve_endpoint
from tests.dbcore.wire.server import Server, http

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def no_configuration_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has in its environment or home directory does not count."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.fixture
def metadata_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The place where botocore asks for a machine's role; it knows of none."""
    with Server(lambda _: http(b"", "Connection: close", status=404)) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint)
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://10.0.0.1:8000",
        "http://example.com",
        "http://dynamodb.eu-central-1.amazonaws.com",
        "http://localhost.evil.com:8000",
        "http://127.0.0.1.nip.io",
        "http://localhost.:8000",
        "http://0.0.0.0:8000",
        "http://128.0.0.1",
        "http://2130706433",
        "http://127.1",
        "http://0x7f.0.0.1",
        "http://[::]:8000",
        "http://[::2]:8000",
        "http://[fe80::1]:8000",
        "http://[::ffff:10.0.0.1]",
        "http://host.docker.internal:8000",
        "HTTP://EXAMPLE.COM",
    ],
)
def test_plain_http_is_refused_for_every_other_machine(url: str) -> None:
    with pytest.raises(ConfigurationError, match="plain HTTP is allowed for this machine only"):
        parse_endpoint(url)


@pytest.mark.parametrize("url", ["http://localhost@evil.com", "http://127.0.0.1:80@10.0.0.1:8000"])
def test_a_user_named_like_this_machine_deceives_nobody(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_endpoint(url)


@given(st.ip_addresses())
def test_plain_http_is_for_loopback_addresses_alone(address: IPv4Address | IPv6Address) -> None:
    text = str(address)
    host = f"[{text}]" if ":" in text else text
    assert parse_endpoint(f"https://{host}").host == text
    if address.is_loopback:
        assert parse_endpoint(f"http://{host}").loopback
    else:
        with pytest.raises(ConfigurationError):
            parse_endpoint(f"http://{host}")


@pytest.mark.parametrize(
    ("url", "host", "port", "header"),
    [
        ("http://localhost:8000", "localhost", 8000, "localhost:8000"),
        ("http://LocalHost:8000/", "localhost", 8000, "localhost:8000"),
        ("http://localhost", "localhost", 80, "localhost"),
        ("http://localhost:443", "localhost", 443, "localhost:443"),
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://127.1.2.3:1", "127.1.2.3", 1, "127.1.2.3:1"),
        ("http://[::1]:8000", "::1", 8000, "[::1]:8000"),
    ],
)
def test_plain_http_is_allowed_on_this_machine(url: str, host: str, port: int, header: str) -> None:
    endpoint = parse_endpoint(url)
    assert (endpoint.host, endpoint.port, endpoint.host_header) == (host, port, header)
    assert endpoint.loopback
    assert endpoint.url == f"http://{header}"
    assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("url", "header", "loopback"),
    [
        ("https://10.0.0.1", "10.0.0.1", False),
        ("https://example.com:8443", "example.com:8443", False),
        ("https://example.com:443/", "example.com", False),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", False),
        ("https://localhost:8443", "localhost:8443", True),
    ],
)
def test_https_is_allowed_everywhere(url: str, header: str, loopback: bool) -> None:
    endpoint = parse_endpoint(url)
    assert (endpoint.scheme, endpoint.host_header, endpoint.loopback) == ("https", header, loopback)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:8000", "is not a URL such as http://localhost:8000"),
        ("//localhost:8000", "is not a URL"),
        ("ftp://localhost", "is not a URL"),
        ("http://", "is not a URL"),
        ("http://:8000", "is not a URL"),
        ("locall", "is not a URL"),
        (" ", "is not a URL"),
        ("http://localhost:eight", "its port must be"),
        ("http://localhost:70000", "its port must be"),
        ("http://localhost:0", "its port must be"),
        ("http://[::1", "is not a URL"),
        ("http://localhost:8000/shell", "may not have a path"),
        ("http://localhost:8000/?x=1", "may not have a path"),
        ("http://localhost:8000/#x", "may not have a path"),
        ("https://me:secret@dynamodb.example.com", "may not have a user"),
    ],
)
def test_a_bad_url_is_named_with_what_is_wrong_with_it(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match="DynamoDB endpoint") as caught:
        parse_endpoint(url)
    assert complaint in str(caught.value)


def test_a_password_in_a_url_is_not_repeated_in_the_complaint() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_endpoint("https://me:secret@dynamodb.example.com")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "dynamodb.eu-central-1.amazonaws.com"),
        ("us-east-1", "dynamodb.us-east-1.amazonaws.com"),
        ("cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_an_empty_setting_is_aws_s_own_endpoint_and_nobody_is_asked_for_it(
    region: str, host: str, metadata_service: Server
) -> None:
    endpoint = resolve_endpoint("", region)
    assert endpoint.url == f"https://{host}"
    assert (endpoint.port, endpoint.loopback) == (443, False)
    assert metadata_service.connections == 0


def test_the_environment_may_name_another_endpoint_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://vpce-1.dynamodb.example.com")
    assert resolve_endpoint("", REGION).url == "https://vpce-1.dynamodb.example.com"


def test_the_environment_s_endpoint_is_held_to_https_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://10.0.0.1:8000")
    with pytest.raises(ConfigurationError, match="plain HTTP"):
        resolve_endpoint("", REGION)


def test_a_url_in_the_setting_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://vpce-1.dynamodb.example.com")
    assert resolve_endpoint("http://localhost:8000", REGION).url == "http://localhost:8000"


def test_local_starts_the_project_s_engine_and_speaks_to_it(
    settings: Settings, tmp_path: Path
) -> None:
    try:
        find_engine("dynoxide", django_settings.DYNOXIDE_BINARY)
    except EngineError as error:
        pytest.skip(str(error))
    settings.LOCAL_DYNAMODB_PATH = tmp_path / "engine.db"
    settings.LOCAL_DYNAMODB_PORT = 0
    settings.DYNAMODB_ENGINE = "dynoxide"
    settings.DYNAMODB_ENDPOINT = "local"
    try:
        endpoint = resolve_endpoint("local", REGION)
        assert endpoint.loopback
        assert resolve_endpoint("local", REGION) == endpoint
        wire = get_wire()
        assert wire.endpoint == endpoint
        assert wire.call("ListTables", {}) == {"TableNames": []}
    finally:
        close_wires()
        release()


def test_a_wire_cannot_be_made_for_an_endpoint_in_plain_http_elsewhere(settings: Settings) -> None:
    settings.DYNAMODB_ENDPOINT = "http://10.0.0.1:8000"
    with pytest.raises(ConfigurationError, match="plain HTTP"):
        get_wire()


def test_the_settings_wire_is_shared_until_they_change(settings: Settings) -> None:
    settings.DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
    wire = get_wire()
    assert isinstance(wire, Wire)
    assert get_wire() is wire
    settings.DYNAMODB_READ_TIMEOUT = 1.0
    assert get_wire() is not wire
    assert get_wire().read_timeout == 1.0
    close_wires()
    settings.DYNAMODB_READ_TIMEOUT = django_settings.DYNAMODB_READ_TIMEOUT
    assert get_wire() is not wire
