"""Every test of a store runs on each of them."""

from __future__ import annotations

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Store
from dbcore.stores.orm import OrmStore
from dbcore.table_sync import sync_tables


@pytest.fixture(params=["sqlite", "postgresql", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Store:
    """One of the stores, empty."""
    if request.param == "dynamodb":
        engine: LocalEngine = request.getfixturevalue("dynamodb")
        assert engine.endpoint
        sync_tables()
        return DynamoStore()
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    return OrmStore()
