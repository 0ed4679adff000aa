"""Legal holds: what one is on is not deleted, by whatever sweep, erasure or host.

Django's rows are what holds; a store may have items beside them by which its deletes are checked.
At every moment those items hold at least what the rows do: a hold's row is committed before its
item is written, and marked as lifted before its item goes. Items are made equal to the rows by one
process at a time, under a lease: one that had read the rows before a hold was placed could else
remove that hold's item after it was placed.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.db import models, transaction

from dbcore.attributes import Item, check_text
from dbcore.dynamo.leases import LeaseHeld
from dbcore.errors import DbcoreError, InvalidValue
from dbcore.items import ItemLayout
from dbcore.models import LegalHold, new_run_id
from dbcore.retention.audit import Act, audited
from dbcore.retention.errors import RetentionError
from dbcore.retention.in_use import InUse, keepers_in_use, stores_in_use
from dbcore.retention.keepers.gate import hold_gate
from dbcore.retention.keepers.interface import HoldKey, Keeper
from dbcore.retention.records import (
    MAX_SUBJECT,
    RECORD,
    TABLE,
    USER,
    check_user,
    hold_keys,
    key_of_parts,
    key_text,
    layout_named,
)
from dbcore.retention.rules import users_layout
from dbcore.rights import in_words

LEASE = "update of legal holds"
PATIENCE = 60.0  # seconds that another process may take to write the stores' items
MAX_WHO = 255
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Subject:
    """What a hold is to be on; and the record that should then be there, of a user their own."""

    key: HoldKey
    layout: ItemLayout | None = None
    item_key: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold that is in force. Not `is_new`: the same one was in force already."""

    hold: LegalHold
    is_new: bool
    warnings: tuple[str, ...] = ()


class HoldIndex:
    """Holds by what they are on, for many records."""

    def __init__(self, holds: Iterable[LegalHold]) -> None:
        self._by_key = {hold_key(hold): hold for hold in holds}

    def on(self, layout: ItemLayout, item: Item) -> LegalHold | None:
        """A hold that is on the record, its user or its table."""
        found = (self._by_key.get(key) for key in hold_keys(layout, item))
        return next((hold for hold in found if hold is not None), None)

    def on_user(self, user: str) -> LegalHold | None:
        """A hold on a user."""
        return self._by_key.get(HoldKey(USER, "", user))


def user_subject(user: str) -> Subject:
    """A user, by their id; RetentionError where no user can have it."""
    layout = users_layout()
    key = HoldKey(USER, "", check_user(user))
    return Subject(key) if layout is None else Subject(key, layout, key_of_parts(layout, [user]))


def table_subject(name: str) -> Subject:
    """A table, by its name; RetentionError where there is none."""
    return Subject(HoldKey(TABLE, layout_named(name).table.name))


def record_subject(name: str, parts: Sequence[str]) -> Subject:
    """A record, by its table and the parts of its key; RetentionError where none can have it."""
    layout = layout_named(name)
    key = key_of_parts(layout, parts)
    text = key_text(layout, key)
    if len(text) > MAX_SUBJECT:
        raise RetentionError(f"the key is longer than {MAX_SUBJECT} characters: no record has it")
    return Subject(HoldKey(RECORD, layout.table.name, text), layout, key)


def active_holds(now: dt.datetime) -> list[LegalHold]:
    """The holds in force, oldest first."""
    in_time = models.Q(until=None) | models.Q(until__gt=now)
    return list(LegalHold.objects.filter(in_time, lifted_at=None).order_by("placed_at", "id"))


def is_active(hold: LegalHold, now: dt.datetime) -> bool:
    """Whether a hold is in force."""
    return hold.lifted_at is None and (hold.until is None or hold.until > now)


def hold_key(hold: LegalHold) -> HoldKey:
    """What a hold is on."""
    return HoldKey(hold.scope, hold.table, hold.subject)


def described(hold: LegalHold) -> str:
    """A hold, in words: its id, what it is on, who placed it and why, and its end."""
    on = " ".join(part for part in (hold.scope, hold.table, hold.subject) if part)
    end = "until it is lifted" if hold.until is None else f"until {_end_text(hold.until)}"
    return f"legal hold {hold.id} on {on} ({hold.placed_by}: {hold.reason}; {end})"


def _end_text(until: dt.datetime) -> str:
    """When a hold ends. People name its last day, which is then whole within it."""
    end = until.astimezone(dt.UTC)
    if end.time() == dt.time():
        return f"the end of {end - dt.timedelta(days=1):%Y-%m-%d} UTC"
    return f"{end:%Y-%m-%d %H:%M} UTC"


