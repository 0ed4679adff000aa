"""The fault proxy itself, in front of a real engine, with botocore as the witness.

No test here may measure how long anything took: what a fault does to an exchange is the story.
"""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ChecksumError, ClientError, ConnectionClosedError

from tests.support.proxy import (
    Answer,
    ClockSkew,
    CorruptBody,
    Delay,
    DropAfter,
    DropBefore,
    ExpiredToken,
    FaultProxy,
    HalfUnprocessed,
    InternalServerError,
    ServiceUnavailable,
    Throttle,
    ThrottlingException,
    Truncate,
    make_error,
)
from tests.support.wire import Message

# The legacy retry mode is the only one in which botocore checks x-amz-crc32.
NO_RETRIES = Config(retries={"total_max_attempts": 1, "mode": "legacy"}, max_pool_connections=16)


def make_client(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=NO_RETRIES,
    )


@pytest.fixture
def table(dynamodb_engine: Any) -> Iterator[str]:
    name = f"proxy-{uuid4().hex}"
    client = make_client(dynamodb_engine.endpoint)
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def proxy(dynamodb_engine: Any) -> Iterator[FaultProxy]:
    with FaultProxy(dynamodb_engine.endpoint, seed=7) as proxy:
        yield proxy


def puts(*ids: int) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in ids]


def keys(*ids: int) -> list[dict[str, Any]]:
    return [{"id": {"S": str(n)}} for n in ids]


def stored(engine: Any, table: str) -> list[str]:
    found = make_client(engine.endpoint).scan(TableName=table, ConsistentRead=True)
    return sorted(item["id"]["S"] for item in found["Items"])


def test_without_faults_the_client_talks_to_the_engine(proxy, table, dynamodb_engine):
    client = make_client(proxy.endpoint)
    client.batch_write_item(RequestItems={table: puts(1, 2)})
    found = client.get_item(TableName=table, Key={"id": {"S": "1"}})
    assert found["Item"] == {"id": {"S": "1"}}
    assert stored(dynamodb_engine, table) == ["1", "2"]
    assert proxy.requests == [("BatchWriteItem", None), ("GetItem", None)]


def test_many_connections_are_served_at_once(proxy, table, dynamodb_engine):
    client = make_client(proxy.endpoint)
    ids = range(200)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: client.batch_write_item(RequestItems={table: puts(n)}), ids))
    assert stored(dynamodb_engine, table) == sorted(map(str, ids))
    assert proxy.counts == {None: 200}


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Throttle(), 400, "ProvisionedThroughputExceededException"),
        (ThrottlingException(), 400, "ThrottlingException"),
        (InternalServerError(), 500, "InternalServerError"),
        (ServiceUnavailable(), 503, "503"),
        (ExpiredToken(), 400, "ExpiredTokenException"),
        (ClockSkew(3600), 400, "InvalidSignatureException"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_refused_request_never_reaches_the_engine(
    proxy, table, dynamodb_engine, fault, status, code
):
    proxy.set_faults(fault)
    with pytest.raises(ClientError) as refused:
        make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1)})
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert stored(dynamodb_engine, table) == []
    assert proxy.requests == [("BatchWriteItem", fault.name)]


def test_a_dropped_request_may_or_may_not_have_been_carried_out(proxy, table, dynamodb_engine):
    client = make_client(proxy.endpoint)
    for number, fault in enumerate([DropBefore(), DropAfter()]):
        proxy.set_faults(fault)
        with pytest.raises(ConnectionClosedError):
            client.batch_write_item(RequestItems={table: puts(number)})
    assert stored(dynamodb_engine, table) == ["1"]


@pytest.mark.parametrize("fault", [Truncate(), CorruptBody()], ids=lambda fault: fault.name)
def test_a_damaged_answer_betrays_itself_by_its_checksum(proxy, table, dynamodb_engine, fault):
    proxy.set_faults(fault)
    with pytest.raises(ChecksumError):
        make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1)})
    assert stored(dynamodb_engine, table) == ["1"]


def test_a_corrupted_answer_still_parses_when_it_holds_a_digit(proxy, table):
    answers: list[Answer] = []

    def witness(call: Any) -> Answer:
        answers.append(call.proceed())
        return answers[-1]

    proxy.set_faults(witness, CorruptBody(operations=("GetItem",)))
    client = make_client(proxy.endpoint)
    client.batch_write_item(RequestItems={table: puts(88)})
    with pytest.raises(ChecksumError):
        client.get_item(TableName=table, Key={"id": {"S": "88"}})
    assert json.loads(answers[-1].message.body) == {"Item": {"id": {"S": "98"}}}
    assert proxy.requests[-1] == ("GetItem", "witness+CorruptBody")


