"""What alerts are judged by: one look at everything, as plain facts.

None, or a name that is missing, means that it could not be told; nothing may be concluded from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dbcore.monitoring.health.results import CheckResult


@dataclass(frozen=True, slots=True)
class Measured:
    """A value, and the sentence that says it to a person, with its unit, table and operation."""

    value: float
    sentence: str


class Readings(Protocol):
    """One look at everything.

    `at` is when it began. The metrics are of the last `window_seconds`: where too few calls were
    made to judge by, their value is 0. `last_sweep` and `last_migration` are statuses as in the
    books ("failed", "unproven", "completed", …), "" where there was none.
    """

    @property
    def at(self) -> dt.datetime: ...
    @property
    def window_seconds(self) -> float: ...
    @property
    def latency_p95_ms(self) -> Measured | None: ...
    @property
    def error_rate(self) -> Measured | None:
        """The share of calls that failed, 0 to 1."""

    @property
    def pool_use(self) -> Measured | None:
        """The share of connections in use, 0 to 1."""

    @property
    def throttles(self) -> Measured | None:
        """How often DynamoDB refused a call for its rate."""

    @property
    def checks(self) -> Sequence[CheckResult]: ...
    @property
    def last_sweep(self) -> LastRun | None: ...
    @property
    def last_migration(self) -> LastRun | None: ...
    @property
    def sweep_age_hours(self) -> Measured | None: ...
    @property
    def backlog_days(self) -> Measured | None:
        """For how long the oldest record that is due and could be deleted has been so."""

    @property
    def failing_channels(self) -> Mapping[str, str]:
        """For each channel of alerts, why it fails; "" where it does not."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the last sweep or migration that has ended did."""

    status: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Readings as they were taken."""

    at: dt.datetime
    window_seconds: float = 300.0
    latency_p95_ms: Measured | None = None
    error_rate: Measured | None = None
    pool_use: Measured | None = None
    throttles: Measured | None = None
    checks: Sequence[CheckResult] = ()
    last_sweep: LastRun | None = None
    last_migration: LastRun | None = None
    sweep_age_hours: Measured | None = None
    backlog_days: Measured | None = None
    failing_channels: Mapping[str, str] = field(default_factory=dict)
