"""What API keys were used for, and when last."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import ApiKey, ApiUsage
from daylight.services.api_keys import api_key_service
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import AlreadyExists, InvalidRecord, RecordNotFound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("people")]
DAY = dt.timedelta(days=1)
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)
REQUEST = {"endpoint": "/v1/plans", "method": "GET", "status_code": 200, "response_time_ms": 12.5}


def kept(key_id: str) -> ApiKey:
    found = primary_store().get(ApiKey, {"id": key_id})
    assert found is not None
    return found


def test_a_request_is_written_down_for_its_key() -> None:
    _, key = api_key_service.issue("ana", "CI")
    usage = api_key_service.record_usage(
        key.id,
        "ana",
        {**REQUEST, "status_code": 429, "rate_limit_hit": True, "error_code": "limit"},
    )
    (found,) = api_key_service.get_key_usage(key.id)
    assert found == usage and (found.user_id, found.status_code) == ("ana", 429)
    assert (found.rate_limit_hit, found.error_code, found.ip_address) == (True, "limit", None)


def test_usage_is_listed_newest_first_page_by_page() -> None:
    _, key = api_key_service.issue("ana", "CI")
    _, other = api_key_service.issue("ana", "other")
    api_key_service.record_usage(other.id, "ana", REQUEST)
    for at in range(5):
        when = NOON + dt.timedelta(minutes=at // 2)
        api_key_service.record_usage(key.id, "ana", {**REQUEST, "id": f"r{at}", "timestamp": when})
    first = api_key_service.get_key_usage(key.id, 2)
    rest = api_key_service.get_key_usage(key.id, 9, first.next_cursor)
    assert [each.id for each in first] == ["r4", "r3"]
    assert [each.id for each in rest] == ["r2", "r1", "r0"] and rest.next_cursor is None


def test_a_keys_last_use_follows_to_the_minute_and_never_goes_back() -> None:
    _, key = api_key_service.issue("ana", "CI")
    assert kept(key.id).last_used_at is None

    def used(seconds: int) -> dt.datetime | None:
        when = NOON + dt.timedelta(seconds=seconds)
        api_key_service.record_usage(key.id, "ana", {**REQUEST, "timestamp": when})
        return kept(key.id).last_used_at

    assert [used(0), used(59), used(-3600)] == [NOON] * 3
    assert used(60) == NOON + dt.timedelta(seconds=60)
    assert len(api_key_service.get_key_usage(key.id)) == 4


def test_a_request_is_written_though_another_has_just_written_the_last_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, key = api_key_service.issue("ana", "CI")
    honest = api_key_service._owned

    def overtaken(key_id: str, user_id: str) -> ApiKey:
        found = honest(key_id, user_id)
        primary_store().update(ApiKey, {"id": key_id}, {"last_used_at": NOON})
        return found

    monkeypatch.setattr(api_key_service, "_owned", overtaken)
    api_key_service.record_usage(key.id, "ana", {**REQUEST, "timestamp": NOON + 2 * DAY})
    assert len(api_key_service.get_key_usage(key.id)) == 1
    assert kept(key.id).last_used_at == NOON


def test_a_request_of_a_time_to_come_does_not_stop_the_clock_of_the_last_use() -> None:
    _, key = api_key_service.issue("ana", "CI")
    to_come = timezone.now() + 3650 * DAY
    entry = api_key_service.record_usage(key.id, "ana", {**REQUEST, "timestamp": to_come})
    first = kept(key.id).last_used_at
    assert entry.timestamp == to_come and first is not None and first <= timezone.now()
    # One that was kept by an older release, or migrated.
    primary_store().update(ApiKey, {"id": key.id}, {"last_used_at": to_come})
    api_key_service.record_usage(key.id, "ana", REQUEST)
    again = kept(key.id).last_used_at
    assert again is not None and first <= again <= timezone.now()


def test_usage_belongs_to_a_key_of_its_user() -> None:
    _, key = api_key_service.issue("ana", "CI")
    for key_id, user_id in ((key.id, "bea"), ("nothing", "ana")):
        with pytest.raises(RecordNotFound):
            api_key_service.record_usage(key_id, user_id, REQUEST)
    assert list(api_key_service.get_key_usage(key.id)) == []
    assert list(api_key_service.get_key_usage("nothing")) == []


def test_an_entry_is_written_once_and_a_second_changes_nothing() -> None:
    _, key = api_key_service.issue("ana", "CI")
    api_key_service.record_usage(key.id, "ana", {**REQUEST, "id": "r", "timestamp": NOON})
    for later in (NOON, NOON + DAY):
        with pytest.raises(AlreadyExists):
            api_key_service.record_usage(key.id, "ana", {**REQUEST, "id": "r", "timestamp": later})
    assert kept(key.id).last_used_at == NOON


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"user_id": "bea"}, "user_id"),
        ({"api_key_id": "other"}, "api_key_id"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "x" * 256}, "endpoint"),
        ({"method": None}, "method"),
        ({"status_code": "200"}, "status_code"),
        ({"status_code": -1}, "status_code"),
        ({"response_time_ms": None}, "response_time_ms"),
        ({"response_time_ms": float("inf")}, "response_time_ms"),
        ({"ip_address": "here"}, "ip_address"),
        ({"timestamp": dt.datetime(2026, 1, 1)}, "timestamp"),  # noqa: DTZ001
        ({"timestamp": None}, "timestamp"),
        ({"id": ""}, "id"),
        ({"error_message": "x" * 500_000}, "item"),
    ],
)
def test_bad_usage_is_refused_and_nothing_is_written(given: dict[str, Any], field: str) -> None:
    _, key = api_key_service.issue("ana", "CI")
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.record_usage(key.id, "ana", {**REQUEST, **given})
    assert refused.value.field == field
    assert list(api_key_service.get_key_usage(key.id)) == []
    assert kept(key.id).last_used_at is None


@pytest.mark.parametrize("missing", sorted(REQUEST))
def test_usage_says_what_was_asked_and_how_it_ended(missing: str) -> None:
    _, key = api_key_service.issue("ana", "CI")
    given = {name: value for name, value in REQUEST.items() if name != missing}
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.record_usage(key.id, "ana", given)
    assert refused.value.field == missing


def test_usage_is_a_mapping_and_listed_by_a_key() -> None:
    _, key = api_key_service.issue("ana", "CI")
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.record_usage(key.id, "ana", ["GET"])  # type: ignore[arg-type]
    assert refused.value.field == "usage"
    for given, field in (({"api_key_id": ""}, "api_key_id"), ({"limit": 1001}, "limit")):
        with pytest.raises(InvalidRecord) as refused:
            api_key_service.get_key_usage(**{"api_key_id": key.id, **given})  # type: ignore[arg-type]
        assert refused.value.field == field


def test_usage_survives_its_key() -> None:
    _, key = api_key_service.issue("ana", "CI")
    api_key_service.record_usage(key.id, "ana", REQUEST)
    api_key_service.revoke(key.id, "ana")
    api_key_service.record_usage(key.id, "ana", {**REQUEST, "status_code": 401})
    usage = api_key_service.get_key_usage(key.id)
    assert {each.status_code for each in usage} == {200, 401}
    assert all(isinstance(each, ApiUsage) for each in usage)
