"""What PostgreSQL could do otherwise than the other stores: order text as a language does."""

from __future__ import annotations

import datetime as dt

import pytest
from pytest_django import DjangoDbBlocker

from daylight.models import LocationHistory
from dbcore.stores.interface import Position, Query
from dbcore.stores.orm import OrmStore
from tests.support.postgres import Postgres

NOW = dt.datetime(2026, 9, 23, 12, tzinfo=dt.UTC)
IDS = ["B", "a", "A-1", "A1", "b", "_", "é", "z"]


@pytest.mark.django_db(transaction=True)
def test_ties_come_by_code_point_whatever_language_the_database_speaks(
    postgres: Postgres, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), postgres.as_default("english", icu_locale="en-US"):
        store = OrmStore()
        for each in IDS:
            store.add(LocationHistory(user_id="u", id=each, location={"a": 1}, timestamp=NOW))
        seen: list[str] = []
        after: Position | None = None
        while True:
            query = Query(LocationHistory, "user_id", "u", "timestamp", limit=3, after=after)
            records, after = store.query(query)
            seen += [str(record.pk).removeprefix("u/") for record in records]
            if after is None:
                break
    assert seen == sorted(IDS, reverse=True)
