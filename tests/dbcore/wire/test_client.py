"""Single calls: what is tried again and what is not, what is reported, and which connections are
used for it.

The engine is real, and so is every fault. No test measures how long anything took.
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)

import dbcore.wire.client
from dbcore.addresses import parse_endpoint
from dbcore.local_engine import LocalEngine
from dbcore.wire import HOOKS, Call, Wire
from tests.dbcore.wire.server import (
    Server,
    dynamodb,
    echo,
    http,
    in_turn,
    wait_until,
)
from tests.support.certificates import make_certificate
from tests.support.proxy import Call as ProxyCall
from tests.support.proxy import (
    ClockSkew,
    CorruptBody,
    Delay,
    DropAfter,
    DropBefore,
    ExpiredToken,
    Fault,
    FaultProxy,
    InternalServerError,
    ServiceUnavailable,
    Throttle,
    ThrottlingException,
    Truncate,
)
from tests.support.wire import make_error

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"
THROTTLED = "ProvisionedThroughputExceededException"


@pytest.fixture
def make_wire() -> Iterator[Callable[..., Wire]]:
    """Makes wires that are closed in the end."""
    wires: list[Wire] = []

    def make(url: str, **options: Any) -> Wire:
        wires.append(Wire(parse_endpoint(url), REGION, **options))
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """Every call that the hooks are told of."""
    found: list[Call] = []
    HOOKS.append(found.append)
    yield found
    HOOKS.remove(found.append)


@pytest.fixture(scope="module")
def table(dynamodb_engine: LocalEngine) -> Iterator[str]:
    """A table with a string key."""
    name = f"wire-{uuid.uuid4().hex}"
    wire = Wire(parse_endpoint(dynamodb_engine.endpoint), REGION)
    wire.call(
        "CreateTable",
        {
            "TableName": name,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    yield name
    wire.call("DeleteTable", {"TableName": name})
    wire.close()


@pytest.fixture
def proxy(dynamodb_engine: LocalEngine) -> Iterator[FaultProxy]:
    with FaultProxy(dynamodb_engine.endpoint, seed=7) as proxy:
        yield proxy


@pytest.fixture
def wire(proxy: FaultProxy, make_wire: Callable[..., Wire]) -> Wire:
    """A wire to the engine, through the proxy."""
    return make_wire(proxy.endpoint)


def put(table: str, item: str, **more: Any) -> dict[str, Any]:
    return {"TableName": table, "Item": {"id": {"S": item}}, **more}


def get(table: str, item: str) -> dict[str, Any]:
    return {"TableName": table, "Key": {"id": {"S": item}}, "ConsistentRead": True}


# --- What is tried again --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Throttle, ThrottlingException])
def test_a_throttled_call_succeeds_in_the_end_and_its_throttles_are_counted(
    fault: type[Fault], wire: Wire, proxy: FaultProxy, table: str, calls: list[Call]
) -> None:
    proxy.set_faults(fault(times=3))
    wire.call("PutItem", put(table, "throttled"))
    assert [(call.retries, call.throttles, call.error) for call in calls] == [(3, 3, None)]
    assert proxy.counts[fault.__name__] == 3
    assert wire.call("GetItem", get(table, "throttled"))["Item"] == {"id": {"S": "throttled"}}


@pytest.mark.parametrize(
    "fault", [InternalServerError, ServiceUnavailable, DropBefore, DropAfter, Truncate, CorruptBody]
)
def test_a_fault_that_passes_is_not_seen_by_the_caller(
    fault: type[Fault], wire: Wire, proxy: FaultProxy, table: str, calls: list[Call]
) -> None:
    proxy.set_faults(fault(times=2))
    answer = wire.call("PutItem", put(table, "passed", ReturnConsumedCapacity="TOTAL"))
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1.0
    assert [(call.retries, call.throttles, call.error) for call in calls] == [(2, 0, None)]
    assert [fired for _, fired in proxy.requests] == [fault.__name__, fault.__name__, None]


def test_an_answer_with_one_wrong_bit_is_never_returned(
    wire: Wire, proxy: FaultProxy, table: str
) -> None:
    wire.call("PutItem", {"TableName": table, "Item": {"id": {"S": "x"}, "n": {"N": "1234567"}}})
    proxy.set_faults(CorruptBody(p=0.5, operations=("GetItem",)))
    for _ in range(30):
        assert wire.call("GetItem", get(table, "x"))["Item"]["n"] == {"N": "1234567"}
    assert proxy.counts["CorruptBody"] > 5


def test_an_answer_that_is_overdue_is_asked_for_again_and_mixes_with_no_other(
    make_wire: Callable[..., Wire], table: str, proxy: FaultProxy, calls: list[Call]
) -> None:
    wire = make_wire(proxy.endpoint, read_timeout=0.25)
    for item in ("a", "b"):
        wire.call("PutItem", put(table, item))
    calls.clear()
    proxy.set_faults(Delay(0.6, times=1))
    assert wire.call("GetItem", get(table, "a"))["Item"] == {"id": {"S": "a"}}
    assert calls[0].retries == 1
    for item in ("b", "a", "b"):
        assert wire.call("GetItem", get(table, item))["Item"] == {"id": {"S": item}}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(http(b"<html>welcome</html>"), id="a page"),
        pytest.param(http(b"[]"), id="a list"),
        pytest.param(http(b"{}", "x-amz-crc32: none"), id="a checksum that is no number"),
        pytest.param(http(b"{}", "Content-Length: two", length=False), id="a length in words"),
        pytest.param(
            http(b"{}  ", "Content-Length: 2", length=False), id="more than the length says"
        ),
        pytest.param(
            http(b"x\r\n{}\r\n", "Transfer-Encoding: chunked", length=False), id="a bad chunk"
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 ", id="the beginning of a head"),
        pytest.param(b"", id="nothing at all"),
    ],
)
def test_what_is_not_an_answer_is_asked_for_again(
    broken: bytes, make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with Server(in_turn(broken, dynamodb({"good": True}))) as server:
        wire = make_wire(server.endpoint)
        assert wire.call("GetItem", {"TableName": "t"}) == {"good": True}
        assert [call.retries for call in calls] == [1]


# --- The deadline ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "code", "status"),
    [
        (Throttle(), ClientError, THROTTLED, 400),
        (ThrottlingException(), ClientError, "ThrottlingException", 400),
        (InternalServerError(), ClientError, "InternalServerError", 500),
        (ServiceUnavailable(), ClientError, "ServiceUnavailable", 503),
        (DropBefore(), ConnectionClosedError, "ConnectionClosedError", None),
        (DropAfter(), ConnectionClosedError, "ConnectionClosedError", None),
        (Truncate(), ConnectionClosedError, "ConnectionClosedError", None),
        (CorruptBody(), ChecksumError, "ChecksumError", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else None,
)
def test_what_does_not_pass_is_raised_once_the_deadline_has(
    fault: Fault,
    kind: type[Exception],
    code: str,
    status: int | None,
    wire: Wire,
    proxy: FaultProxy,
    table: str,
    calls: list[Call],
) -> None:
    proxy.set_faults(fault)
    with pytest.raises(kind) as caught:
        wire.call("GetItem", get(table, "never"), deadline=0.8)
    assert [call.error for call in calls] == [code]
    assert calls[0].retries == len(proxy.requests) - 1 >= 1
    if isinstance(caught.value, ClientError):
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == calls[0].retries
        assert caught.value.operation_name == "GetItem"


def test_a_server_that_never_answers_costs_no_more_than_the_deadline(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with Server() as server:

        def never(_: object) -> None:
            server.ending.wait()

        server.answering = never
        # With the read timeout alone this would take longer than the test may.
        wire = make_wire(server.endpoint, read_timeout=3600.0, deadline=0.3)
        with pytest.raises(ReadTimeoutError):
            wire.call("ListTables", {})
    assert [call.error for call in calls] == ["ReadTimeoutError"]


def test_an_answer_that_stops_in_the_middle_times_out(make_wire: Callable[..., Wire]) -> None:
    with Server(in_turn(http(b"{", "Content-Length: 2", length=False))) as server:
        wire = make_wire(server.endpoint, read_timeout=0.1, deadline=0.2)
        with pytest.raises(ReadTimeoutError):
            wire.call("ListTables", {})


def test_a_port_where_nobody_listens_is_an_endpoint_that_cannot_be_reached(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EndpointConnectionError, match=f"http://127.0.0.1:{port}"):
        make_wire(f"http://127.0.0.1:{port}").call("ListTables", {}, deadline=0.2)
    assert [call.error for call in calls] == ["EndpointConnectionError"]


@pytest.mark.skipif(sys.platform != "linux", reason="how a full backlog is told is Linux's own")
def test_a_host_that_does_not_take_the_connection_is_told_from_one_that_does_not_answer(
    make_wire: Callable[..., Wire],
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(3):  # more than the backlog takes
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        wire = make_wire(f"http://127.0.0.1:{address[1]}", connect_timeout=0.1)
        with pytest.raises(ConnectTimeoutError):
            wire.call("ListTables", {}, deadline=0.3)
        for each in waiting:
            each.close()


def test_no_time_at_all_is_one_try(wire: Wire, proxy: FaultProxy, table: str) -> None:
    proxy.set_faults(Throttle())
    with pytest.raises(ClientError, match=THROTTLED):
        wire.call("GetItem", get(table, "never"), deadline=0.0)
    assert len(proxy.requests) == 1


# --- What is not tried again ----------------------------------------------------------------------


def unprocessable(table: str) -> dict[str, tuple[str, dict[str, Any]]]:
    absent = {"ConditionExpression": "attribute_not_exists(id)"}
    return {
        "ValidationException": ("PutItem", {"TableName": table, "Item": {"other": {"S": "x"}}}),
        "ResourceNotFoundException": ("GetItem", get("no-such-table", "x")),
        "ConditionalCheckFailedException": (
            "PutItem",
            put(table, "there", **absent, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        ),
        "TransactionCanceledException": (
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": put(table, "new")},
                    {
                        "Put": put(
                            table,
                            "there",
                            **absent,
                            ReturnValuesOnConditionCheckFailure="ALL_OLD",
                        )
                    },
                ]
            },
        ),
    }


@pytest.mark.parametrize("code", list(unprocessable("")))
def test_an_error_that_no_retry_mends_is_raised_at_once_and_as_boto3_raises_it(
    code: str, wire: Wire, proxy: FaultProxy, table: str, calls: list[Call]
) -> None:
    wire.call("PutItem", put(table, "there"))
    proxy.requests.clear()
    calls.clear()
    operation, payload = unprocessable(table)[code]
    with pytest.raises(ClientError) as ours:
        wire.call(operation, payload)
    assert proxy.requests == [(operation, None)]
    assert [(call.retries, call.error) for call in calls] == [(0, code)]

    client = boto3.client(
        "dynamodb",
        endpoint_url=proxy.endpoint,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    method = {"PutItem": client.put_item, "GetItem": client.get_item}
    with pytest.raises(ClientError) as theirs:
        method.get(operation, client.transact_write_items)(**payload)
    client.close()
    mine, boto = ours.value.response, theirs.value.response
    assert mine["Error"]["Code"] == code
    assert mine["Error"] == boto["Error"]
    assert str(ours.value) == str(theirs.value)
    assert ours.value.operation_name == theirs.value.operation_name
    for part in ("HTTPStatusCode", "RetryAttempts"):
        assert mine["ResponseMetadata"][part] == boto["ResponseMetadata"][part]  # type: ignore[literal-required]
    assert set(mine["ResponseMetadata"]) == set(boto["ResponseMetadata"])
    for part in ("Item", "CancellationReasons"):
        assert mine.get(part) == boto.get(part)
    assert ("Item" in mine) == (code == "ConditionalCheckFailedException")
    if code == "TransactionCanceledException":
        reasons = [reason["Code"] for reason in mine["CancellationReasons"]]  # type: ignore[typeddict-item]
        assert reasons == ["None", "ConditionalCheckFailed"]


# --- The clock and the credentials ----------------------------------------------------------------


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 86400.0, -86400.0])
def test_a_wrong_clock_is_put_right_and_stays_right(
    seconds: float, wire: Wire, proxy: FaultProxy, table: str, calls: list[Call]
) -> None:
    proxy.set_faults(ClockSkew(seconds))
    for _ in range(3):
        wire.call("GetItem", get(table, "x"))
    assert [call.retries for call in calls] == [1, 0, 0]
    assert proxy.counts["ClockSkew"] == 1


def test_a_clock_that_is_mended_is_followed(
    wire: Wire, proxy: FaultProxy, table: str, calls: list[Call]
) -> None:
    for seconds in (3600.0, 0.0, -3600.0):
        proxy.set_faults(ClockSkew(seconds))
        wire.call("GetItem", get(table, "x"))
    assert [call.retries for call in calls] == [1, 1, 1]


def test_calls_that_were_under_way_together_all_survive_the_wrong_clock(
    wire: Wire, proxy: FaultProxy, table: str
) -> None:
    together = threading.Barrier(8)
    arrived = iter(range(8))
    lock = threading.Lock()

    def hold_the_first(_: ProxyCall) -> None:
        with lock:
            held = next(arrived, None) is not None
        if held:
            together.wait(30)  # all are signed with the wrong clock before any is answered

    proxy.set_faults(hold_the_first, ClockSkew(3600.0))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: wire.call("GetItem", get(table, "x")), range(8)))
    assert proxy.counts["ClockSkew"] == 8


def test_a_wrong_signature_at_the_right_time_is_raised_at_once(
    wire: Wire, proxy: FaultProxy, table: str
) -> None:
    kind = "com.amazon.coral.service#InvalidSignatureException"
    proxy.set_faults(lambda _: make_error(400, kind, "The signature does not match"))
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        wire.call("GetItem", get(table, "x"))
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("date", ["", "yesterday", formatdate(0, usegmt=True)])
def test_a_server_whose_clock_cannot_be_right_is_asked_twice_at_most(
    date: str, make_wire: Callable[..., Wire]
) -> None:
    error = {"__type": "x#InvalidSignatureException", "message": "Signature expired"}
    with Server(in_turn(dynamodb(error, f"Date: {date}", status=400))) as server:
        with pytest.raises(ClientError, match="Signature expired"):
            make_wire(server.endpoint).call("ListTables", {})
        assert len(server.requests) <= 2


def test_after_an_expired_token_the_credentials_are_looked_up_again_once(
    wire: Wire,
    proxy: FaultProxy,
    table: str,
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys: list[str] = []

    def note(call: ProxyCall) -> None:
        keys.append(call.request.header("authorization").split("=")[1].split("/")[0])

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "before")
    proxy.set_faults(note)
    wire.call("GetItem", get(table, "x"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "after")
    proxy.set_faults(note, ExpiredToken())
    wire.call("GetItem", get(table, "x"))
    assert keys == ["before", "before", "after"]
    assert [call.retries for call in calls] == [0, 1]

    keys.clear()
    proxy.set_faults(note, ExpiredToken(times=None))
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        wire.call("GetItem", get(table, "x"))
    assert len(keys) == 2


def test_without_credentials_nothing_is_sent_and_the_call_is_reported_once(
    make_wire: Callable[..., Wire],
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    wire = make_wire("https://dynamodb.eu-central-1.amazonaws.com")
    with pytest.raises(NoCredentialsError):  # a connection would be refused by the test's socket
        wire.call("ListTables", {})
    assert [(call.retries, call.error) for call in calls] == [(0, "NoCredentialsError")]


def test_half_of_the_credentials_is_an_error_at_once(
    make_wire: Callable[..., Wire], calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with Server() as server:
        with pytest.raises(PartialCredentialsError):
            make_wire(server.endpoint).call("ListTables", {})
        assert server.connections == 0
    assert [call.retries for call in calls] == [0]


# --- Connections ----------------------------------------------------------------------------------


def test_a_connection_is_used_again_and_again(make_wire: Callable[..., Wire]) -> None:
    with Server() as server:
        wire = make_wire(server.endpoint)
        for n in range(50):
            assert wire.call("GetItem", {"n": n}) == {"n": n}
        assert server.connections == 1


@pytest.mark.parametrize("rudely", [False, True], ids=["politely", "rudely"])
@pytest.mark.parametrize("looked_at", [False, True], ids=["at once", "after a while"])
def test_an_idle_connection_that_the_server_closed_is_replaced_and_is_no_retry(
    rudely: bool,
    looked_at: bool,
    make_wire: Callable[..., Wire],
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if looked_at:
        monkeypatch.setattr(dbcore.wire.client, "IDLE_CHECK", 0.0)
    with Server() as server:
        wire = make_wire(server.endpoint)
        for n in range(4):
            assert wire.call("GetItem", {"n": n}) == {"n": n}
            server.close_connections(rudely=rudely)
            wait_until(lambda: server.open_now == 0)
        assert server.connections == 4
    assert [call.retries for call in calls] == [0, 0, 0, 0]


def test_however_many_idle_connections_were_closed_a_request_is_sent_twice_at_most_unasked(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    together = threading.Barrier(8)

    def all_at_once(request: Any) -> bytes:
        together.wait(30)
        return echo(request)

    with Server(all_at_once) as server:
        wire = make_wire(server.endpoint)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: wire.call("GetItem", {"n": n}), range(8)))
        assert server.connections == 8
        server.answering = in_turn(None)
        server.requests.clear()
        with pytest.raises(ConnectionClosedError):
            wire.call("GetItem", {}, deadline=0.0)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "header", ["Connection: close", "connection: close", "Connection:close", "CONNECTION: Close"]
)
def test_a_connection_that_the_server_means_to_close_is_not_used_again(
    header: str, make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with Server(in_turn(dynamodb({"n": 1}, header))) as server:
        server.closes = False  # so that only the client's obedience counts
        wire = make_wire(server.endpoint)
        for _ in range(5):
            assert wire.call("GetItem", {}) == {"n": 1}
        assert server.connections == len(server.requests) == 5
    assert [call.retries for call in calls] == [0] * 5


def chunked(body: bytes, ending: bytes = b"0\r\n\r\n") -> bytes:
    parts = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunks = b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in parts)
    checksum = f"x-amz-crc32: {zlib.crc32(body)}"
    return http(chunks + ending, "Transfer-Encoding: chunked", checksum, length=False)


def test_an_answer_in_chunks_is_put_together(make_wire: Callable[..., Wire]) -> None:
    body = b'{"text": "' + b"0123456789" * 500 + b'"}'
    with Server(in_turn(chunked(body))) as server:
        wire = make_wire(server.endpoint)
        for _ in range(3):
            assert wire.call("GetItem", {}) == {"text": "0123456789" * 500}
        assert server.connections == 1


def test_what_follows_the_last_chunk_is_not_taken_for_the_next_answer(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with Server(in_turn(chunked(b'{"n": 1}', b"0\r\nExpires: 0\r\n\r\n"))) as server:
        wire = make_wire(server.endpoint)
        for _ in range(3):
            assert wire.call("GetItem", {}) == {"n": 1}
        assert server.connections == 3
    assert [call.retries for call in calls] == [0, 0, 0]


def test_an_answer_without_a_length_ends_with_its_connection(
    make_wire: Callable[..., Wire],
) -> None:
    body = b'{"n": 1}'
    with Server(in_turn(http(body, f"x-amz-crc32: {zlib.crc32(body)}", length=False))) as server:
        wire = make_wire(server.endpoint)
        for _ in range(3):
            assert wire.call("GetItem", {}) == {"n": 1}
        assert server.connections == 3


def test_a_large_answer_that_comes_in_pieces_is_whole(make_wire: Callable[..., Wire]) -> None:
    payload = {"Items": [{"id": {"S": f"{n:0>1000}"}} for n in range(1000)]}
    with Server() as server:
        assert make_wire(server.endpoint).call("Scan", payload) == payload


def test_an_empty_answer_is_an_empty_dict(make_wire: Callable[..., Wire]) -> None:
    with Server(in_turn(http(b""))) as server:
        assert make_wire(server.endpoint).call("TagResource", {}) == {}


@pytest.mark.parametrize("size", [0, 1, 3])
def test_no_more_connections_are_kept_than_the_pool_may_have(
    size: int, make_wire: Callable[..., Wire]
) -> None:
    together = threading.Barrier(8)

    def all_at_once(request: Any) -> bytes:
        together.wait(30)
        return echo(request)

    with Server(all_at_once) as server:
        wire = make_wire(server.endpoint, pool_size=size)
        for _ in range(3):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: wire.call("GetItem", {"n": n}), range(8)))
            wait_until(lambda: server.open_now == size)
        wire.close()
        wait_until(lambda: server.open_now == 0)


def test_a_closed_wire_may_be_used_again(wire: Wire, table: str) -> None:
    wire.call("PutItem", put(table, "x"))
    wire.close()
    assert wire.call("GetItem", get(table, "x"))["Item"] == {"id": {"S": "x"}}


def test_sixteen_threads_at_once_all_get_their_own_answers(
    dynamodb_engine: LocalEngine, make_wire: Callable[..., Wire], table: str, calls: list[Call]
) -> None:
    wire = make_wire(dynamodb_engine.endpoint, pool_size=8)
    for n in range(16):
        wire.call("PutItem", put(table, f"thread-{n}"))
    calls.clear()

    def ask(thread: int) -> list[str]:
        return [
            wire.call("GetItem", get(table, f"thread-{(thread + n) % 16}"))["Item"]["id"]["S"]
            for n in range(200)
        ]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(16)))
    for thread, items in enumerate(found):
        assert items == [f"thread-{(thread + n) % 16}" for n in range(200)]
    assert len(calls) == 3200
    assert {call.retries for call in calls} == {0}


def test_threads_get_their_own_answers_through_every_fault(
    proxy: FaultProxy, make_wire: Callable[..., Wire], table: str
) -> None:
    wire = make_wire(proxy.endpoint, read_timeout=5.0)
    for n in range(8):
        wire.call("PutItem", put(table, f"thread-{n}"))
    faults = [Throttle, InternalServerError, DropBefore, DropAfter, Truncate, CorruptBody]
    proxy.set_faults(*(fault(p=0.03) for fault in faults))

    def ask(thread: int) -> list[str]:
        return [
            wire.call("GetItem", get(table, f"thread-{(thread + n) % 8}"))["Item"]["id"]["S"]
            for n in range(30)
        ]

    with ThreadPoolExecutor(8) as pool:
        for thread, items in enumerate(pool.map(ask, range(8))):
            assert items == [f"thread-{(thread + n) % 8}" for n in range(30)]
    assert all(proxy.counts[fault.__name__] for fault in faults)


# A process that forks while threads of its own are calling; both go on, and see their own answers.
FORKING = """
import os, sys, threading
from django.conf import settings
settings.configure(
    DYNAMODB_ENDPOINT=sys.argv[1], DYNAMODB_REGION="eu-central-1", DYNAMODB_CONNECT_TIMEOUT=5.0,
    DYNAMODB_READ_TIMEOUT=15.0, DYNAMODB_DEADLINE=30.0, DYNAMODB_POOL_SIZE=8,
)
from dbcore.wire import get_wire

