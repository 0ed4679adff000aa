"""What was measured of one operation on one table in a window of time: counts and a histogram.

Totals of several windows, processes and hosts add up to what one process would have counted.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Upper bounds of the histogram's buckets, in seconds; what takes longer is in one more.
BOUNDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """`errors` are failures; `refused` counts answers such as a condition that does not hold.
    `seconds` is the sum of all calls, `least` and `worst` of one; `buckets` has upper bound ->
    calls, without empty buckets. `capacity` is in DynamoDB's units."""

    count: int = 0
    errors: int = 0
    refused: int = 0
    rows: int = 0
    capacity: float = 0.0
    retries: int = 0
    throttles: int = 0
    seconds: float = 0.0
    least: float = math.inf
    worst: float = 0.0
    buckets: Mapping[float, int] = field(default_factory=dict)

    def __add__(self, other: Totals) -> Totals:
        bounds = self.buckets.keys() | other.buckets.keys()
        return Totals(
            self.count + other.count,
            self.errors + other.errors,
            self.refused + other.refused,
            self.rows + other.rows,
            self.capacity + other.capacity,
            self.retries + other.retries,
            self.throttles + other.throttles,
            self.seconds + other.seconds,
            min(self.least, other.least),
            max(self.worst, other.worst),
            {each: self.buckets.get(each, 0) + other.buckets.get(each, 0) for each in bounds},
        )

    @property
    def error_rate(self) -> float:
        """The share of calls that failed, 0 to 1."""
        return self.errors / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """The seconds within which this share of the calls ended; 0 where there were none.

        Taken as evenly spread within its bucket, so exact to the bucket's width.
        """
        wanted, seen = max(math.ceil(share * self.count), 1), 0
        for bound in sorted(self.buckets):
            here = self.buckets[bound]
            if seen + here >= wanted:
                upper = min(bound, self.worst)
                below = bisect_left(BOUNDS, bound)
                lower = min(max(BOUNDS[below - 1] if below else 0.0, self.least), upper)
                return min(lower + (upper - lower) * (wanted - seen) / here, upper)
            seen += here
        return self.worst if self.count else 0.0

    @property
    def p50(self) -> float:
        """In seconds."""
        return self.percentile(0.50)

    @property
    def p95(self) -> float:
        """In seconds."""
        return self.percentile(0.95)

    @property
    def p99(self) -> float:
        """In seconds."""
        return self.percentile(0.99)

    def as_json(self) -> dict[str, Any]:
        """What `performance_metrics` has no column for."""
        kept: dict[str, Any] = {
            "seconds": round(self.seconds, 6),
            "worst": round(self.worst, 6),
            "buckets": {f"{bound:g}": calls for bound, calls in sorted(self.buckets.items())},
        }
        if self.count:
            kept["least"] = round(self.least, 6)
        for name in ("refused", "retries", "throttles"):
            if getattr(self, name):
                kept[name] = getattr(self, name)
        return kept

    @classmethod
    def from_json(
        cls, kept: Mapping[str, Any], *, count: int, errors: int, rows: int, capacity: float
    ) -> Totals:
        """What `as_json` gave, with what has columns. Other processes' bounds may differ."""
        return cls(
            count,
            errors,
            int(kept.get("refused", 0)),
            rows,
            capacity,
            int(kept.get("retries", 0)),
            int(kept.get("throttles", 0)),
            float(kept.get("seconds", 0.0)),
            float(kept.get("least", math.inf)),
            float(kept.get("worst", 0.0)),
            {float(bound): int(calls) for bound, calls in kept.get("buckets", {}).items()},
        )
