"""Reads that may lag, from the nearest healthy replica of a global table.

Never a write, and never a read that must be consistent: a replica is behind the primary region by
about a second. Where no replica answers, the primary region does, and nobody notices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from dbcore.addresses import is_loopback, parse_endpoint
from dbcore.errors import ConfigurationError
from dbcore.stores.health import REPLICA_BACK, REPLICA_LEFT, Health
from dbcore.wire import Wire, get_wire, resolve_endpoint

DEADLINE = 1.5  # seconds, retries included, before another region is asked
REST = 10.0  # seconds that a replica is left alone after a failure
REMEASURE = 60.0  # seconds after which a replica's distance is looked at again
_WEIGHT = 0.2  # of the newest measurement

Answer = TypeVar("Answer")
Clock = Callable[[], float]


class Replica:
    """One region's copy: how to reach it, how far it is, whether it answers."""

    def __init__(self, wire: Wire, clock: Clock = time.monotonic) -> None:
        self.wire = wire
        self.health = Health(REST, clock)
        self.seconds = 0.0  # of one point read, rolling; 0: not known yet
        self.measured = -math.inf  # when, on the clock
        self._clock = clock

    def read(self, ask: Callable[[Wire], Answer], *, measured: bool) -> Answer:
        """Its answer; raises what the wire raises."""
        started = self._clock()
        answer = ask(self.wire)
        if measured:
            took = self._clock() - started
            self.seconds += (took - self.seconds) * (_WEIGHT if self.seconds else 1.0)
            self.measured = self._clock()
        return answer


class Replicas:
    """The replicas that are configured."""

    def __init__(self, replicas: Sequence[Replica], clock: Clock = time.monotonic) -> None:
        self._replicas = replicas
        self._clock = clock

    @property
    def all(self) -> Sequence[Replica]:
        """Each of them, in the order of the setting."""
        return self._replicas

    def read(
        self, ask: Callable[[Wire], Answer], primary: Callable[[], Wire], *, measured: bool
    ) -> Answer:
        """The answer of the nearest replica that has one, else the primary's."""
        for replica in self._nearest_first(measured):
            if not replica.health.may_ask():
                continue
            try:
                answer = replica.read(ask, measured=measured)
            except (BotoCoreError, ClientError) as error:
                if replica.health.failed():
                    REPLICA_LEFT.log(replica=replica.wire.region, error=error)
            else:
                if replica.health.answered():
                    REPLICA_BACK.log(replica=replica.wire.region)
                return answer
        return ask(primary())

    def _nearest_first(self, measured: bool) -> list[Replica]:
        nearest = sorted(self._replicas, key=lambda replica: replica.seconds)
        if measured:
            now = self._clock()
            for replica in nearest:
                if now - replica.measured > REMEASURE:
                    replica.measured = now  # this read measures it; those meanwhile need not
                    return [replica, *(each for each in nearest if each is not replica)]
        return nearest


def read_nearby(ask: Callable[[Wire], Answer], *, measured: bool = True) -> Answer:
    """What a replica answers, else the primary region. `measured`: by how long this read takes,
    replicas are compared; so it is to be a point read."""
    if not settings.DYNAMODB_REPLICA_REGIONS:
        return ask(get_wire())
    return _configured().read(ask, get_wire, measured=measured)


def configured_replicas() -> Sequence[Replica]:
    """The replicas that the settings name. Raises ConfigurationError."""
    return _configured().all if settings.DYNAMODB_REPLICA_REGIONS else ()


_known: dict[tuple[object, ...], Replicas] = {}


def _configured() -> Replicas:
    """The replicas that the settings name; kept, since they remember."""
    wanted = (
        tuple(settings.DYNAMODB_REPLICA_REGIONS),
        settings.DYNAMODB_ENDPOINT,
        settings.DYNAMODB_CONNECT_TIMEOUT,
        settings.DYNAMODB_READ_TIMEOUT,
        settings.DYNAMODB_POOL_SIZE,
    )
    if wanted not in _known:
        made = Replicas([_replica(text) for text in settings.DYNAMODB_REPLICA_REGIONS])
        _known.setdefault(wanted, made)
    return _known[wanted]


def _replica(text: str) -> Replica:
    """`region`, or `region=URL` for one that is not where AWS has it."""
    region, _, url = (part.strip() for part in text.partition("="))
    if not region:
        raise ConfigurationError(f"DYNAMODB_REPLICA_REGIONS: {text!r} names no region")
    if not url and _is_local(settings.DYNAMODB_ENDPOINT):
        raise ConfigurationError(
            f"DYNAMODB_REPLICA_REGIONS: {region} would be AWS, while DYNAMODB_ENDPOINT is this "
            f"machine: give its URL ({region}=http://127.0.0.1:8001)"
        )
    wire = Wire(
        resolve_endpoint(url, region),
        region,
        connect_timeout=min(settings.DYNAMODB_CONNECT_TIMEOUT, DEADLINE),
        read_timeout=min(settings.DYNAMODB_READ_TIMEOUT, DEADLINE),
        deadline=DEADLINE,
        pool_size=settings.DYNAMODB_POOL_SIZE,
    )
    return Replica(wire)


def _is_local(endpoint: str) -> bool:
    if endpoint in ("", "local"):
        return endpoint == "local"
    return is_loopback(parse_endpoint(endpoint).host)
