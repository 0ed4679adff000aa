"""Many calls in flight: each completes exactly once, whatever happens on the way, and no more are
under way than were asked for.

The engine is real, and so is every fault. No test measures how long anything took.
"""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from dbcore.addresses import parse_endpoint
from dbcore.local_engine import LocalEngine
from dbcore.wire import HOOKS, Call, Completion, Pipeline, Wire
from dbcore.wire.client import encode_payload
from tests.dbcore.wire.server import (
    Server,
    dynamodb,
    echo,
    http,
    in_turn,
    wait_until,
)
from tests.support.certificates import make_certificate
from tests.support.proxy import (
    ClockSkew,
    CorruptBody,
    Delay,
    DropAfter,
    DropBefore,
    ExpiredToken,
    FaultProxy,
    InternalServerError,
    ServiceUnavailable,
    Throttle,
    Truncate,
)
from tests.support.wire import Message

REGION = "eu-central-1"
PATIENCE = 60.0


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
    name = f"pipeline-{uuid.uuid4().hex}"
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


def ask(pipeline: Pipeline, n: int, **more: Any) -> None:
    """Submit a request that an echoing server answers with {"n": n}."""
    pipeline.submit("GetItem", "t", encode_payload({"n": n}), n, **more)


def finish(pipeline: Pipeline) -> list[Completion]:
    """All that is still to complete."""
    found: list[Completion] = []
    while pipeline.load:
        found += pipeline.gather(PATIENCE)
    return found + pipeline.gather()


def run(pipeline: Pipeline, count: int) -> list[Completion]:
    """`count` requests, submitted whenever there is room."""
    found: list[Completion] = []
    for n in range(count):
        while not pipeline.has_room:
            found += pipeline.gather(PATIENCE)
        ask(pipeline, n)
    return found + finish(pipeline)


def number_of(request: Message) -> int:
    number = json.loads(request.body)["n"]
    assert isinstance(number, int)
    return number


def test_five_hundred_batches_complete_exactly_once_through_every_fault(
    dynamodb_engine: LocalEngine, make_wire: Callable[..., Wire], table: str, calls: list[Call]
) -> None:
    faults = [
        Throttle(p=0.05),
        DropBefore(p=0.03),
        DropAfter(p=0.03),
        Truncate(p=0.03),
        CorruptBody(p=0.03),
        Delay(0.05, p=0.05),
        InternalServerError(p=0.03),
        ServiceUnavailable(p=0.03),
    ]
    throttled = []
    completions: list[Completion] = []
    with FaultProxy(dynamodb_engine.endpoint, faults, seed=11) as proxy:
        wire = make_wire(proxy.endpoint)
        with Pipeline(wire, 12, on_throttle=lambda: throttled.append(1)) as pipeline:
            for n in range(500):
                while not pipeline.has_room:
                    completions += pipeline.gather(PATIENCE)
                puts = [
                    {"PutRequest": {"Item": {"id": {"S": f"{n}-{part}"}, "n": {"N": str(n)}}}}
                    for part in range(4)
                ]
                body = encode_payload({"RequestItems": {table: puts}})
                pipeline.submit("BatchWriteItem", table, body, n)
            completions += finish(pipeline)
        assert all(proxy.counts[fault.name] for fault in faults)
        assert len(throttled) == proxy.counts["Throttle"] == sum(call.throttles for call in calls)
    assert sorted(each.tag for each in completions) == list(range(500))
    assert [each.error for each in completions] == [None] * 500
    assert [each.result for each in completions] == [{"UnprocessedItems": {}}] * 500
    assert [(call.operation, call.table, call.error) for call in calls] == [
        ("BatchWriteItem", table, None)
    ] * 500

    wire = make_wire(dynamodb_engine.endpoint)
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    while True:
        answer = wire.call("Scan", page)
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            break
        page["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    assert len(found) == 2000
    assert {item["id"]["S"] for item in found} == {
        f"{n}-{part}" for n in range(500) for part in range(4)
    }


def test_each_answer_goes_to_its_own_request(make_wire: Callable[..., Wire]) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 8) as pipeline:
        completions = run(pipeline, 300)
        assert server.connections <= 8
    assert len(completions) == 300
    assert all(each.result == {"n": each.tag} for each in completions)


