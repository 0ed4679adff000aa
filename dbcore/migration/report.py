"""What a run did, for people and for programs. The JSON form is a contract: keys are added, never
renamed or removed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from dbcore.migration.ledger import Tally
from dbcore.migration.verify import Finding

EXIT_COMPLETE = 0
EXIT_FAILED = 1
EXIT_DIFFERENT = 2
EXIT_DEAD_LETTERS = 3
MAX_LISTED_LETTERS = 10_000


@dataclass(slots=True)
class Line:
    """The account of one source table."""

    source: str
    table: str
    tally: Tally
    expired: int = 0  # rows whose item DynamoDB has deleted since, as their ttl says


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, as a report lists it."""

    source: str
    table: str
    key: str
    reason: str


@dataclass(slots=True)
class Estimate:
    """What a migration would take. Dollars are of writing, at the on-demand price."""

    items: int
    bytes: int
    write_units: int
    dollars: float
    price_per_million: float
    region: str
    minutes: float | None  # at the rate that was asked for


@dataclass(slots=True)
class Report:
    """The outcome of one run of `migrate_to_dynamo`."""

    run: str
    source: str
    target: str
    status: str = "completed"
    seconds: float = 0.0
    copy_seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    dead_letters: list[Letter] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    verified: bool = False
    resumed: bool = False
    dry_run: bool = False
    estimate: Estimate | None = None
    throttles: int = 0
    error: str = ""
    failure: Exception | None = field(default=None, repr=False)  # `error`, for monitoring
    lease_held: bool = False  # another run is at work: that is the error
    notes: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """The sum of one column."""
        return sum(getattr(line.tally, name) for line in self.lines)

    @property
    def differs(self) -> bool:
        """Whether verification found anything."""
        return any(self.total(name) for name in ("missing", "different", "extra"))

    @property
    def exit_code(self) -> int:
        """0 complete and verified, 3 so but for dead letters, 2 differences found, 1 failed."""
        if self.error or self.status == "interrupted":
            return EXIT_FAILED
        if self.differs:
            return EXIT_DIFFERENT
        return EXIT_DEAD_LETTERS if self.total("dead_lettered") else EXIT_COMPLETE

    def settle(self) -> None:
        """Set the status from what was found."""
        if self.error or self.differs:
            self.status = "failed"
        elif self.total("dead_lettered"):
            self.status = "completed_with_dead_letters"
        else:
            self.status = "completed"

    @property
    def rows_per_second(self) -> float:
        """Rows read a second, over the time that copying took."""
        return self.total("read") / self.copy_seconds if self.copy_seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The contract."""
        return {
            "run": self.run,
            "status": self.status,
            "source": self.source,
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 1),
            "tables": [
                {
                    "source": line.source,
                    "table": line.table,
                    **dataclasses.asdict(line.tally),
                    "expired": line.expired,
                }
                for line in self.lines
            ],
            "dead_letters": [dataclasses.asdict(letter) for letter in self.dead_letters],
            "unknown": self.unknown,
            "findings": [_finding(each) for each in self.findings],
            "verified": self.verified,
            "resumed": self.resumed,
            "dry_run": self.dry_run,
            "estimate": None if self.estimate is None else dataclasses.asdict(self.estimate),
            "throttles": self.throttles,
            "error": self.error,
            "notes": self.notes,
        }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "source": finding.source,
        "table": finding.table,
        "key": finding.key,
        "attributes": list(finding.attributes),
    }
