"""What stories about people's records share: a primary store that is empty, and its keeper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbcore.retention.keepers.choice import primary_keeper
from dbcore.retention.keepers.interface import Keeper
from dbcore.table_sync import sync_tables


@pytest.fixture(params=["sqlite", "dynamodb"])
def primary(
    request: pytest.FixtureRequest, transactional_db: None, settings: Any, archive_dir: Path
) -> Keeper:
    """The primary store's keeper. Archives are files of the test's own."""
    settings.DATABASE_PRIMARY = request.param
    settings.RETENTION_LOOKBACK_DAYS = 50
    if request.param == "sqlite":
        without_dynamodb(settings, archive_dir)
    else:
        request.getfixturevalue("dynamodb")
        sync_tables()
    return primary_keeper()


@pytest.fixture
def in_dynamodb(dynamodb: Any, transactional_db: None, settings: Any, archive_dir: Path) -> Keeper:
    """The same, on DynamoDB alone."""
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.RETENTION_LOOKBACK_DAYS = 50
    sync_tables()
    return primary_keeper()


@pytest.fixture
def in_sqlite(transactional_db: None, settings: Any, archive_dir: Path) -> Keeper:
    """The same, on Django's database alone."""
    settings.DATABASE_PRIMARY = "sqlite"
    without_dynamodb(settings, archive_dir)
    return primary_keeper()


def without_dynamodb(settings: Any, folder: Path) -> None:
    """As on a developer's machine on which the project's own engine was never started."""
    settings.DYNAMODB_ENDPOINT = "local"
    settings.LOCAL_DYNAMODB_PATH = folder / "no engine.db"
