"""Limits of calls within fixed windows, exact however many processes count at once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from daylight.models import RateLimit
from daylight.services.base import Service, check_id
from daylight.services.bearers import without_bearers
from daylight.services.checks import check_whole
from daylight.services.twins import twin
from dbcore.stores.errors import InvalidRecord
from dbcore.stores.validation import check_instant

IDENTIFIER_LENGTH = 240  # which leaves room for the window's length
MAX_LIMIT = 1_000_000_000
MAX_WINDOW = 366 * 86400  # seconds
# A host whose clock is behind may still count in a window that has ended for the others.
SLACK = dt.timedelta(minutes=5)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    """What became of one call: whether it is allowed, how many more are in this window, and when
    the next window begins."""

    allowed: bool
    remaining: int
    reset_at: dt.datetime


class RateLimitService(Service):
    """Counters of calls, one for each identifier, length of window, and window."""

    def hit(
        self,
        identifier: str,
        limit: int,
        window_seconds: int,
        now: dt.datetime | None = None,
    ) -> RateLimitResult:
        """Count one call, and say whether it is within the limit. A refused call is not counted.

        Windows are aligned to the epoch: one of 3600 seconds begins at each full hour, UTC. An
        identifier has one counter for each length of window, whatever limits it is asked for.
        Of concurrent calls exactly `limit` are allowed. Only where the store's answer is lost and
        the call is sent again may one count twice: never is more allowed than the limit.

        `identifier`: up to 240 characters; `limit`: 1 to 1,000,000,000; `window_seconds`: 1 to
        31,622,400 (366 days); `now`: an aware datetime, this moment where not given.

        InvalidRecord (of the argument that is none of these), Conflict (an SQL database that keeps
        losing the counter's record), StoreUnavailable.
        """
        check_id("identifier", identifier, IDENTIFIER_LENGTH)
        check_whole("limit", limit, MAX_LIMIT)
        check_whole("window_seconds", window_seconds, MAX_WINDOW)
        moment = timezone.now() if now is None else now
        window = _new_window(identifier, limit, window_seconds, moment)
        counted = self.store.increment(window, "count", below=limit)
        remaining = 0 if counted is None else limit - counted.count
        reset_at = window.window_start + dt.timedelta(seconds=window_seconds)
        return RateLimitResult(counted is not None, remaining, reset_at)

    ahit = twin(hit)


def _new_window(identifier: str, limit: int, window_seconds: int, now: dt.datetime) -> RateLimit:
    """The counter of the window that `now` is in, as it is before its first call."""
    check_instant("now", now)
    length = dt.timedelta(seconds=window_seconds)
    start = now.astimezone(dt.UTC)
    try:
        start -= (start - EPOCH) % length
        expires_at = start + length + SLACK
    except OverflowError:
        raise InvalidRecord("now", "is in a window beyond the years 1 to 9999") from None
    return RateLimit(
        # With the length, since windows of two lengths may begin at the same time.
        identifier=f"{without_bearers(identifier)}/{window_seconds}s",
        window_start=start,
        limit=limit,
        window_seconds=window_seconds,
        expires_at=expires_at,
    )


rate_limit_service = RateLimitService()
