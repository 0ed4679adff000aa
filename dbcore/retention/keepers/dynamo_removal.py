"""Deletes records from DynamoDB: each in a transaction with its unique values, on the condition
that it still is what it was, that no legal hold is on it and that nothing keeps it.

One transaction at a time: all of a table's look at the item of the table's hold, so that two at
once would only cancel each other.
"""

from __future__ import annotations

import collections
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from botocore.exceptions import ClientError

from dbcore.attributes import Item
from dbcore.dynamo.expressions import condition, unchanged
from dbcore.dynamo.guards import Guard, guards_of_item
from dbcore.dynamo.refusals import Meaning, Reason, refusal_of
from dbcore.dynamo.writing import transaction
from dbcore.items import ItemLayout
from dbcore.patience import WORKING
from dbcore.retention.keepers.caches import voided
from dbcore.retention.keepers.dynamo_holds import not_held
from dbcore.retention.keepers.interface import Removal
from dbcore.retention.records import hold_keys
from dbcore.retention.rules import Rule
from dbcore.stores.errors import Conflict
from dbcore.wire import Wire

MAX_ACTIONS = 100  # of one transaction
# Of its items as JSON. DynamoDB takes 4 MB: of items, perhaps of conditions' values as well.
MAX_BYTES = 1_500_000
# Which of several reasons is told: what is not there cannot be held, and so on.
_TOLD_FIRST = (Removal.GONE, Removal.HELD, Removal.KEPT, Removal.CHANGED)


@dataclass(eq=False, slots=True)
class _Record:
    """A record that is to be deleted."""

    item: Item
    guards: list[Guard]
    reasons: set[Removal] = field(default_factory=set)
    outcome: Removal | None = None


@dataclass(slots=True)
class _Action:
    """One action of a transaction, what it means that its condition fails, and for whom."""

    body: dict[str, Any]
    means: Removal | Guard
    is_check: bool = False  # asks only: may be asked for several records at once
    records: list[_Record] = field(default_factory=list)


class Removing:
    """The removal of one rule's records."""

    def __init__(self, wire: Wire, store: str, rule: Rule, now: dt.datetime) -> None:
        self._wire = wire
        self._store = store
        self._rule = rule
        self._layout: ItemLayout = rule.layout
        self._kept_by = rule.kept_by
        self._now = now

    def remove(self, items: Sequence[Item]) -> list[Removal]:
        """What became of each, in order."""
        records = [_Record(item, guards_of_item(self._layout, item)) for item in items]
        left = collections.deque(records)
        hindered = 0
        while left:
            batch, actions = self._packed(left)
            with voided(self._store, self._layout, [each.item for each in batch]):
                moved = self._attempt(batch, actions)
            hindered = 0 if moved else hindered + 1
            if hindered == WORKING.tries:
                raise Conflict(
                    f"records of {self._layout.table.name} are being written all the time"
                )
            if hindered:
                WORKING.pause(hindered)
            left.extendleft(each for each in reversed(batch) if each.outcome is None)
        return [each.outcome for each in records if each.outcome is not None]

    def _packed(self, left: collections.deque[_Record]) -> tuple[list[_Record], dict[str, _Action]]:
        """Takes as many records as one transaction takes, and their actions."""
        batch: list[_Record] = []
        actions: dict[str, _Action] = {}
        size = 0
        while left:
            wanted = dict(self._actions(left[0]))
            size += len(orjson.dumps(left[0].item))
            new = wanted.keys() - actions.keys()
            clash = not all(wanted[each].is_check for each in wanted.keys() - new)
            if batch and (clash or len(actions) + len(new) > MAX_ACTIONS or size > MAX_BYTES):
                break
            record = left.popleft()
            batch.append(record)
            for each, action in wanted.items():
                actions.setdefault(each, action).records.append(record)
        return batch, actions

    def _actions(self, record: _Record) -> Iterator[tuple[str, _Action]]:
        """What must be asked and done for a record, each by what it is about: two records of one
        user ask once."""
        layout, item = self._layout, record.item
        for key in hold_keys(layout, item):
            yield f"hold {key.text}", _Action(not_held(key.text, self._now), Removal.HELD, True)
        if self._kept_by is not None:
            check = self._not_there(self._kept_by, item)
            yield f"keeper {orjson.dumps(check)!r}", _Action(check, Removal.KEPT, True)
        its_key = layout.key_of_item(item)
        delete = {"TableName": layout.table_name, "Key": its_key, **unchanged(layout, item)}
        yield f"record {orjson.dumps(its_key)!r}", _Action({"Delete": delete}, Removal.CHANGED)
        for guard in record.guards:
            yield f"guard {guard.key}", _Action(guard.delete_action(), guard)

    def _not_there(self, keeper: ItemLayout, item: Item) -> dict[str, Any]:
        policy = self._rule.policy
        assert policy is not None and policy.while_kept is not None
        name = self._layout.by_name[policy.while_kept].attribute
        (key,) = (each.attribute for each in keeper.key)
        return {
            "ConditionCheck": {
                "TableName": keeper.table_name,
                "Key": {key: item[name]},
                **condition("attribute_not_exists(#k)", {"k": key}),
            }
        }

    def _attempt(self, batch: Iterable[_Record], actions: dict[str, _Action]) -> bool:
        """Try to delete all of these; False where nothing has become of any, and nothing is to be
        done differently the next time."""
        request = transaction([each.body for each in actions.values()])
        try:
            self._wire.call("TransactWriteItems", request)
        except ClientError as error:
            refusal = refusal_of(error, len(actions))
            if refusal.has(Meaning.UNFIT):
                raise
            return _learn(batch, actions, refusal.reasons)
        for record in batch:
            record.outcome = Removal.DELETED
        return True


def _learn(
    batch: Iterable[_Record], actions: dict[str, _Action], reasons: Sequence[Reason]
) -> bool:
    """Note of each record why it stays; whether anything has become clear."""
    moved = False
    for action, reason in zip(actions.values(), reasons, strict=True):
        if reason.meaning is not Meaning.UNTRUE:
            continue
        moved = True
        if isinstance(action.means, Guard):
            # The value is another record's: not ours to free.
            for record in action.records:
                record.guards.remove(action.means)
            continue
        means = action.means
        if means is Removal.CHANGED and not reason.found:
            means = Removal.GONE
        for record in action.records:
            record.reasons.add(means)
    for record in batch:
        record.outcome = next((each for each in _TOLD_FIRST if each in record.reasons), None)
    return moved
