"""What a migration is asked to do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from django.utils import timezone

DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """The options of `migrate_to_dynamo`; see its --help."""

    file: str | None = None
    database: str = "default"
    tables: tuple[str, ...] = ()  # names of source or target tables; none: all
    concurrency: int = DEFAULT_CONCURRENCY  # requests in flight
    rate_limit: float | None = None  # write units a second
    skip_expired: bool = False
    verify_only: bool = False
    verify: bool = True
    repair: bool = False
    allow_extra: bool = False
    dry_run: bool = False
    now: dt.datetime = field(default_factory=timezone.now)

    @property
    def writes(self) -> bool:
        """Whether anything in DynamoDB may change."""
        return not self.dry_run and (not self.verify_only or self.repair)

    def described(self) -> dict[str, object]:
        """The options, for the record of the run; the file as it is found from any folder."""
        file = None if self.file is None else str(Path(self.file).resolve())
        return {
            name: getattr(self, name)
            for name in (
                "database", "concurrency", "rate_limit", "skip_expired", "verify_only",
                "verify", "repair", "allow_extra",
            )
        } | {"file": file, "tables": list(self.tables)}  # fmt: skip