def place_hold(
    subject: Subject, *, who: str, why: str, until: dt.datetime | None, now: dt.datetime
) -> Placed:
    """Place a hold: once this has returned, no delete in any store in use takes what it is on.

    The same hold (subject, who, why, until) that is in force already is not placed twice: placing
    it again makes good a call that was killed. `until` is an aware datetime, None: until lifted.
    RetentionError (blank who or why, an end that is past, an empty or overlong subject),
    AuditFailed. RetentionError as well where a store cannot be reached: the hold is in the books
    then, and the same call again or the next sweep sees to the rest. `warnings` name a store that
    nobody could look at.
    """
    check_signed(who, why)
    if until is not None and until <= now:
        raise RetentionError(f"the hold would have ended already: {_end_text(until)} is past")
    key = subject.key
    fields = {"scope": key.scope, "table": key.table, "subject": key.subject}
    fields |= {"reason": why, "placed_by": who}
    standing = LegalHold.objects.filter(**fields, until=until, lifted_at=None).first()
    hold = standing or LegalHold(id=new_run_id(), **fields, until=until, placed_at=now)
    details = {"scope": key.scope, "table": key.table, "until": str(until or "")}
    with audited(Act("place_hold", f"legal_hold/{hold.id}", who, why, details=details)):
        if standing is None:
            # Durable: in force when the call returns, not later. The gate: no delete that has
            # looked for holds before this one is still to come.
            with transaction.atomic(durable=True), hold_gate():
                hold.save(force_insert=True)
        stores = stores_in_use()
        _enforce(stores.keepers, now, f"legal hold {hold.id} is in the books, and not enforced by")
    return Placed(hold, standing is None, tuple(_warnings(subject, stores)))


def lift_hold(hold_id: str, *, who: str, why: str, now: dt.datetime) -> bool:
    """Lift a hold; False where it was lifted already, and is now seen to be so in every store.

    RetentionError (no such hold, blank who or why), AuditFailed. RetentionError as well where a
    store cannot be reached: it goes on protecting there until the same call again, or a sweep.
    """
    check_signed(who, why)
    hold = LegalHold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise RetentionError(f"there is no legal hold {hold_id!r}; `legal_hold list` names them")
    details = {"scope": hold.scope, "table": hold.table}
    with audited(Act("lift_hold", f"legal_hold/{hold.id}", who, why, details=details)):
        with transaction.atomic(durable=True):
            lifted = LegalHold.objects.filter(pk=hold_id, lifted_at=None).update(
                lifted_at=now, lifted_by=who, lift_reason=why
            )
        _enforce(keepers_in_use(), now, f"legal hold {hold.id} is lifted in the books, and not by")
    return bool(lifted)


def _enforce(keepers: Sequence[Keeper], now: dt.datetime, otherwise: str) -> None:
    """Have the stores respect just what the books say; `otherwise` begins what is said of one
    that cannot."""
    for keeper in keepers:
        try:
            sync_holds(keeper, now, again=False)
        except (DbcoreError, BotoCoreError, ClientError) as error:
            raise RetentionError(
                f"{otherwise} {keeper.name} yet: {in_words(error)}. Run the same command again, or "
                "leave it to the next sweep"
            ) from error


def sync_holds(keeper: Keeper, now: dt.datetime, *, again: bool = True) -> None:
    """Make a store respect just the holds that are in force; `again`: also on records that were
    written since they were placed, as far as those expire by themselves.

    LeaseHeld where another process has been at it for PATIENCE seconds.
    """
    with _alone(keeper) as lease:
        # Read only now: whoever held the lease before has enforced all that was committed before.
        holds = [(hold_key(hold), hold.until) for hold in active_holds(now)]
        keeper.enforce_holds(holds, again=again, keep=lease.keep)


@contextmanager
def _alone(keeper: Keeper) -> Iterator[Any]:
    """The store's lease on its holds, waited for."""
    give_up = time.monotonic() + PATIENCE
    with ExitStack() as entered:
        while True:
            try:
                lease = entered.enter_context(keeper.lease(LEASE, new_run_id()))
                break
            except LeaseHeld:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE)
        yield lease


def _warnings(subject: Subject, stores: InUse) -> Iterator[str]:
    """That a store was not looked at; that there is no such user or record: it may be restored
    later, or be a typing error."""
    if stores.not_looked_at:
        yield f"{stores.not_looked_at}. If it has records, place the hold again once it answers"
    if subject.layout is None:
        return
    found = (keeper.read(subject.layout, [subject.item_key])[0] for keeper in stores.keepers)
    if any(item is not None for item in found):
        return
    what = f"no {subject.layout.table.name} record {key_text(subject.layout, subject.item_key)!r}"
    yield f"there is {what}: the hold is placed all the same, and holds it once it is there"


def check_signed(who: str, why: str) -> None:
    """RetentionError where nobody, or no reason, is given."""
    for name, text in (("who", who), ("why", why)):
        try:
            check_text(text)
        except InvalidValue as error:
            raise RetentionError(f"--{name} {error}") from None
        if not text.strip() or "\0" in text:
            raise RetentionError(
                f"--{name} is empty or has a NUL character: give a name and a reason"
            )
    if len(who) > MAX_WHO:
        raise RetentionError(f"--who is longer than {MAX_WHO} characters")
