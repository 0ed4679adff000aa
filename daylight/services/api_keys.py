"""Keys to Daylight's API. A key's text is shown once, when it is issued, and never kept: only its
hash is. No call may be served from a cache, so that a revoked key, and every key of a user who has
been deleted or is not active, is refused at once."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils import timezone

from daylight.models import ApiKey, ApiUsage
from daylight.models.base import ID_LENGTH
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.bearers import KEY, fields_without_bearers, new_bearer
from daylight.services.checks import check_texts
from daylight.services.presence import check_may_come_in, may_come_in
from daylight.services.twins import twin
from dbcore.bearers import hash_of
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import Conflict, InvalidRecord, RecordNotFound
from dbcore.stores.interface import Add, Position, Query, Update
from dbcore.stores.pages import MAX_LIMIT, Page, read_page
from dbcore.stores.validation import check_instant

SHOWN_FIRST, SHOWN_LAST = 7, 4  # characters of the key in its preview; 212 bits stay unknown
# A key's last use is written once in so long: not with every request, all on one record.
USED_PRECISION = dt.timedelta(minutes=1)
REVOKED = {"status": ApiKey.Status.REVOKED.value}
_NO_HASH = "0" * 64


class ApiKeyService(Service):
    """API keys and what they were used for, newest first."""

    def issue(
        self,
        user_id: str,
        name: str,
        scopes: Sequence[str] = (),
        expires_at: dt.datetime | None = None,
        *,
        allowed_endpoints: Sequence[str] = (),
        allowed_methods: Sequence[str] = (),
        ip_whitelist: Sequence[str] = (),
        environment: str = "production",
        description: str = "",
        tags: Sequence[str] = (),
    ) -> tuple[str, ApiKey]:
        """Make a key for the user. Returns its text, which cannot be had again, and its record.

        Without `expires_at` it is good until it is revoked. RecordNotFound (there is no such
        user, or they are not active), InvalidRecord (of the field that cannot be kept; expires_at
        that has passed), Conflict, StoreUnavailable.
        """
        now = timezone.now()
        _check_end(expires_at, now)
        text = new_bearer(KEY)
        record = ApiKey(
            user_id=check_id("user_id", user_id, ID_LENGTH),
            name=name,
            key_hash=hash_of(text),
            key_preview=f"{text[:SHOWN_FIRST]}…{text[-SHOWN_LAST:]}",
            scopes=check_texts("scopes", scopes),
            expires_at=expires_at,
            allowed_endpoints=check_texts("allowed_endpoints", allowed_endpoints),
            allowed_methods=check_texts("allowed_methods", allowed_methods),
            ip_whitelist=check_texts("ip_whitelist", ip_whitelist),
            environment=environment,
            description=description,
            tags=check_texts("tags", tags),
            created_at=now,
            updated_at=now,
        )
        check_may_come_in(record.user_id)
        return text, self.store.add(record)

    def verify(self, key: str, now: dt.datetime | None = None) -> ApiKey:
        """The record of this key, if it is good at `now` (otherwise: this moment).

        Scopes, endpoints, methods and addresses are for the caller to compare with the request.
        Never from a cache and always consistent: a key is refused from the moment in which it is
        revoked, or its user deleted or made inactive. RecordNotFound, and nothing more, for one
        that is unknown, expired, suspended, revoked, of nobody or of somebody who is not active;
        InvalidRecord (key: not text; now), StoreUnavailable.
        """
        if not isinstance(key, str):
            raise InvalidRecord("key", "is not text")
        moment = timezone.now() if now is None else now
        check_instant("now", moment)
        wanted = hash_of(key)
        found = primary_store(cached=False).get_by_unique(ApiKey, "key_hash", wanted)
        same = hmac.compare_digest(_NO_HASH if found is None else found.key_hash, wanted)
        good = found is not None and same and _is_good(found, moment)
        if found is None or not good or not may_come_in(found.user_id):
            raise RecordNotFound("no such API key")
        return found

    def revoke(self, key_id: str, user_id: str) -> ApiKey:
        """Revoke a key of this user, at once and for good; the record as it is then.

        RecordNotFound where there is none, or it is another user's; InvalidRecord (key_id,
        user_id), Conflict, StoreUnavailable.
        """
        key = self._owned(key_id, user_id)
        return self.store.update(ApiKey, {"id": key.id}, REVOKED)

    def revoke_all_of_user(self, user_id: str, *, until: dt.datetime | None = None) -> int:
        """Revoke all keys of a user, at once and for good; how many there were. Where `until` is
        given, only those that had been issued by then.

        Those are found by the list by user: on DynamoDB a key that was issued within the last
        second or so may be missed. Each key is revoked by itself: after Conflict or
        StoreUnavailable some may be left, and the call can be made again. InvalidRecord.
        """
        owner = check_id("user_id", user_id)
        query = Query(ApiKey, "user_id", owner, "created_at", MAX_LIMIT, high=until)
        revoked = 0
        after: Position | None = None
        while True:
            keys, after = self.store.query(replace(query, after=after))
            for key in keys:
                revoked += self._revoke(key)
            if after is None:
                return revoked

    def list_keys(self, user_id: str, limit: int = 100, cursor: str | None = None) -> Page[ApiKey]:
        """The user's keys, revoked and expired ones too.

        Eventually consistent on DynamoDB: the index follows a write within about a second.
        InvalidRecord (user_id, limit, cursor), StoreUnavailable.
        """
        query = Query(ApiKey, "user_id", check_id("user_id", user_id), "created_at", limit)
        return read_page(self.store, query, cursor)

    def record_usage(self, key_id: str, user_id: str, usage: Mapping[str, Any]) -> ApiUsage:
        """Write down a request that was made with a key of this user, good or not.

        `usage` gives fields of ApiUsage by name; endpoint, method, status_code and
        response_time_ms must be there. The key's last_used_at follows, to the minute, and is never
        to come, whatever `timestamp` says. Returns the entry. RecordNotFound (no such key of this
        user), AlreadyExists (an entry with this id), Conflict, InvalidRecord (of the field that is
        missing, unknown or cannot be kept), StoreUnavailable.
        """
        key = self._owned(key_id, user_id)
        given = fields_without_bearers(check_mapping("usage", usage))
        entry = new_record(ApiUsage, given, api_key_id=key.id, user_id=key.user_id)
        check_instant("timestamp", entry.timestamp)
        last, now = key.last_used_at, timezone.now()
        at = min(entry.timestamp, now)
        if last is not None and last <= now and at - last < USED_PRECISION:
            return self.store.add(entry)
        used = Update(ApiKey, {"id": key.id}, {"last_used_at": at}, {"last_used_at": last})
        try:
            self.store.transact([Add(entry), used])
        except Conflict:  # another request has written the key's last use meanwhile
            return self.store.add(entry)
        return entry

    def get_key_usage(
        self, api_key_id: str, limit: int = 100, cursor: str | None = None
    ) -> Page[ApiUsage]:
        """The requests made with a key; reads its own writes.

        InvalidRecord (api_key_id, limit, cursor), StoreUnavailable.
        """
        key = check_id("api_key_id", api_key_id)
        return read_page(self.store, Query(ApiUsage, "api_key_id", key, "timestamp", limit), cursor)

    aissue = twin(issue)
    averify = twin(verify)
    arevoke = twin(revoke)
    arevoke_all_of_user = twin(revoke_all_of_user)
    alist_keys = twin(list_keys)
    arecord_usage = twin(record_usage)
    aget_key_usage = twin(get_key_usage)

    def _revoke(self, key: Any) -> bool:
        """Whether a key that was listed had to be revoked."""
        if key.status == ApiKey.Status.REVOKED:
            return False
        try:
            self.store.update(ApiKey, {"id": key.id}, REVOKED)
        except RecordNotFound:
            return False  # erased meanwhile; on DynamoDB the list may not have heard of it yet
        return True

    def _owned(self, key_id: str, user_id: str) -> ApiKey:
        """The user's key; RecordNotFound where there is none, or it is another user's."""
        check_id("user_id", user_id)
        key = self.store.get(ApiKey, {"id": check_id("key_id", key_id)})
        if key is None or key.user_id != user_id:
            raise RecordNotFound(f"user {user_id} has no API key {key_id}")
        return key


def _check_end(expires_at: dt.datetime | None, now: dt.datetime) -> None:
    """Raise InvalidRecord for a key that could never be used."""
    if expires_at is not None:
        check_instant("expires_at", expires_at)
        if expires_at <= now:
            raise InvalidRecord("expires_at", "has passed")


def _is_good(key: ApiKey, now: dt.datetime) -> bool:
    in_time = key.expires_at is None or now < key.expires_at
    return key.status == ApiKey.Status.ACTIVE and in_time


api_key_service = ApiKeyService()
