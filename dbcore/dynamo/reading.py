"""Reads: one item, all pages, many items by their keys, many requests at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from dbcore.attributes import Item
from dbcore.dynamo.refusals import NOT_FOUND
from dbcore.patience import WORKING
from dbcore.wire import Completion, Pipeline, Wire
from dbcore.wire.answers import error_code
from dbcore.wire.client import encode_payload

Request = dict[str, Any]
GET_KEYS = 100  # DynamoDB's limit for one BatchGetItem
WIDTH = 32  # requests in flight
_READS = 4  # BatchGetItems in flight, each of up to 16 MB
_TICK = 0.25
# What a page goes on from, by the operation; of all others ExclusiveStartKey.
_AFTER = {"ListTables": ("LastEvaluatedTableName", "ExclusiveStartTableName"),
          "ListTagsOfResource": ("NextToken", "NextToken")}  # fmt: skip
_KEYS = ("LastEvaluatedKey", "ExclusiveStartKey")


class KeysUnread(Exception):
    """DynamoDB leaves keys unread, however often it is asked."""


def get_item(wire: Wire, table: str, key: Item, *, consistent: bool = True) -> Item | None:
    """The item with this key, if there is one."""
    request = {"TableName": table, "Key": key, "ConsistentRead": consistent}
    answer = wire.call("GetItem", {**request, "ReturnConsumedCapacity": "TOTAL"})
    return answer.get("Item")


def is_missing(error: BaseException) -> bool:
    """Whether an error says that there is no such table."""
    return error_code(error) == NOT_FOUND


def next_page(operation: str, request: Request, answer: Mapping[str, Any]) -> Request | None:
    """The request that goes on where an answer ends; None where it is the last."""
    at, after = _AFTER.get(operation, _KEYS)
    found = answer.get(at)
    return {**request, after: found} if found else None


def pages(wire: Any, operation: str, request: Request) -> Iterator[dict[str, Any]]:
    """Every answer to a Query, a Scan or a list, asked for one after the other."""
    following: Request | None = request
    while following is not None:
        answer = wire.call(operation, following)
        yield answer
        following = next_page(operation, following, answer)


def items_of(wire: Wire, operation: str, request: Request) -> Iterator[Item]:
    """Every item of a Query or a Scan."""
    for answer in pages(wire, operation, request):
        yield from answer["Items"]


class KeysToRead:
    """Items of some tables that are wanted by their keys: DynamoDB may leave any of them unread,
    and refuses a key that is named twice."""

    def __init__(self, wanted: Mapping[str, Iterable[Item]]) -> None:
        self._left: dict[str, Any] = {
            table: {"Keys": list({key_text(key): key for key in keys}.values()),
                    "ConsistentRead": True}
            for table, keys in wanted.items()
        }  # fmt: skip
        self.found: dict[str, list[Item]] = {table: [] for table in wanted}

    def request(self) -> Request:
        """The BatchGetItem of what has not been read."""
        return {"RequestItems": self._left, "ReturnConsumedCapacity": "TOTAL"}

    def take(self, answer: Mapping[str, Any]) -> bool:
        """Keep what an answer has; whether all is there."""
        for table, items in answer["Responses"].items():  # one without is no answer
            self.found[table] += items
        self._left = answer.get("UnprocessedKeys") or {}
        return not self._left


def key_text(key: Item) -> bytes:
    """A key, so that it can be looked up."""
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS)


def read_items(wire: Wire, table: str, keys: Sequence[Item]) -> list[Item | None]:
    """The items with these keys, read consistently, in order; None where there is none."""
    distinct = list({key_text(key): key for key in keys}.values())
    parts = [distinct[at : at + GET_KEYS] for at in range(0, len(distinct), GET_KEYS)]
    left = batches = [KeysToRead({table: part}) for part in parts]
    names = keys[0].keys() if keys else ()
    for _ in WORKING:
        requests = [batch.request() for batch in left]
        answers = together(wire, "BatchGetItem", table, requests, _READS)
        asked = zip(left, answers, strict=True)
        left = [batch for batch, answer in asked if not batch.take(answer)]
        if not left:
            found = {
                key_text({name: item[name] for name in names}): item
                for batch in batches for item in batch.found[table]
            }  # fmt: skip
            return [found.get(key_text(key)) for key in keys]
    raise KeysUnread(f"{table} leaves keys unread: is its capacity far too small?")


def together(
    wire: Wire, operation: str, table: str, requests: Sequence[Request], width: int = WIDTH
) -> list[dict[str, Any]]:
    """The answers to many requests, in order; the first error is raised."""
    calls = [(operation, request) for request in requests]
    answers = []
    for completion in completed(wire, table, calls, width):
        if completion.result is None:
            assert completion.error is not None
            raise completion.error
        answers.append(completion.result)
    return answers


def completed(
    wire: Wire, table: str, calls: Sequence[tuple[str, Request]], width: int = WIDTH
) -> list[Completion]:
    """How each of many calls ended, in order. Nothing is in flight any more when this returns."""
    ends: dict[int, Completion] = {}
    sent = 0
    with Pipeline(wire, width, deadline=wire.deadline) as pipeline:
        while len(ends) < len(calls):
            while sent < len(calls) and pipeline.has_room:
                operation, request = calls[sent]
                pipeline.submit(operation, table, encode_payload(request), sent)
                sent += 1
            for completion in pipeline.gather(_TICK):
                ends[completion.tag] = completion
    return [ends[number] for number in range(len(calls))]
