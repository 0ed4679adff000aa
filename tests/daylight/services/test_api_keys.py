"""API keys: shown once, kept as a hash, refused at once when they are revoked."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import ApiKey
from daylight.services.api_keys import api_key_service
from dbcore.items import layout_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord, RecordNotFound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("people")]
DAY = dt.timedelta(days=1)
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)


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


def test_all_keys_of_a_user_are_revoked_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daylight.services.api_keys.MAX_LIMIT", 2)
    mine = [api_key_service.issue("ana", f"k{at}")[0] for at in range(5)]
    revoked, record = api_key_service.issue("ana", "revoked")
    api_key_service.revoke(record.id, "ana")
    hers, _ = api_key_service.issue("bea", "CI")
    assert api_key_service.revoke_all_of_user("ana") == 5
    for text in (*mine, revoked):
        with pytest.raises(RecordNotFound):
            api_key_service.verify(text)
    assert api_key_service.verify(hers).user_id == "bea"
    assert api_key_service.revoke_all_of_user("ana") == 0
    assert api_key_service.revoke_all_of_user("nobody") == 0


def test_keys_issued_after_a_moment_may_be_left() -> None:
    old, record = api_key_service.issue("ana", "old")
    new, _ = api_key_service.issue("ana", "new")
    assert api_key_service.revoke_all_of_user("ana", until=record.created_at) == 1
    with pytest.raises(RecordNotFound):
        api_key_service.verify(old)
    assert api_key_service.verify(new).name == "new"


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
