"""Calls are measured for real, from nought, on real engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from dbcore.monitoring import installed, metrics
from dbcore.monitoring.metrics import Metrics
from dbcore.monitoring.specs import Spec
from dbcore.table_sync import sync_tables


@pytest.fixture
def measured(settings: Any) -> Iterator[None]:
    """Everything from here on is measured."""
    settings.DB_METRICS_ENABLED = True
    metrics.renew()
    installed.install()
    yield
    installed.uninstall()
    metrics.renew()


@pytest.fixture
def tables(dynamodb: LocalEngine, settings: Any) -> LocalEngine:
    """DynamoDB is primary and has its tables; making them is not measured."""
    sync_tables()
    settings.DATABASE_PRIMARY = "dynamodb"
    return dynamodb


@pytest.fixture(params=["sqlite", "postgresql", "dynamodb"])
def primary(request: pytest.FixtureRequest, settings: Any) -> str:
    """The name of the primary store, which is empty."""
    if request.param == "dynamodb":
        request.getfixturevalue("tables")
    else:
        request.getfixturevalue("postgresql_tables" if request.param == "postgresql" else "db")
    settings.DATABASE_PRIMARY = request.param
    return str(request.param)


def samples(
    spec: Spec, suffix: str = "", of: Metrics | None = None
) -> dict[tuple[str, ...], float]:
    """A metric's values by its labels, in their declared order; what is 0 is left out."""
    made = of or metrics.current()
    made.drain()
    name = spec.name + (suffix or ("_total" if spec.kind == "counter" else ""))
    return {
        tuple(sample.labels[label] for label in spec.labels): sample.value
        for family in made.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }
