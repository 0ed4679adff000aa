"""What lets somebody in is written into no other record: its hash stands there instead."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from daylight.models import AuthSession, UserSession
from daylight.services.analytics import analytics_service
from daylight.services.api_keys import api_key_service
from daylight.services.audit import audit_service
from daylight.services.bearers import new_bearer, without_bearers
from daylight.services.error_logs import error_logging_service
from daylight.services.rate_limits import rate_limit_service
from daylight.services.sessions import session_service
from dbcore.attributes import plain
from dbcore.bearers import hash_of
from dbcore.items import layout_of
from dbcore.schema import storage_models
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.interface import Store
from tests.daylight.services.conftest import refused, values

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("people")]
HOUR = dt.timedelta(hours=1)
EVENT = {"event_type": "e", "resource": "r", "action": "a", "outcome": "success", "source": "s"}
OLD = "8d116ece-1738-47d9-bd9c-172411e20b8f"  # as the earlier backend made them


def of_event(session: Any) -> str | None:
    return analytics_service.record_usage_event("ana", "search", session_id=session).session_id


def of_audit(session: Any) -> str | None:
    return audit_service.record({**EVENT, "session_id": session}).session_id


@pytest.fixture(params=[of_event, of_audit])
def kept(request: pytest.FixtureRequest) -> Callable[[Any], str | None]:
    """What a service keeps of the session that it is given."""
    found: Callable[[Any], str | None] = request.param
    return found


@pytest.mark.parametrize("begin", ["create_user_session", "create_auth_session"])
def test_a_session_is_told_of_in_one_way_however_it_is_given(
    kept: Callable[[Any], str | None], begin: str
) -> None:
    session_id, session = getattr(session_service, begin)("ana", ttl=HOUR)
    assert {kept(session_id), kept(session), kept(session.pk)} == {session.pk}
    assert kept(None) is None


def test_one_of_another_system_or_of_nobody_is_hashed_too(
    kept: Callable[[Any], str | None],
) -> None:
    for text in (OLD, "s1", "ž", "AB" * 32, "ab" * 33):
        assert kept(text) == hash_of(text)


@pytest.mark.parametrize("model", [UserSession, AuthSession])
def test_an_id_in_the_form_of_a_hash_is_hashed_where_it_lets_somebody_in(
    store: Store, kept: Callable[[Any], str | None], model: Any
) -> None:
    old = "ab" * 32  # what an earlier backend may have made
    key = {layout_of(model).table.hash_key: hash_of(old)}
    store.add(model(**key, user_id="ana", expires_at=timezone.now() + HOUR))
    assert kept(old) == hash_of(old)
    assert kept(hash_of(old)) == hash_of(old), "and its record's is not hashed again"


def test_what_is_no_session_is_refused(kept: Callable[[Any], str | None]) -> None:
    for bad in ("", 5, "a\0b", "x" * 4097, "\ud800"):
        refused("session_id", kept, bad)


def test_wherever_one_is_written_its_hash_is_kept(store: Store) -> None:
    """Every text and JSON of the records that say what happened, and where."""
    session_id, _ = session_service.create_user_session("ana", ttl=HOUR)
    device_id, _ = session_service.create_auth_session("ana", ttl=HOUR)
    key, record = api_key_service.issue("ana", "CI")
    secrets = [session_id, device_id, key]
    told = {"cookie": f"sid={session_id}; path=/", f"of {device_id}": [{"deep": [key]}]}
    old = {"sessionId": OLD, "data": [{"Session-ID": OLD + "2"}]}
    session_service.touch_user_session(session_id, data={**told, **old})
    session_service.create_auth_session("ana", {"device": told, "user_agent": key}, ttl=HOUR)
    analytics_service.record_usage_event("ana", "e", {**told, **old}, device_id, f"x/{key}")
    audit_service.record(
        {**EVENT, "details": {**told, **old}, "changes": told, "resource": f"session/{session_id}",
         "user_agent": key, "correlation_id": "c"}
    )  # fmt: skip
    error_logging_service.log_error(_raised(secrets), {**told, **old}, "ana")
    usage = {"endpoint": f"/plans?key={key}", "method": "GET", "status_code": 200,
             "response_time_ms": 1.5, "error_message": f"no session {session_id}"}  # fmt: skip
    api_key_service.record_usage(record.id, "ana", usage)
    rate_limit_service.hit(f"session:{session_id}", 5, 60)
    text = contents(store)
    assert not [each for each in (*secrets, OLD) if each in text]
    for each in (*secrets, OLD, OLD + "2"):
        assert text.count(hash_of(each)) >= 3, "it can still be told which it was"


def _raised(secrets: list[str]) -> Exception:
    try:
        raise ValueError(f"cannot serve {secrets}")
    except ValueError as error:
        return error


def contents(store: Store) -> str:
    """All that a store holds, as text."""
    found: list[Any] = []
    for model in storage_models():
        layout = layout_of(model)
        if isinstance(store, DynamoStore):
            request = {"TableName": layout.table_name, "ConsistentRead": True}
            items = store.wire.call("Scan", request)["Items"]
            found += [{name: plain(each) for name, each in item.items()} for item in items]
        else:
            found += [values(record) for record in model._base_manager.all()]
    return json.dumps(found, default=str)


@pytest.mark.parametrize(
    "before", ["", "a ", "=", "\\n", "a%3d", "%22", "\\u003d", "\x1b[31m", "é"]
)
def test_one_is_found_behind_whatever_is_escaped_or_encoded(before: str) -> None:
    for secret in (new_bearer("ds_"), new_bearer("dl_")):
        found = without_bearers([f"{before}{secret}%22", f"{before}{secret}"])
        assert found == [f"{before}{hash_of(secret)}%22", f"{before}{hash_of(secret)}"]


def test_what_only_looks_like_one_stays_as_it_is() -> None:
    for text in (
        "test_records_are_there_whole_or_not_at_all_whatever_comes_in_between",
        "ds_short", "dl_", "fields_" + "x" * 50, "the session_id is missing",
    ):  # fmt: skip
        assert without_bearers({"a": [text]}) == {"a": [text]}
    unlike = {"session_id": None, "sessionid": "", "session id": 5, "obsession_id": OLD, "n": 1.5}
    assert without_bearers(unlike) == unlike
    assert without_bearers({"session_id": "ab" * 32}) == {"session_id": "ab" * 32}


def test_what_no_store_keeps_comes_back_to_be_refused() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    assert without_bearers(endless) is endless
    refused("event_data", analytics_service.record_usage_event, "ana", "e", endless)
    deep: Any = "ds_" + "x" * 43
    for _ in range(31):
        deep = [deep]
    assert "ds_" not in json.dumps(without_bearers(deep)), "as deep as a store keeps it"
