"""Signatures, with botocore's own signer as the judge, and where the credentials come from.

No test here may ask a real metadata service: where one would be asked, it is a server of ours.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.auth
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from dbcore.addresses import Endpoint, parse_endpoint
from dbcore.wire.signing import CONTENT_TYPE, Signer
from tests.dbcore.wire.server import Server, http

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"
DAY = 86400.0

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda name: name[-1].isalpha()),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
moments = st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1))  # noqa: DTZ001


@pytest.fixture(autouse=True)
def no_credentials_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has in its environment or home directory does not count."""
    for name in (ACCESS_KEY, SECRET_KEY, "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def metadata_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The place where botocore asks for a machine's role; it knows of none."""
    with Server(lambda _: http(b"", "Connection: close", status=404)) as server:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint)
        yield server


def signer_with(credentials: Any, endpoint: Endpoint, region: str = "eu-central-1") -> Signer:
    signer = Signer(region, endpoint.host_header, "test", loopback=endpoint.loopback)
    signer._credentials = credentials
    return signer


def headers_of(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST / HTTP/1.1"
    assert lines[-2:] == ["", ""]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


def access_key_of(head: bytes) -> str:
    return headers_of(head)["authorization"].partition("Credential=")[2].partition("/")[0]


def sign_with_botocore(
    credentials: Credentials, region: str, url: str, target: str, body: bytes, at: float
) -> dict[str, str]:
    request = AWSRequest(
        "POST", url, {"Content-Type": CONTENT_TYPE, "X-Amz-Target": target}, data=body
    )
    now = datetime.datetime.fromtimestamp(at, datetime.UTC).replace(tzinfo=None)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: now):
        SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def sign_at(signer: Signer, operation: str, body: bytes, at: float) -> dict[str, str]:
    with mock.patch.object(time, "time", lambda: at):
        return headers_of(signer.head(operation, body))


@given(
    body=st.binary(max_size=400),
    operation=st.from_regex(r"[A-Z][A-Za-z]{1,30}", fullmatch=True),
    region=labels,
    access_key=printable,
    secret=st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable()),
    token=st.none() | printable,
    host=hosts,
    port=ports,
    moment=moments,
)
def test_a_signature_is_byte_for_byte_the_one_that_botocore_makes(
    body: bytes,
    operation: str,
    region: str,
    access_key: str,
    secret: str,
    token: str | None,
    host: str,
    port: str,
    moment: datetime.datetime,
) -> None:
    at = moment.replace(tzinfo=datetime.UTC).timestamp()
    endpoint = parse_endpoint(f"https://{host}{port}")
    credentials = Credentials(access_key, secret, token)
    ours = sign_at(signer_with(credentials, endpoint, region), operation, body, at)
    theirs = sign_with_botocore(
        credentials, region, endpoint.url, f"DynamoDB_20120810.{operation}", body, at
    )
    for name, value in theirs.items():
        assert ours[name] == value
    assert ours["content-length"] == str(len(body))
    assert ("x-amz-security-token" in ours) == bool(token)


def test_the_cached_key_is_made_anew_for_another_day_and_for_other_credentials() -> None:
    endpoint = parse_endpoint("https://dynamodb.eu-central-1.amazonaws.com")
    one, other = Credentials("one", "first secret"), Credentials("one", "second secret")
    signer = signer_with(one, endpoint)
    evening = datetime.datetime(2026, 3, 1, 23, 59, 59, tzinfo=datetime.UTC).timestamp()
    for credentials, at in [
        (one, evening),
        (one, evening),
        (one, evening + 1),
        (other, evening + 1),
        (one, evening),
    ]:
        signer._credentials = credentials
        theirs = sign_with_botocore(
            credentials, signer.region, endpoint.url, "DynamoDB_20120810.GetItem", b"{}", at
        )
        assert sign_at(signer, "GetItem", b"{}", at)["authorization"] == theirs["authorization"]


