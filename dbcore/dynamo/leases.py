"""That one process at a time does a job on a target: a lease in DynamoDB itself.

A lease runs out by itself when its holder dies; a holder that is known to be dead (its process is
gone from this machine) is replaced at once. It guards against two runs by mistake, not against a
holder that sleeps through its lease: what is written under one must be safe to write twice.
"""

from __future__ import annotations

import abc
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from dbcore.attributes import AttributeValue, Item
from dbcore.dynamo.expressions import condition
from dbcore.dynamo.reading import Request, get_item
from dbcore.dynamo.refusals import Meaning, refusal_of
from dbcore.errors import DbcoreError
from dbcore.wire import Wire

LEASE_SECONDS = 30
RENEW_SECONDS = 8


class LeaseHeld(DbcoreError):
    """Another process holds the lease."""

    names_records = False


class LeaseLost(DbcoreError):
    """The lease ran out, and another process has taken it."""

    names_records = False


def lease_table() -> str:
    """The name of the table that holds the leases."""
    return f"{settings.DYNAMODB_TABLE_PREFIX}leases"


def process_place() -> str:
    """Where process ids mean what they mean here: this boot and this process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # cannot be told: a dead holder's lease must run out


def process_birth(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    owner: str
    host: str
    pid: int
    birth: str
    place: str
    since: str
    expires: float

    @property
    def is_dead(self) -> bool:
        """Whether it is known that the holder's process is gone."""
        return (
            bool(self.place)
            and self.place == process_place()
            and (process_birth(self.pid) != self.birth)
        )

    def __str__(self) -> str:
        return f"{self.owner} on {self.host}, process {self.pid}, since {self.since}"


def held_by(name: str, holder: Holder) -> LeaseHeld:
    """The error of who wants a lease that another has."""
    left = max(0, round(holder.expires - time.time()))
    return LeaseHeld(
        f"another {name} is running: {holder}. Wait until it has finished; if it is dead, "
        f"its lease runs out in {left} seconds"
    )


def lost_to(name: str, holder: Holder | None) -> LeaseLost:
    """The error of who had a lease that has run out and is another's by now."""
    now = holder or "nobody: another that had taken it has ended"
    return LeaseLost(f"the lease on {name} has run out; it is now held by {now}")


class Leased(abc.ABC):
    """A lease that is held within a `with` block. `away`: what says that its store is out of reach,
    perhaps the very error that ends the work: then the lease runs out by itself."""

    away: ClassVar[tuple[type[Exception], ...]]

    @abc.abstractmethod
    def acquire(self) -> None:
        """Take the lease; LeaseHeld names who has it."""

    @abc.abstractmethod
    def release(self) -> None:
        """Give the lease up, if it is still ours."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.release()
        except self.away:
            if error is None:
                raise


class Lease(Leased):
    """A lease on `name`. Use as a context manager, and call `keep` often while working."""

    away = (BotoCoreError, ClientError)

    def __init__(self, wire: Wire, name: str, owner: str) -> None:
        self.name = name
        self.owner = owner
        self._wire = wire
        self._renewed = 0.0
        self._since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def acquire(self) -> None:
        """Take the lease; LeaseHeld names who has it."""
        now = time.time()
        free = "attribute_not_exists(#name) OR #expires < :now OR #owner = :me"
        if self._put(free, now=_number(now), me={"S": self.owner}):
            return None
        holder = self.holder()
        if holder is None:
            return self.acquire()
        if holder.is_dead:
            if self._put("#owner = :dead", dead={"S": holder.owner}):
                return None
            return self.acquire()  # another was quicker
        raise held_by(self.name, holder)

    def keep(self) -> None:
        """Renew the lease when it is time to; LeaseLost when another process has it."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        if not self._put("#owner = :me", me={"S": self.owner}):
            raise lost_to(self.name, self.holder())

    def release(self) -> None:
        """Give the lease up, if it is still ours."""
        ours = condition("#owner = :me", {"owner": "owner"}, {"me": {"S": self.owner}})
        self._done("DeleteItem", {"Key": self._key, **ours})

    def holder(self) -> Holder | None:
        """Who has the lease now."""
        item = get_item(self._wire, lease_table(), self._key)
        if item is None:
            return None
        return Holder(
            owner=item["owner"]["S"],
            host=item["host"]["S"],
            pid=int(item["pid"]["N"]),
            birth=item["birth"]["S"],
            place=item["place"]["S"],
            since=item["since"]["S"],
            expires=float(item["expires"]["N"]),
        )

    @property
    def _key(self) -> Item:
        return {"name": {"S": self.name}}

    def _put(self, text: str, **values: AttributeValue) -> bool:
        started = time.monotonic()
        expires = time.time() + LEASE_SECONDS
        item = {
            **self._key,
            "owner": {"S": self.owner},
            "host": {"S": platform.node()},
            "pid": {"N": str(os.getpid())},
            "birth": {"S": process_birth(os.getpid())},
            "place": {"S": process_place()},
            "since": {"S": self._since},
            "expires": _number(expires),
            # Long after the lease: DynamoDB tidies up, it does not decide.
            "ttl": {"N": str(int(expires) + 86400)},
        }
        names = {name: name for name in ("name", "owner", "expires") if f"#{name}" in text}
        if not self._done("PutItem", {"Item": item, **condition(text, names, values)}):
            return False
        self._renewed = started
        return True

    def _done(self, operation: str, request: Request) -> bool:
        """Whether a write's condition holds, so that it has been done."""
        try:
            self._wire.call(operation, {"TableName": lease_table(), **request})
        except ClientError as error:
            if refusal_of(error).first.meaning is not Meaning.UNTRUE:
                raise
            return False
        return True


def _number(value: float) -> dict[str, str]:
    return {"N": f"{value:.3f}"}