def ask(name, times):
    for n in range(times):
        answer = own.call("GetItem", {"name": name, "n": n})
        assert answer == {"name": name, "n": n}, answer

own = get_wire()
ask("parent", 3)
threads = [threading.Thread(target=ask, args=(f"thread-{n}", 100)) for n in range(4)]
for each in threads:
    each.start()
child = os.fork()
if child == 0:
    status = 1
    try:
        assert get_wire() is not own  # the parent's is forgotten, and still may be used
        ask("child", 50)
        own = get_wire()
        ask("child", 50)
        status = 0
    finally:
        os._exit(status)
ask("parent", 100)
for each in threads:
    each.join()
assert os.waitpid(child, 0)[1] == 0
ask("parent", 3)
print("both have ended well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_parent_and_child_speak_over_connections_of_their_own() -> None:
    users: dict[str, set[str]] = {}

    def note(request: Any) -> bytes:
        body = request.body.decode()
        who = "child" if "child" in body else "parent"
        users.setdefault(threading.current_thread().name, set()).add(who)
        return echo(request)

    with Server(note) as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, server.endpoint],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == "both have ended well\n", done.stderr
    assert done.stderr == ""
    # The server has a thread for each connection: none has heard both.
    assert all(len(each) == 1 for each in users.values())
    assert {"child"} in users.values()


