"""What tests of the migration share: a legacy file, and a project to migrate it with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.migration.options import MigrationOptions
from dbcore.migration.run import migrate
from tests.dbcore.migration.legacy_file import Legacy, build
from tests.dbcore.migration.runs import Project, Tables
from tests.support.tables import drop_tables

Migrate = Callable[..., dict[str, Any]]


@pytest.fixture
def legacy(tmp_path: Path) -> Legacy:
    """A small file with every kind of row."""
    return build(tmp_path / "legacy.sqlite3")


@pytest.fixture
def good(tmp_path: Path) -> Legacy:
    """A small file without a bad row."""
    return build(
        tmp_path / "good.sqlite3",
        history=20, places=30, users=12, profiles=12, sessions=12, bad=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, dynamodb_engine: LocalEngine) -> Iterator[Project]:
    """For real processes: a Django database and a table prefix of their own."""
    prefix = f"p{uuid.uuid4().hex[:8]}-"
    yield Project(tmp_path, dynamodb_engine.endpoint, prefix)
    drop_tables(dynamodb_engine, prefix)


@pytest.fixture
def tables(dynamodb: LocalEngine, settings: Any) -> Tables:
    """What migrations in this process write to."""
    return Tables(dynamodb.endpoint, settings.DYNAMODB_TABLE_PREFIX)


@pytest.fixture
def run(transactional_db: None, tables: Tables) -> Migrate:
    """A migration in this process: its report as JSON, with its `exit` beside."""

    def run(file: Path | Legacy | None = None, **options: Any) -> dict[str, Any]:
        path = file.path if isinstance(file, Legacy) else file
        report = migrate(MigrationOptions(file=str(path) if path else None, **options))
        return report.as_json() | {"exit": report.exit_code}

    return run
