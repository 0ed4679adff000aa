"""What a check is given and what it says, and the words for errors. No secret, no record's key and
no user may come out of here: what checks say goes to logs, pages and messages.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from dbcore.errors import DbcoreError
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.health.results import Status, worst
from dbcore.monitoring.pools import PoolUse
from dbcore.monitoring.scrub import scrub_text
from dbcore.rights import lacked

_NAMED = 3  # of many, so many are named


@dataclass(frozen=True, slots=True)
class Context:
    """What a check may know. `until`: on the monotonic clock, when its own calls must have ended.
    `pools`: how full they were before the checks began to use them."""

    now: dt.datetime
    until: float
    pools: Sequence[PoolUse] = ()

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.05, self.until - time.monotonic())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says: how well, one sentence, and the host where it is about that alone.
    `is_known` False: it could not ask, and says nothing."""

    status: Status
    sentence: str
    host: str = ""
    is_known: bool = True


Check = Callable[[Context], Verdict]


def healthy(sentence: str, host: str = "") -> Verdict:
    """All is well."""
    return Verdict(Status.HEALTHY, sentence, host)


def unknown(sentence: str, host: str = "") -> Verdict:
    """It cannot be told, for a reason that another check tells of. No alert begins or ends."""
    return Verdict(Status.HEALTHY, f"not known: {sentence}", host, is_known=False)


def warning(sentence: str, host: str = "") -> Verdict:
    """It works, and somebody should look at it."""
    return Verdict(Status.WARNING, sentence, host)


def critical(sentence: str, host: str = "") -> Verdict:
    """It does not do what it is for."""
    return Verdict(Status.CRITICAL, sentence, host)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Several as one: as bad as the worst, with the sentences of all that are not well."""
    status = worst(each.status for each in verdicts)
    told = [each for each in verdicts if each.status is not Status.HEALTHY] or verdicts
    hosts = {each.host for each in told}
    return Verdict(status, "; ".join(each.sentence for each in told), max(hosts, default=""))


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def in_words(error: BaseException) -> str:
    """An error for people. Of what AWS refuses, the code alone: its words quote roles and keys."""
    if lacking := lacked(error):
        return lacking
    if isinstance(error, ClientError):
        return f"{error.response['Error']['Code']}, asked for {error.operation_name}"
    if isinstance(error, DbcoreError):
        return scrubbed(str(error))
    return scrubbed(f"{type(error).__name__}: {error}".removesuffix(": "))


def scrubbed(text: str) -> str:
    """The text without what is secret or personal, on one line."""
    return presentable(scrub_text(text))