@pytest.mark.parametrize("width", [1, 5])
def test_no_more_requests_are_in_flight_than_were_asked_for(
    width: int, make_wire: Callable[..., Wire]
) -> None:
    refusal = dynamodb({"__type": "x#ThrottlingException"}, status=400)
    together = threading.Barrier(width)

    def moody(request: Message) -> bytes | None:
        if len(server.requests) <= width:
            together.wait(PATIENCE)
        time.sleep(0.002)  # so that requests which are too many meet
        seen = sum(number_of(each) == number_of(request) for each in list(server.requests))
        if seen > 1:
            return echo(request)
        return (echo(request), refusal, None)[number_of(request) % 3]

    with Server(moody) as server:
        with Pipeline(make_wire(server.endpoint), width) as pipeline:
            completions = run(pipeline, 60)
            assert not pipeline.load
            assert pipeline.has_room
        assert server.most_in_flight == width
        assert len(server.requests) == 100
    assert sorted(each.tag for each in completions) == list(range(60))
    assert all(each.result == {"n": each.tag} for each in completions)


def test_an_overdue_answer_is_asked_for_again_on_another_connection(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    def slow_once(request: Message) -> bytes:
        if len(server.requests) == 1:
            server.ending.wait()
        return echo(request)

    with Server(slow_once) as server:
        with Pipeline(make_wire(server.endpoint, read_timeout=0.2), 1) as pipeline:
            completions = run(pipeline, 3)
        assert [each.result for each in completions] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert server.connections == 2
    assert [call.retries for call in calls] == [1, 0, 0]


def test_an_answer_that_stops_in_the_middle_is_asked_for_again(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    half = http(b'{"n"', "Content-Length: 8", length=False)
    with (
        Server(in_turn(half, dynamodb({"n": 0}))) as server,
        Pipeline(make_wire(server.endpoint, read_timeout=0.2), 1) as pipeline,
    ):
        assert [each.result for each in run(pipeline, 1)] == [{"n": 0}]
    assert [call.retries for call in calls] == [1]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(http(b"<html>welcome</html>"), id="a page"),
        pytest.param(http(b"{}", "Content-Length: two", length=False), id="a length in words"),
        pytest.param(http(b"{}", "x-amz-crc32: none"), id="a checksum that is no number"),
        pytest.param(b"", id="nothing at all"),
    ],
)
def test_what_is_not_an_answer_is_asked_for_again(
    broken: bytes, make_wire: Callable[..., Wire]
) -> None:
    with (
        Server(in_turn(broken, dynamodb({"good": True}))) as server,
        Pipeline(make_wire(server.endpoint), 1) as pipeline,
    ):
        assert [each.result for each in run(pipeline, 1)] == [{"good": True}]
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (dynamodb({"__type": "x#ThrottlingException"}, status=400), ClientError, "Throttling"),
        (http(b"<html>", status=503), ClientError, "ServiceUnavailable"),
        (None, ConnectionClosedError, "closed"),
    ],
    ids=["throttled", "unavailable", "closed"],
)
def test_what_does_not_pass_completes_with_its_error_once_the_deadline_has(
    answer: bytes | None,
    kind: type[Exception],
    code: str,
    make_wire: Callable[..., Wire],
    calls: list[Call],
) -> None:
    with Server(in_turn(answer)) as server:
        with Pipeline(make_wire(server.endpoint), 4, deadline=0.3) as pipeline:
            completions = run(pipeline, 8)
        assert sorted(each.tag for each in completions) == list(range(8))
        for each in completions:
            assert each.result is None
            assert isinstance(each.error, kind)
            assert code in str(each.error)
        assert sum(call.retries + 1 for call in calls) == len(server.requests)
    assert len(calls) == 8