# --- TLS ------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    make_wire: Callable[..., Wire], tmp_path: Path, calls: list[Call]
) -> None:
    with Server(tls=make_certificate(tmp_path, "localhost")) as server:
        with pytest.raises(SSLError, match="certificate verify failed"):
            make_wire(server.endpoint, deadline=1.0).call("ListTables", {})
        assert server.connections == 1
        assert server.requests == []
    assert [(call.retries, call.error) for call in calls] == [(0, "SSLError")]


def test_a_certificate_for_another_name_is_refused_at_once(
    make_wire: Callable[..., Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tls=make_certificate(tmp_path, "localhost")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        wire = make_wire(f"https://127.0.0.1:{server.port}", deadline=1.0)
        with pytest.raises(SSLError, match="IP address mismatch"):
            wire.call("ListTables", {})
        assert (server.connections, server.requests) == (1, [])


def test_a_certificate_that_is_trusted_is_spoken_to(
    make_wire: Callable[..., Wire],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[Call],
) -> None:
    large = {"Items": ["x" * 1000] * 500}
    with Server(tls=make_certificate(tmp_path, "localhost", "127.0.0.1")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        for url in (server.endpoint, f"https://127.0.0.1:{server.port}"):
            wire = make_wire(url)
            for n in range(5):
                assert wire.call("GetItem", {"n": n}) == {"n": n}
            assert wire.call("Scan", large) == large
        assert server.connections == 2
    assert {call.retries for call in calls} == {0}


@pytest.mark.parametrize("rudely", [False, True], ids=["politely", "rudely"])
def test_an_idle_connection_in_tls_that_the_server_closed_is_replaced_and_is_no_retry(
    rudely: bool,
    make_wire: Callable[..., Wire],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[Call],
) -> None:
    with Server(tls=make_certificate(tmp_path, "localhost")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        wire = make_wire(server.endpoint)
        for n in range(3):
            assert wire.call("GetItem", {"n": n}) == {"n": n}
            server.close_connections(rudely=rudely)
            wait_until(lambda: server.open_now == 0)
        assert server.connections == 3
    assert [call.retries for call in calls] == [0, 0, 0]


def test_a_server_without_tls_is_not_spoken_to_in_the_open(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server:
        wire = make_wire(server.endpoint.replace("http:", "https:"), connect_timeout=3600.0)
        with pytest.raises(BotoCoreError):
            wire.call("ListTables", {}, deadline=0.2)  # the handshake, too, keeps to it
        assert server.requests == []


# --- What is reported -----------------------------------------------------------------------------


def test_each_call_is_reported_once_with_its_tables(
    wire: Wire, table: str, calls: list[Call]
) -> None:
    second = f"{table}-2"
    wire.call(
        "CreateTable",
        {
            "TableName": second,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    key = {"id": {"S": "x"}}
    entry = [{"PutRequest": {"Item": key}}]
    reading = [
        {"Get": {"TableName": name, "Key": {"id": {"S": item}}}}
        for name, item in [(second, "a"), (table, "b"), (second, "c")]
    ]
    wire.call("PutItem", put(table, "x"))
    wire.call("BatchWriteItem", {"RequestItems": {table: entry, second: entry}})
    wire.call("BatchGetItem", {"RequestItems": {second: {"Keys": [key]}}})
    wire.call(
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": put(table, "y")},
                {"Delete": {"TableName": second, "Key": key}},
            ]
        },
    )
    wire.call("TransactGetItems", {"TransactItems": reading})
    wire.call("ListTables", {})
    wire.call("DeleteTable", {"TableName": second})
    assert [(call.operation, call.table) for call in calls] == [
        ("CreateTable", second),
        ("PutItem", table),
        ("BatchWriteItem", f"{table},{second}"),
        ("BatchGetItem", second),
        ("TransactWriteItems", f"{table},{second}"),
        ("TransactGetItems", f"{second},{table}"),
        ("ListTables", ""),
        ("DeleteTable", second),
    ]
    assert all(call.error is None and call.seconds > 0 for call in calls)


def test_the_capacity_that_was_consumed_is_passed_on(
    wire: Wire, table: str, calls: list[Call]
) -> None:
    answer = wire.call("PutItem", put(table, "x", ReturnConsumedCapacity="TOTAL"))
    batch = {
        "RequestItems": {table: [{"PutRequest": {"Item": {"id": {"S": "y"}}}}]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    batch_answer = wire.call("BatchWriteItem", batch)
    wire.call("GetItem", get(table, "x"))
    assert calls[0].capacity == answer["ConsumedCapacity"]
    assert calls[0].capacity["TableName"] == table
    assert calls[1].capacity == batch_answer["ConsumedCapacity"]
    assert [each["TableName"] for each in calls[1].capacity] == [table]
    assert calls[2].capacity is None


def test_hooks_are_called_in_their_order_in_the_calling_thread(
    wire: Wire, table: str, calls: list[Call]
) -> None:
    heard: list[tuple[str, int]] = []
    hooks = [lambda _, name=name: heard.append((name, threading.get_ident())) for name in "abc"]
    HOOKS.extend(hooks)
    try:
        wire.call("GetItem", get(table, "x"))
    finally:
        for hook in hooks:
            HOOKS.remove(hook)
    assert heard == [(name, threading.get_ident()) for name in "abc"]


def test_bytes_in_a_payload_are_sent_as_base64(wire: Wire, table: str) -> None:
    data = bytes(range(256))
    item = {"id": {"S": "binary"}, "b": {"B": data}, "set": {"BS": [b"\x00", b"\xff"]}}
    wire.call("PutItem", {"TableName": table, "Item": item})
    found = wire.call("GetItem", get(table, "binary"))["Item"]
    assert base64.b64decode(found["b"]["B"]) == data
    assert {base64.b64decode(each) for each in found["set"]["BS"]} == {b"\x00", b"\xff"}


def test_what_is_not_json_is_refused_before_anything_is_sent(
    wire: Wire, proxy: FaultProxy, table: str
) -> None:
    with pytest.raises(TypeError):
        wire.call("PutItem", {"TableName": table, "Item": {"id": {"S": object()}}})
    assert proxy.requests == []
