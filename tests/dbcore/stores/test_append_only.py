"""The audit trail never changes: through no store's call, and in SQL not through Django either."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.db import connections

from daylight.models import AuditLog
from dbcore import append_only
from dbcore.append_only import AppendOnlyError
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.interface import Store

pytestmark = pytest.mark.django_db(transaction=True)


def make_entry(**given: Any) -> AuditLog:
    values = {"event_type": "e", "resource": "r", "action": "a", "outcome": "success"}
    return AuditLog(**{"id": "A", "source": "s", **values, **given})


@pytest.mark.parametrize("field", ["correlation_id", "action", "risk_level"])
def test_counting_changes_no_entry(store: Store, field: str) -> None:
    store.add(make_entry())
    for each in (make_entry(resource="forged"), make_entry(id="B")):
        with pytest.raises(InvalidRecord):
            store.increment(each, field, below=5)
    found = store.get(AuditLog, {"id": "A"})
    assert (found.resource, found.action, found.correlation_id) == ("r", "a", None)
    assert store.get(AuditLog, {"id": "B"}) is None


def saved_again() -> None:
    entry = AuditLog.objects.get()
    entry.action = "forged"
    entry.save()


def bulk_updated() -> None:
    entry = AuditLog.objects.get()
    entry.action = "forged"
    AuditLog.objects.bulk_update([entry], ["action"])


def written_over() -> None:
    AuditLog.objects.bulk_create(
        [make_entry(action="forged")], update_conflicts=True, unique_fields=["id"],
        update_fields=["action"],
    )  # fmt: skip


def loaded() -> None:
    text = serializers.serialize("json", [make_entry(action="forged")])
    for each in serializers.deserialize("json", text):
        each.save()


CHANGES: dict[str, Callable[[], Any]] = {
    "save": saved_again,
    "save of a new one over it": lambda: make_entry(action="forged").save(force_update=True),
    "update": lambda: AuditLog.objects.filter(id="A").update(action="forged"),
    "update through Django's own manager": lambda: AuditLog._base_manager.filter(id="A").update(
        action="forged"
    ),
    "update_or_create": lambda: AuditLog.objects.update_or_create(
        id="A", defaults={"action": "forged"}
    ),
    "bulk_update": bulk_updated,
    "bulk_create": written_over,
    "loaddata": loaded,
    "delete": lambda: AuditLog.objects.get().delete(),
    "delete of many": lambda: AuditLog.objects.all().delete(),
    "delete through Django's own manager": lambda: AuditLog._base_manager.all().delete(),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def entry(request: pytest.FixtureRequest) -> AuditLog:
    """An entry in a SQL database, the only one."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_tables")
    return AuditLog.objects.create(id="A", event_type="e", resource="r", action="a",
                                   outcome="success", source="s")  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_django_refuses_to_change_or_remove_an_entry(entry: AuditLog, change: str) -> None:
    with pytest.raises(AppendOnlyError, match="audit_logs"):
        CHANGES[change]()
    assert AuditLog.objects.get().action == "a"


@pytest.mark.parametrize("change", CHANGES)
def test_there_is_one_way_past_which_has_a_name(entry: AuditLog, change: str) -> None:
    with append_only.lifted():
        CHANGES[change]()
    left = [each.action for each in AuditLog.objects.all()]
    assert left == ([] if change.startswith("delete") else ["forged"])
    with pytest.raises(AppendOnlyError):
        AuditLog.objects.all().delete()


def test_the_way_past_is_open_to_its_own_thread_alone(entry: AuditLog) -> None:
    refused = []

    def other() -> None:
        try:
            AuditLog.objects.all().delete()
        except AppendOnlyError as error:
            refused.append(error)
        finally:
            connections.close_all()

    with append_only.lifted():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_entries_are_added_in_every_way_that_django_has(entry: AuditLog) -> None:
    make_entry(id="B").save()
    AuditLog.objects.bulk_create([make_entry(id="C"), make_entry(id="D")])
    AuditLog.objects.bulk_create([make_entry(id="C"), make_entry(id="E")], ignore_conflicts=True)
    AuditLog.objects.get_or_create(id="F", defaults={"event_type": "e"})
    text = serializers.serialize("json", [make_entry(id="G")])
    for each in serializers.deserialize("json", text):
        each.save()
    assert sorted(AuditLog.objects.values_list("id", flat=True)) == [*"ABCDEFG"]
