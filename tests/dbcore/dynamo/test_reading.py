"""DynamoDB may leave keys unread, end a page anywhere and answer in any order: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dbcore.dynamo import reading
from dbcore.dynamo.reading import KeysUnread, items_of, pages, read_items
from dbcore.patience import Patience
from tests.support.scripted import Script


def key(number: int) -> dict[str, Any]:
    return {"id": {"S": f"k{number}"}}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WORKING", Patience(4, 0))


class Grudging:
    """Gives one item of each request, the last that was asked for, and leaves the others."""

    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        self._without = without

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        wanted = request["RequestItems"]["t"]
        assert wanted["ConsistentRead"] is True
        *left, last = wanted["Keys"]
        found = [] if last["id"]["S"] in self._without else [{**last, "n": {"N": "1"}}]
        unread = {"t": {"Keys": left, "ConsistentRead": True}} if left else {}
        return {"Responses": {"t": found}, "UnprocessedKeys": unread}


def test_keys_that_were_left_unread_are_asked_for_again(hurried: None) -> None:
    script = Script(player=Grudging(frozenset({"k2"})))
    with script.wire() as wire:
        found = read_items(wire, "t", [key(1), key(2), key(3), key(1)])
    assert [item and item["id"]["S"] for item in found] == ["k1", None, "k3", "k1"]
    assert len(script.requests) == 3


def test_no_key_is_named_twice_and_no_request_has_more_than_a_hundred(hurried: None) -> None:
    def all_of_it(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Responses": {"t": request["RequestItems"]["t"]["Keys"]}}

    script = Script(player=all_of_it)
    keys = [key(number) for number in range(150)] * 2
    with script.wire() as wire:
        assert read_items(wire, "t", keys) == keys
    sizes = [len(request["RequestItems"]["t"]["Keys"]) for _, request in script.requests]
    assert sorted(sizes) == [50, 100]


def test_keys_that_are_never_read_are_an_error_and_not_absent(hurried: None) -> None:
    def nothing(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    with Script(player=nothing).wire() as wire, pytest.raises(KeysUnread, match="t leaves keys"):
        read_items(wire, "t", [key(1)])


def ended_by(name: str, after: str, *answers: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number, answer in enumerate(answers, start=1):
        yield {**answer, **({name: f"at {number}"} if number < len(answers) else {})}


def test_a_scan_goes_on_past_pages_without_an_item() -> None:
    parts: list[dict[str, Any]] = [{"Items": [key(1)]}, {"Items": []}, {"Items": [key(2)]}]
    script = Script(*ended_by("LastEvaluatedKey", "", *parts))
    with script.wire() as wire:
        assert list(items_of(wire, "Scan", {"TableName": "t"})) == [key(1), key(2)]
    asked = [request.get("ExclusiveStartKey") for _, request in script.requests]
    assert asked == [None, "at 1", "at 2"]


def test_lists_of_tables_and_tags_go_on_by_their_own_names() -> None:
    for operation, name, after in (
        ("ListTables", "LastEvaluatedTableName", "ExclusiveStartTableName"),
        ("ListTagsOfResource", "NextToken", "NextToken"),
    ):
        script = Script(*ended_by(name, after, {"n": 1}, {"n": 2}))
        with script.wire() as wire:
            assert [each["n"] for each in pages(wire, operation, {})] == [1, 2]
        assert script.requests[1][1] == {after: "at 1"}


def test_an_answer_without_responses_does_not_say_that_there_is_nothing(hurried: None) -> None:
    with Script({}).wire() as wire, pytest.raises(KeyError, match="Responses"):
        read_items(wire, "t", [key(1)])
