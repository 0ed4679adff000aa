"""API keys: shown once, kept as a hash, refused at once when they are revoked, and what they were
used for."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import ApiKey, ApiUsage
from daylight.services.api_keys import api_key_service
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import AlreadyExists, InvalidRecord, RecordNotFound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]
DAY = dt.timedelta(days=1)
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)
REQUEST = {"endpoint": "/v1/plans", "method": "GET", "status_code": 200, "response_time_ms": 12.5}


def kept(key_id: str) -> ApiKey:
    found = primary_store().get(ApiKey, {"id": key_id})
    assert found is not None
    return found


# --- issue and verify ------------------------------------------------------------------------


def test_a_key_is_verified_by_its_text_and_by_nothing_less() -> None:
    text, record = api_key_service.issue("ana", "CI", ["plans:read"], tags=["team"])
    found = api_key_service.verify(text)
    assert found == record and found.scopes == ["plans:read"] and found.tags == ["team"]
    for wrong in (text[:-1], text + "x", text.upper(), text[3:], "", "dl_", record.key_hash):
        with pytest.raises(RecordNotFound):
            api_key_service.verify(wrong)


def test_a_key_has_256_bits_and_is_never_the_same() -> None:
    texts = {api_key_service.issue("ana", "CI")[0] for _ in range(5)}
    assert len(texts) == 5
    assert all(text.startswith("dl_") and len(text) == 3 + 43 for text in texts)


def test_the_key_itself_is_kept_nowhere() -> None:
    text, record = api_key_service.issue("ana", "CI", description="Made on the phone.")
    found = kept(record.id)
    values = [str(getattr(found, column.name)) for column in layout_of(ApiKey).columns]
    assert not any(text[3:] in value or text[8:-5] in value for value in values)
    assert found.key_hash == hashlib.sha256(text.encode()).hexdigest()
    assert found.key_preview == f"{text[:7]}…{text[-4:]}"


def test_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    honest = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return honest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    text, record = api_key_service.issue("ana", "CI")
    api_key_service.verify(text)
    with pytest.raises(RecordNotFound):
        api_key_service.verify("dl_unknown")  # compared too: with the hash of no key
    unknown = hashlib.sha256(b"dl_unknown").hexdigest()
    assert compared == [(record.key_hash, record.key_hash), ("0" * 64, unknown)]


def test_one_refusal_for_every_reason() -> None:
    now = timezone.now()
    revoked, record = api_key_service.issue("ana", "revoked")
    api_key_service.revoke(record.id, "ana")
    suspended, record = api_key_service.issue("ana", "suspended")
    primary_store().update(ApiKey, {"id": record.id}, {"status": "suspended"})
    expired, _ = api_key_service.issue("ana", "expired", expires_at=now + DAY)
    refusals = set()
    for text in (revoked, suspended, expired, "dl_unknown", "\ud800", "x" * 100_000):
        with pytest.raises(RecordNotFound) as refused:
            api_key_service.verify(text, now + DAY)
        refusals.add((type(refused.value), str(refused.value)))
    assert len(refusals) == 1


def test_a_key_is_good_until_the_instant_in_which_it_expires() -> None:
    end = timezone.now() + DAY
    text, record = api_key_service.issue("ana", "CI", expires_at=end)
    assert api_key_service.verify(text, end - dt.timedelta.resolution) == record
    with pytest.raises(RecordNotFound):
        api_key_service.verify(text, end)


@pytest.mark.parametrize("key", [None, b"dl_x", 5])
def test_a_key_is_text(key: Any) -> None:
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.verify(key)
    assert refused.value.field == "key"


def test_a_moment_without_a_zone_is_refused() -> None:
    text, _ = api_key_service.issue("ana", "CI")
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.verify(text, dt.datetime(2026, 1, 1))  # noqa: DTZ001
    assert refused.value.field == "now"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"name": ""}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"scopes": "plans:read"}, "scopes"),
        ({"scopes": [5]}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"ip_whitelist": [""]}, "ip_whitelist"),
        ({"environment": ""}, "environment"),
        ({"description": None}, "description"),
        ({"tags": ["x" * 500_000]}, "item"),
        ({"expires_at": dt.datetime(2100, 1, 1)}, "expires_at"),  # noqa: DTZ001
        ({"expires_at": dt.date(2100, 1, 1)}, "expires_at"),
        ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
    ],
)
def test_a_bad_key_is_not_issued(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.issue(**{"user_id": "ana", "name": "CI", **given})
    assert refused.value.field == field
    assert list(api_key_service.list_keys("ana")) == []


# --- revoke and list -------------------------------------------------------------------------


def test_a_revoked_key_is_refused_at_once_and_stays(settings: Any) -> None:
    settings.APP_CACHE_ENABLED = True
    settings.DBCORE_CACHED_MODELS = ["daylight.ApiKey"]
    text, record = api_key_service.issue("ana", "CI")
    other, _ = api_key_service.issue("ana", "other")
    for _ in range(2):
        assert api_key_service.verify(text).status == "active"
    # Behind the back of this process's cache, as another process does it.
    primary_store(cached=False).update(ApiKey, {"id": record.id}, {"status": "revoked"})
    with pytest.raises(RecordNotFound):
        api_key_service.verify(text)
    assert api_key_service.revoke(record.id, "ana").status == "revoked"  # again: still revoked
    assert api_key_service.verify(other).name == "other"


def test_nobody_revokes_another_users_key() -> None:
    text, record = api_key_service.issue("ana", "CI")
    for key_id, user_id in ((record.id, "bea"), ("nothing", "ana")):
        with pytest.raises(RecordNotFound):
            api_key_service.revoke(key_id, user_id)
    for key_id, user_id, field in ((record.id, "", "user_id"), ("", "ana", "key_id")):
        with pytest.raises(InvalidRecord) as refused:
            api_key_service.revoke(key_id, user_id)
        assert refused.value.field == field
    assert api_key_service.verify(text) == record


def test_a_users_keys_are_listed_newest_first_page_by_page() -> None:
    for at in range(7):  # two at each moment; the later the moment, the smaller the id
        moment = NOON - dt.timedelta(seconds=at // 2)
        primary_store().add(
            ApiKey(id=f"k{at}", name="n", key_hash=f"h{at}", key_preview="p", user_id="ana",
                   created_at=moment, status="revoked" if at == 3 else "active")
        )  # fmt: skip
    api_key_service.issue("bea", "other")
    pages, cursor = [], None
    while True:
        page = api_key_service.list_keys("ana", 3, cursor)
        pages.append([key.id for key in page])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [["k1", "k0", "k3"], ["k2", "k5", "k4"], ["k6"]]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"user_id": ""}, "user_id"), ({"limit": 0}, "limit"), ({"cursor": "x"}, "cursor")],
)
def test_a_bad_question_for_keys_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        api_key_service.list_keys(**{"user_id": "ana", **given})
    assert refused.value.field == field


# --- usage -----------------------------------------------------------------------------------


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
