"""Every test of a store runs on each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Store
from dbcore.stores.orm import OrmStore
from dbcore.table_sync import sync_tables


@pytest.fixture(params=["orm", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One of the stores, empty."""
    if request.param == "orm":
        yield OrmStore()
        return
    engine: LocalEngine = request.getfixturevalue("dynamodb")
    assert engine.endpoint
    sync_tables()
    yield DynamoStore()
