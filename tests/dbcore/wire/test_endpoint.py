"""Where DynamoDB is found, whoever names the place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

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
