"""What stops a migration. Each message says what, where, and what to do."""

from __future__ import annotations

from dbcore.errors import DbcoreError


class MigrationError(DbcoreError):
    """The migration cannot go on; what was copied so far stays, and a new run resumes."""

    names_records = False


class SourceError(MigrationError):
    """The source cannot be read."""
