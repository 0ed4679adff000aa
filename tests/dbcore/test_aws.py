"""Clients of AWS: whoever names their endpoint, nothing is told to another machine in plain text,
and no variable switches the verification of certificates off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from dbcore import aws
from dbcore.addresses import parse_endpoint
from dbcore.errors import ConfigurationError
from dbcore.retention.archives.s3 import S3Archives
from dbcore.wire.signing import Signer
from tests.dbcore.wire.server import Server, http
from tests.support.certificates import make_certificate

REGION = "eu-central-1"
ELSEWHERE = "http://aws.example.com:4566"
VARIABLES = (
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
    "AWS_PROFILE", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
)  # fmt: skip
PUBLISHED = (
    b"<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
)
MOVED = b"<ErrorResponse><Error><Code>Moved</Code></Error></ErrorResponse>"


def sns(endpoint: str = "") -> Any:
    return aws.client(
        "sns", REGION, endpoint, "ALERT_SNS_ENDPOINT",
        connect_timeout=5, read_timeout=5, attempts=1,
    )  # fmt: skip


def cloudwatch(endpoint: str = "") -> Any:
    return aws.client(
        "cloudwatch", REGION, endpoint, "DB_CLOUDWATCH_ENDPOINT",
        connect_timeout=5, read_timeout=5, attempts=1,
    )  # fmt: skip


def s3(endpoint: str = "") -> Any:
    given: dict[str, Any] = {"bucket_name": "kept", "region_name": REGION}
    return S3Archives(endpoint_url=endpoint or None, **given).client


def publish(client: Any) -> str:
    return str(client.publish(TopicArn=f"arn:aws:sns:{REGION}:1:t", Message="m")["MessageId"])


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keys in the environment, and nothing of this machine's own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


@pytest.fixture
def topic() -> Iterator[Server]:
    """SNS, which takes whatever it is told."""
    with Server(lambda _: http(PUBLISHED, "Content-Type: text/xml")) as server:
        yield server


@pytest.mark.parametrize(
    ("make", "variable"),
    [
        (sns, "AWS_ENDPOINT_URL_SNS"),
        (cloudwatch, "AWS_ENDPOINT_URL"),
        (s3, "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_an_endpoint_in_the_environment_is_held_to_https(
    make: Callable[[], Any], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, ELSEWHERE)
    with pytest.raises(ConfigurationError, match=r"'aws\.example\.com': plain HTTP is allowed"):
        make()
    monkeypatch.setenv(variable, "https://aws.example.com:4566")
    assert make().meta.endpoint_url == "https://aws.example.com:4566"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (sns, "[default]\nservices = mine\n[services mine]\nsns =\n  endpoint_url = {url}\n"),
        (s3, "[default]\nendpoint_url = {url}\n"),
    ],
)
def test_an_endpoint_in_the_config_file_is_held_to_https(
    make: Callable[[], Any], text: str, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(text.format(url=ELSEWHERE))
    with pytest.raises(ConfigurationError, match=r"'aws\.example\.com': plain HTTP is allowed"):
        make()


@pytest.mark.parametrize("make", [sns, cloudwatch, s3])
def test_an_endpoint_in_the_setting_is_held_to_https(make: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"'aws\.example\.com': plain HTTP is allowed"):
        make(ELSEWHERE)


def test_where_nobody_names_an_endpoint_it_is_that_of_aws() -> None:
    assert parse_endpoint(sns().meta.endpoint_url).host.endswith(f"{REGION}.amazonaws.com")


def test_a_client_is_kept_and_one_for_another_endpoint_is_another(topic: Server) -> None:
    assert sns(topic.endpoint) is sns(topic.endpoint)
    assert sns(topic.endpoint) is not sns("https://aws.example.com")
    assert publish(sns(topic.endpoint)) == "m"


WEB_IDENTITY = """
[default]
role_arn = arn:aws:iam::1:role/r
web_identity_token_file = {folder}/token
"""
ANOTHERS_ROLE = """
[default]
role_arn = arn:aws:iam::1:role/r
source_profile = other
[profile other]
aws_access_key_id = key
aws_secret_access_key = secret
"""


@pytest.mark.parametrize("text", [WEB_IDENTITY, ANOTHERS_ROLE])
def test_credentials_are_not_asked_for_in_plain_text_either(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: Server
) -> None:
    (tmp_path / "config").write_text(text.format(folder=tmp_path))
    (tmp_path / "token").write_text("a token that nobody else may have")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ELSEWHERE)
    with pytest.raises(ConfigurationError, match=r"AWS endpoint .*'aws\.example\.com'"):
        publish(sns(topic.endpoint))
    signer = Signer(REGION, "dynamodb.example.com", "test", loopback=False)
    with pytest.raises(ConfigurationError, match=r"AWS endpoint .*'aws\.example\.com'"):
        signer.head("ListTables", b"{}")
    assert not topic.requests


def test_s3_itself_is_guarded_when_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = S3Archives(bucket_name="kept", region_name=REGION)
    client = storage.client
    client.meta.events.register(
        "before-sign.s3", lambda request, **_: setattr(request, "url", f"{ELSEWHERE}/kept")
    )
    with pytest.raises(ConfigurationError, match=r"AWS endpoint .*'aws\.example\.com'"):
        client.head_bucket(Bucket="kept")


@pytest.mark.parametrize("options", [{"verify": False}, {"use_ssl": False}])
def test_the_storage_of_archives_cannot_be_told_to_trust_anybody(options: dict[str, bool]) -> None:
    with pytest.raises(ConfigurationError, match="a server that is verified"):
        S3Archives(bucket_name="kept", region_name=REGION, **options)
    local = "http://127.0.0.1:4566"
    S3Archives(bucket_name="kept", region_name=REGION, endpoint_url=local, **options)


def test_no_variable_switches_verification_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_certificate(tmp_path, "localhost")
    with Server(lambda _: http(PUBLISHED, "Content-Type: text/xml"), tls) as server:
        for variable in ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
            for value in ("", "false", str(tmp_path)):
                monkeypatch.setenv(variable, value)
                aws.client.cache_clear()
                with pytest.raises(BotoCoreError):
                    publish(sns(server.endpoint))
        assert not server.requests
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
        aws.client.cache_clear()
        assert publish(sns(server.endpoint)) == "m"


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed(status: int, topic: Server) -> None:
    headers = (
        f"Location: {topic.endpoint}/", "Content-Type: text/xml", "x-amz-bucket-region: us-east-1",
    )  # fmt: skip

    def redirect(_: Any) -> bytes:
        return http(MOVED, *headers, status=status)

    with Server(redirect) as server:
        with pytest.raises(ClientError):
            publish(sns(server.endpoint))
        with pytest.raises(ClientError):
            s3(server.endpoint).get_object(Bucket="kept", Key="k")
    assert not topic.requests


@pytest.mark.parametrize("named_by", ["setting", "environment"])
def test_what_is_for_this_machine_does_not_go_to_a_proxy(
    named_by: str, topic: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = topic.endpoint if named_by == "setting" else ""
    monkeypatch.setenv("AWS_ENDPOINT_URL", topic.endpoint)
    with Server(lambda _: http(b"", status=500)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        assert publish(sns(endpoint)) == "m"
        assert s3(endpoint).head_bucket(Bucket="kept")
        assert proxy.connections == 0
