"""What a health check says. Facts alone: nothing here asks anything."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How well something is. `rank` orders them, and is an exit status."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 healthy, 1 warning, 2 critical."""
        return _RANKS[self]

    def is_worse_than(self, other: Status) -> bool:
        """Whether it is worse than `other`."""
        return self.rank > other.rank


_RANKS = {Status.HEALTHY: 0, Status.WARNING: 1, Status.CRITICAL: 2}


# Checks of this machine, about which another host may say otherwise.
HOST_BOUND = frozenset({"disk", "files", "clock"})


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's answer.

    `sentence` is for people, without personal data, keys or secrets: alerts carry it to others.
    `at` is when the check began, and `seconds` how long it took. `host` names this machine where
    the answer is about it alone (its disk, its clock) and is "" where every host would see the
    same: alerts of one host are not ended by what another sees. `is_known` False: what it is about
    could not be asked, and nothing may be concluded from its status.
    """

    name: str
    status: Status
    sentence: str
    seconds: float
    at: dt.datetime
    host: str = ""
    is_known: bool = True


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of them; HEALTHY where there are none."""
    return max(statuses, key=lambda status: status.rank, default=Status.HEALTHY)
