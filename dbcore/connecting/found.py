"""What is found of one target: facts, and what is wrong. It is filled in step by step while the
target is asked, so that a deadline loses none of it. No secret may come in here.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field

from dbcore.connecting.certificates import Tls
from dbcore.errors import DbcoreError
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.health.results import Status, worst

MIN_SECONDS = 0.05  # that each step has, however near the deadline


class Step(enum.Enum):
    """What is being done, for the case that it takes too long."""

    BEGIN = enum.auto()
    LOOKUP = enum.auto()
    CONNECT = enum.auto()
    PROXY = enum.auto()
    GREETING = enum.auto()
    HANDSHAKE = enum.auto()
    CREDENTIALS = enum.auto()
    CALL = enum.auto()


class Trouble(DbcoreError):
    """One thing that is wrong: what, and what to do about it. Both are made presentable here: a
    part of them may be the other side's words."""

    names_records = False

    def __init__(self, what: str, advice: str, status: Status = Status.CRITICAL) -> None:
        self.what, self.advice, self.status = presentable(what), presentable(advice), status
        super().__init__(f"{self.what}: {self.advice}")


@dataclass(slots=True)
class Found:
    """One target. `setting`: the one that names it. `until`: on the monotonic clock, when its own
    steps must have ended. `at_worst`: as bad as any trouble with it can be. `unused`: why it was
    not asked; "" where it was."""

    name: str
    until: float
    setting: str = ""
    unused: str = ""
    endpoint: str = ""
    addresses: tuple[str, ...] = ()
    tls: Tls | None = None
    authorities: str = ""  # the CAs by which its certificate is judged
    facts: dict[str, str] = field(default_factory=dict)  # others, by a name of one or two words
    answer: str = ""
    skew: float | None = None  # seconds that this machine's clock is ahead of the other side's
    seconds: float = 0.0
    troubles: list[Trouble] = field(default_factory=list)
    at_worst: Status = Status.CRITICAL
    doing: Step = Step.BEGIN
    peer: str = ""  # who is being asked at this step: the target, a proxy, a name server
    hint: str = ""  # where to look when nothing answers
    direct: str = ""  # that its client goes no way that others go

    @property
    def left(self) -> float:
        """Seconds."""
        return max(MIN_SECONDS, self.until - time.monotonic())

    @property
    def status(self) -> Status:
        """That of the worst trouble."""
        return worst(each.status for each in self.troubles)

    def at(self, step: Step, peer: str = "") -> None:
        """From here on, this is being done."""
        self.doing = step
        self.peer = peer or self.peer

    def add(self, trouble: Trouble) -> None:
        """Note what is wrong."""
        if trouble.status.is_worse_than(self.at_worst):
            trouble = Trouble(trouble.what, trouble.advice, self.at_worst)
        self.troubles.append(trouble)

    def warn(self, what: str, advice: str) -> None:
        """Note what works, and somebody should look at."""
        self.add(Trouble(what, advice, Status.WARNING))

    def answered(self, what: str, began: float) -> None:
        """Note what was answered, to a call that began then, on the monotonic clock."""
        self.answer = presentable(f"{what}: {(time.monotonic() - began) * 1000:,.0f} ms")