def test_half_of_a_batch_of_writes_comes_back_unprocessed(proxy, table, dynamodb_engine):
    proxy.set_faults(HalfUnprocessed(times=1))
    answer = make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1, 2, 3, 4, 5)})
    assert answer["UnprocessedItems"] == {table: puts(2, 4)}
    assert stored(dynamodb_engine, table) == ["1", "3", "5"]


def test_half_of_a_batch_of_reads_comes_back_with_its_settings(proxy, table):
    client = make_client(proxy.endpoint)
    client.batch_write_item(RequestItems={table: puts(1, 2, 3)})
    proxy.set_faults(HalfUnprocessed())
    asked = {"Keys": keys(1, 2, 3), "ConsistentRead": True, "ProjectionExpression": "id"}
    answer = client.batch_get_item(RequestItems={table: asked})
    assert sorted(item["id"]["S"] for item in answer["Responses"][table]) == ["1", "3"]
    assert answer["UnprocessedKeys"] == {table: asked | {"Keys": keys(2)}}


def test_a_batch_of_one_cannot_be_halved(proxy, table):
    proxy.set_faults(HalfUnprocessed())
    answer = make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1)})
    assert answer["UnprocessedItems"] == {}
    assert proxy.requests == [("BatchWriteItem", None)]


@pytest.mark.parametrize(("ahead", "verdict"), [(600, "expired"), (-600, "not yet current")])
def test_a_server_with_another_clock_tells_its_time(proxy, table, ahead, verdict):
    proxy.set_faults(ClockSkew(ahead))
    with pytest.raises(ClientError, match=f"Signature {verdict}: ") as refused:
        make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1)})
    assert refused.value.response["ResponseMetadata"]["HTTPHeaders"]["date"].endswith("GMT")


def test_a_clock_four_minutes_off_is_let_pass(proxy, table):
    proxy.set_faults(ClockSkew(240))
    make_client(proxy.endpoint).batch_write_item(RequestItems={table: puts(1)})
    assert proxy.requests == [("BatchWriteItem", None)]


def test_a_token_expires_as_often_as_told_and_then_no_more(proxy, table):
    proxy.set_faults(ExpiredToken(2))
    client = make_client(proxy.endpoint)
    for _ in range(2):
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            client.batch_write_item(RequestItems={table: puts(1)})
    client.batch_write_item(RequestItems={table: puts(1)})
    assert proxy.counts == {"ExpiredToken": 2, None: 1}


def test_faults_on_one_request_act_one_behind_the_other(proxy, table):
    proxy.set_faults(Delay(0), Throttle(skip=1))
    client = make_client(proxy.endpoint)
    client.batch_write_item(RequestItems={table: puts(1)})
    with pytest.raises(ClientError):
        client.batch_write_item(RequestItems={table: puts(1)})
    assert proxy.requests == [("BatchWriteItem", "Delay"), ("BatchWriteItem", "Delay+Throttle")]


def test_a_function_may_be_a_fault(proxy, table):
    def no_such_table(call: Any) -> Answer | None:
        if call.request.operation != "GetItem":
            return None
        return make_error(400, "x#ResourceNotFoundException", "gone")

    proxy.set_faults(no_such_table)
    client = make_client(proxy.endpoint)
    client.batch_write_item(RequestItems={table: puts(1)})
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName=table, Key={"id": {"S": "1"}})
    assert proxy.requests == [("BatchWriteItem", None), ("GetItem", "no_such_table")]


def faults_drawn(endpoint: str, table: str, seed: int) -> list[str | None]:
    with FaultProxy(endpoint, [DropBefore(0.2), Throttle(0.3)], seed=seed) as proxy:
        client = make_client(proxy.endpoint)
        for _ in range(40):
            with suppress(ClientError, ConnectionClosedError):
                client.batch_write_item(RequestItems={table: puts(1)})
        return [fault for _, fault in proxy.requests]


def test_the_same_seed_draws_the_same_faults(dynamodb_engine, table):
    first, second, other = (
        faults_drawn(dynamodb_engine.endpoint, table, seed) for seed in (1, 1, 2)
    )
    assert first == second != other
    assert set(first) == {None, "DropBefore", "Throttle"}


def test_what_passes_untouched_keeps_every_byte():
    body = json.dumps({"UnprocessedItems": {}}).encode()
    head = b"HTTP/1.1 200 OK\r\nX-odd:  spaced \r\nContent-Length: %d\r\n\r\n" % len(body)
    message = Message(head, body)
    assert message.header("x-odd") == "spaced"
    changed = Message(head[:-2] + b"x-amz-crc32: 1\r\n\r\n", body).with_json({"a": 1})
    assert b"X-odd:  spaced \r\n" in changed.head
    assert changed.header("content-length") == "7"
    assert changed.header("x-amz-crc32") == str(zlib.crc32(b'{"a":1}'))
