"""Calls to DynamoDB that retention makes: many at once, and whole items by their keys."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from dbcore.attributes import Item
from dbcore.items import ItemLayout
from dbcore.rights import in_words
from dbcore.stores.errors import StoreUnavailable
from dbcore.wire import Completion, Pipeline, Wire
from dbcore.wire.answers import error_code
from dbcore.wire.client import backoff, encode_payload

Request = dict[str, Any]
GET_KEYS = 100  # DynamoDB's limit for one BatchGetItem
WIDTH = 32  # requests in flight
_READS = 4  # BatchGetItems in flight, each of up to 16 MB
_ATTEMPTS = 60  # at keys that DynamoDB leaves unread, up to 5 seconds apart
_TICK = 0.25


@contextmanager
def available() -> Iterator[None]:
    """Turns what the wire could not do, after its retries, into StoreUnavailable."""
    try:
        yield
    except ClientError as error:
        hint = ""
        if error_code(error) == "ResourceNotFoundException":
            hint = ": restore the table if it was deleted, else run `manage.py sync_tables`"
        raise StoreUnavailable(f"DynamoDB: {in_words(error)}{hint}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"DynamoDB is out of reach: {in_words(error)}") from error


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


def read_items(wire: Wire, layout: ItemLayout, keys: Sequence[Item]) -> list[Item | None]:
    """The items with these keys, read consistently, in order; None where there is none."""
    wanted = {_text(key): key for key in keys}  # BatchGetItem refuses a key that is named twice
    found: dict[bytes, Item] = {}
    left = list(wanted.values())
    for attempt in range(_ATTEMPTS):
        items, left = _read_some(wire, layout, left)
        found.update((_text(layout.key_of_item(item)), item) for item in items)
        if not left:
            return [found.get(_text(key)) for key in keys]
        time.sleep(backoff(min(attempt, 6)))
    raise StoreUnavailable(
        f"DynamoDB: {layout.table_name} leaves keys unread: is its capacity far too small?"
    )


def _read_some(wire: Wire, layout: ItemLayout, keys: list[Item]) -> tuple[list[Item], list[Item]]:
    """The items of some of these keys, and the keys that DynamoDB has left unread."""
    requests = [
        {
            "RequestItems": {layout.table_name: {"Keys": part, "ConsistentRead": True}},
            "ReturnConsumedCapacity": "TOTAL",
        }
        for part in (keys[at : at + GET_KEYS] for at in range(0, len(keys), GET_KEYS))
    ]
    answers = together(wire, "BatchGetItem", layout.table_name, requests, _READS)
    items = [item for answer in answers for item in _of(answer, "Responses", layout)]
    undone = (_of(answer, "UnprocessedKeys", layout) for answer in answers)
    return items, [key for each in undone if each for key in each["Keys"]]


def _of(answer: Mapping[str, Any], kind: str, layout: ItemLayout) -> Any:
    return answer.get(kind, {}).get(layout.table_name, [])


def _text(key: Item) -> bytes:
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