def test_a_request_that_nobody_answers_completes_with_a_timeout(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server:

        def never(_: Message) -> None:
            server.ending.wait()

        server.answering = never
        wire = make_wire(server.endpoint, read_timeout=0.1)
        with Pipeline(wire, 2, deadline=0.2) as pipeline:
            completions = run(pipeline, 2)
    assert [type(each.error) for each in completions] == [ReadTimeoutError] * 2


def test_a_port_where_nobody_listens_completes_with_an_error(
    make_wire: Callable[..., Wire],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    wire = make_wire(f"http://127.0.0.1:{port}")
    with Pipeline(wire, 2, deadline=0.2) as pipeline:
        completions = run(pipeline, 3)
    assert [type(each.error) for each in completions] == [EndpointConnectionError] * 3


def test_an_error_that_no_retry_mends_completes_at_once(
    dynamodb_engine: LocalEngine, make_wire: Callable[..., Wire], table: str, calls: list[Call]
) -> None:
    with Pipeline(make_wire(dynamodb_engine.endpoint), 4) as pipeline:
        body = encode_payload({"TableName": table, "Item": {"other": {"S": "x"}}})
        pipeline.submit("PutItem", table, body, "bad")
        body = encode_payload({"TableName": table, "Item": {"id": {"S": "x"}}})
        pipeline.submit("PutItem", table, body, "good")
        errors = {each.tag: each.error for each in finish(pipeline)}
    assert errors["good"] is None
    assert isinstance(errors["bad"], ClientError)
    assert sorted((call.retries, call.error) for call in calls if call.error) == [
        (0, "ValidationException")
    ]


def test_all_requests_that_were_in_flight_survive_the_wrong_clock(
    dynamodb_engine: LocalEngine, make_wire: Callable[..., Wire], table: str, calls: list[Call]
) -> None:
    with FaultProxy(dynamodb_engine.endpoint, [ClockSkew(-7200.0)]) as proxy:
        with Pipeline(make_wire(proxy.endpoint), 6) as pipeline:
            for n in range(6):  # all signed with the wrong clock, before any is answered
                body = encode_payload({"TableName": table, "Key": {"id": {"S": str(n)}}})
                pipeline.submit("GetItem", table, body, n)
            completions = finish(pipeline)
        assert proxy.counts["ClockSkew"] == 6
    assert [each.error for each in completions] == [None] * 6
    assert [call.retries for call in calls] == [1] * 6


def test_an_expired_token_is_looked_up_again_once_a_request(
    dynamodb_engine: LocalEngine, make_wire: Callable[..., Wire], table: str
) -> None:
    body = encode_payload({"TableName": table, "Key": {"id": {"S": "x"}}})
    with FaultProxy(dynamodb_engine.endpoint, [ExpiredToken(times=1)]) as proxy:
        with Pipeline(make_wire(proxy.endpoint), 2) as pipeline:
            pipeline.submit("GetItem", table, body, "once")
            assert [each.error for each in finish(pipeline)] == [None]
            proxy.set_faults(ExpiredToken(times=None))
            proxy.requests.clear()
            pipeline.submit("GetItem", table, body, "always")
            (completion,) = finish(pipeline)
        assert len(proxy.requests) == 2
    assert "ExpiredTokenException" in str(completion.error)


def test_without_credentials_a_request_completes_at_once_with_that_error(
    make_wire: Callable[..., Wire],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    calls: list[Call],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    wire = make_wire("https://dynamodb.eu-central-1.amazonaws.com")
    with Pipeline(wire, 2, deadline=1.0) as pipeline:
        assert [type(each.error) for each in run(pipeline, 2)] == [NoCredentialsError] * 2
    assert [call.retries for call in calls] == [0, 0]


def test_a_pipeline_speaks_tls_and_does_not_insist_on_a_wrong_certificate(
    make_wire: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Server(tls=make_certificate(tmp_path, "localhost")) as server:
        with Pipeline(make_wire(server.endpoint), 2, deadline=1.0) as pipeline:
            assert [type(each.error) for each in run(pipeline, 3)] == [SSLError] * 3
        assert (server.connections, server.requests) == (3, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with Pipeline(make_wire(server.endpoint), 4) as pipeline:
            completions = run(pipeline, 40)
            large = {"n": 40, "text": "x" * 500_000}
            pipeline.submit("PutItem", "t", encode_payload(large), 40)
            assert [each.result for each in finish(pipeline)] == [large]
    assert len(completions) == 40
    assert all(each.result == {"n": each.tag} for each in completions)


def test_a_delayed_request_is_not_sent_before_its_time(make_wire: Callable[..., Wire]) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 3) as pipeline:
        ask(pipeline, 1, delay=0.5)
        ask(pipeline, 2, delay=0.25)
        assert server.requests == []
        ask(pipeline, 3)
        order: list[int] = []
        while pipeline.load:
            order += [each.tag for each in pipeline.gather(PATIENCE)]
        assert order == [3, 2, 1]
        assert [number_of(each) for each in server.requests] == [3, 2, 1]


def test_a_delayed_request_counts_as_load_until_it_completes(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 2) as pipeline:
        ask(pipeline, 1, delay=3600.0)
        assert (pipeline.load, pipeline.has_room) == (1, True)
        ask(pipeline, 2, delay=3600.0)
        assert (pipeline.load, pipeline.has_room) == (2, False)
        assert pipeline.gather() == []
        assert server.requests == []


def test_gathering_returns_at_once_when_nothing_is_on_its_way(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 2) as pipeline:
        assert pipeline.gather(timeout=3600.0) == []
        ask(pipeline, 1)
        assert [each.tag for each in pipeline.gather(timeout=3600.0)] == [1]
        assert pipeline.gather(timeout=3600.0) == []


def test_gathering_without_a_timeout_does_not_wait(make_wire: Callable[..., Wire]) -> None:
    with Server() as server:

        def held(request: Message) -> bytes:
            server.ending.wait()
            return echo(request)

        server.answering = held
        with Pipeline(make_wire(server.endpoint), 2) as pipeline:
            ask(pipeline, 1)
            assert pipeline.gather() == []
            assert pipeline.gather(timeout=0.05) == []
            assert pipeline.load == 1


@pytest.mark.parametrize("rudely", [False, True], ids=["politely", "rudely"])
def test_idle_connections_that_the_server_closed_are_replaced(
    rudely: bool, make_wire: Callable[..., Wire]
) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 4) as pipeline:
        for n in range(4):
            ask(pipeline, n)
        assert len(finish(pipeline)) == 4
        server.close_connections(rudely=rudely)
        wait_until(lambda: server.open_now == 0)
        # Not gathered in between: the first that is noticed of it is when the next are sent.
        for n in range(4):
            ask(pipeline, n)
        completions = finish(pipeline)
        assert sorted(each.tag for each in completions) == [0, 1, 2, 3]
        assert all(each.result == {"n": each.tag} for each in completions)
        pipeline.close()
        del pipeline
        gc.collect()  # a connection that was let go of unclosed is an error here


def test_an_idle_connection_that_is_seen_to_be_closed_is_no_retry(
    make_wire: Callable[..., Wire], calls: list[Call]
) -> None:
    with Server() as server, Pipeline(make_wire(server.endpoint), 4) as pipeline:
        for n in range(4):
            ask(pipeline, n)
        assert len(finish(pipeline)) == 4
        server.close_connections()
        wait_until(lambda: server.open_now == 0)
        assert pipeline.gather() == []
        for n in range(4):
            ask(pipeline, n)
        assert len(finish(pipeline)) == 4
        assert server.connections == 8
    assert [call.retries for call in calls] == [0] * 8


def test_a_pipeline_that_is_closed_gives_its_connections_back(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server:
        wire = make_wire(server.endpoint)
        for _ in range(3):
            with Pipeline(wire, 4) as pipeline:
                run(pipeline, 20)
        assert server.connections <= 4
        assert wire.call("GetItem", {"n": 1}) == {"n": 1}
        assert server.connections <= 4


def test_closing_in_the_middle_of_everything_leaves_no_socket_open(
    make_wire: Callable[..., Wire],
) -> None:
    with Server() as server:

        def some(request: Message) -> bytes:
            if number_of(request) % 2:
                server.ending.wait()
            return echo(request)

        server.answering = some
        wire = make_wire(server.endpoint)
        pipeline = Pipeline(wire, 9)
        for n in range(8):
            ask(pipeline, n)
        ask(pipeline, 8, delay=3600.0)
        done: list[Completion] = []
        while len(done) < 4:
            done += pipeline.gather(PATIENCE)
        assert sorted(each.tag for each in done) == [0, 2, 4, 6]
        pipeline.close()
        assert pipeline.load == 0
        # Abandoned connections are gone; an answer that comes late can reach nobody.
        server.ending.set()
        wait_until(lambda: server.open_now == 4)
        wire.close()
        wait_until(lambda: server.open_now == 0)
        del pipeline
        gc.collect()