def test_one_signer_signs_for_many_threads_while_the_credentials_change() -> None:
    endpoint = parse_endpoint("https://dynamodb.eu-central-1.amazonaws.com")
    people = [Credentials(f"key{n}", f"secret{n}", f"token{n}") for n in range(4)]
    signer = signer_with(people[0], endpoint)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for each in people:
                signer._credentials = each

    def sign(_: int) -> None:
        headers = headers_of(signer.head("PutItem", b"{}"))
        who = people[int(headers["x-amz-security-token"].removeprefix("token"))]
        stamp = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007
        at = stamp.replace(tzinfo=datetime.UTC).timestamp()
        target = headers["x-amz-target"]
        with lock:
            theirs = sign_with_botocore(who, signer.region, endpoint.url, target, b"{}", at)
        assert headers["authorization"] == theirs["authorization"]

    lock = threading.Lock()
    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(sign, range(400)))
    finally:
        done.set()
        changing.join()


def test_the_clock_s_offset_moves_the_date_that_is_signed() -> None:
    credentials = Credentials("key", "secret")
    endpoint = parse_endpoint("https://dynamodb.eu-central-1.amazonaws.com")
    signer = signer_with(credentials, endpoint)
    signer.clock_offset = -2 * DAY
    at = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC).timestamp()
    theirs = sign_with_botocore(
        credentials, signer.region, endpoint.url, "DynamoDB_20120810.GetItem", b"", at - 2 * DAY
    )
    ours = sign_at(signer, "GetItem", b"", at)
    assert ours["x-amz-date"] == "20260227T120000Z"
    assert ours["authorization"] == theirs["authorization"]


def test_on_loopback_without_credentials_dummies_do_and_no_metadata_service_is_asked(
    metadata_service: Server,
) -> None:
    signer = signer_with(None, parse_endpoint("http://localhost:8000"))
    head = signer.head("ListTables", b"{}")
    assert access_key_of(head) == "local"
    assert "x-amz-security-token" not in headers_of(head)
    assert metadata_service.connections == 0


def test_on_loopback_the_environment_s_credentials_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ACCESS_KEY, "AKIDEXAMPLE")
    monkeypatch.setenv(SECRET_KEY, "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    signer = signer_with(None, parse_endpoint("http://127.0.0.1:8000"))
    head = signer.head("ListTables", b"{}")
    assert access_key_of(head) == "AKIDEXAMPLE"
    assert headers_of(head)["x-amz-security-token"] == "a token"


def test_for_aws_the_whole_chain_is_asked_and_no_credentials_is_an_error(
    metadata_service: Server,
) -> None:
    signer = signer_with(None, parse_endpoint("https://dynamodb.eu-central-1.amazonaws.com"))
    with pytest.raises(NoCredentialsError):
        signer.head("ListTables", b"{}")
    assert metadata_service.connections > 0


def test_credentials_that_were_forgotten_are_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signer = signer_with(None, parse_endpoint("https://dynamodb.eu-central-1.amazonaws.com"))
    monkeypatch.setenv(SECRET_KEY, "secret")
    monkeypatch.setenv(ACCESS_KEY, "before")
    assert access_key_of(signer.head("ListTables", b"{}")) == "before"
    monkeypatch.setenv(ACCESS_KEY, "after")
    assert access_key_of(signer.head("ListTables", b"{}")) == "before"
    signer.forget_credentials()
    assert access_key_of(signer.head("ListTables", b"{}")) == "after"


def test_a_role_s_credentials_are_refreshed_before_they_run_out() -> None:
    made = 0

    def refresh() -> dict[str, str]:
        nonlocal made
        made += 1
        # Within botocore's mandatory window the first time, so that the next use refreshes.
        lasts = datetime.timedelta(minutes=5 if made == 1 else 60)
        expires = datetime.datetime.now(datetime.UTC) + lasts
        return {
            "access_key": f"key{made}",
            "secret_key": f"secret{made}",
            "token": f"token{made}",
            "expiry_time": expires.isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    signer = signer_with(credentials, parse_endpoint("https://dynamodb.us-east-1.amazonaws.com"))
    for _ in range(3):
        head = signer.head("GetItem", b"{}")
        assert access_key_of(head) == "key2"
        assert headers_of(head)["x-amz-security-token"] == "token2"
    assert made == 2
