"""How often a password may be tried: django-axes, with bounds of our own. The attempts are in
Django's database, so all processes count the same ones, with a cache or without.

An attempt is counted before the password is looked at, and taken back when it was right: of many at
the same time none comes past. What was typed is never kept, for it may be a password: a name is
known by a digest with the site's key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from logging import WARNING
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_cool_off
from axes.models import AccessAttempt, AccessLog
from axes.signals import user_locked_out
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac

from dbcore.logs import Event

# Failures within the cool-off (AXES_COOLOFF_TIME), after which nobody gets in until it is over.
OF_PAIR = 5  # of a name from an address
OF_NAME = 30  # of a name, from wherever
OF_ADDRESS = 30  # from an address, whatever the names
# From an address where a name has signed in lately only the first bound counts for it: else
# whoever knows a name could lock its owner out from elsewhere, for ever.
KNOWN = dt.timedelta(days=30)
# Axes tells attempts apart by the browser, which anybody can change; these are all that we use.
_FAILED, _REFUSED = "", "refused"

LOCKED = Event(
    "daylight.signin", (WARNING,), "sign-in locked", ("bound", "count"),
    "too many failed: of a name from an address (pair), of a name, or from an address; until "
    "AXES_COOLOFF_TIME is over, or `unlock_sign_in`",
)  # fmt: skip

Credentials = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Bound:
    """So many failures are too many."""

    name: str
    most: int
    attempts: QuerySet[Any, Any]

    @property
    def count(self) -> int:
        """Failures until now."""
        total = self.attempts.aggregate(total=Sum("failures_since_start"))["total"]
        return int(total or 0)


def name_key(request: HttpRequest | None, credentials: Credentials = None) -> str:
    """What a name that was typed is known by."""
    if credentials is None:
        credentials = {} if request is None else request.POST
    return digest(str(credentials.get("username") or ""))


def digest(name: str) -> str:
    """The digest of a name, with the site's key: whoever has it cannot try names or passwords."""
    return salted_hmac("daylight.signin.name", name.encode(errors="surrogatepass")).hexdigest()


class Throttle(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts attempts by name and address together, by name, and by address."""

    def is_allowed(self, request: Any, credentials: Credentials = None) -> bool:
        """Whether this attempt may be made. It then counts as failed until it has succeeded."""
        # Nothing is written but a count of who was refused: a lock is not prolonged by attempts.
        bounds = list(self._bounds(request, credentials))
        if not any(each.count >= each.most for each in bounds):
            self.clean_expired_user_attempts(request)
            _count(name_key(request, credentials), request, _FAILED)
            if all(each.count <= each.most for each in bounds):
                return True
        request.signin_refused = _count("", request, _REFUSED)
        return False

    def is_locked(self, request: Any, credentials: Credentials = None) -> bool:
        """Whether another attempt would be refused."""
        return self._reached(request, credentials) is not None

    def user_login_failed(
        self, sender: Any, credentials: Any, request: Any = None, **_: Any
    ) -> None:
        """Refuse what comes next, where this failure, which has been counted, was one too many."""
        if request is None:
            return
        reached = self._reached(request, credentials)
        if reached is None:
            return
        request.axes_locked_out, request.axes_credentials = True, credentials
        if not getattr(request, "signin_refused", 0):
            LOCKED.log(bound=reached.name, count=reached.count)
            user_locked_out.send("daylight", request=request, credentials=credentials)

    def user_logged_in(self, sender: Any, request: Any, user: Any, **given: Any) -> None:
        """Remember the address as one of theirs, and forget what failed for them from there."""
        super().user_logged_in(sender, request, user, **given)
        AccessLog.objects.filter(attempt_time__lt=request.axes_attempt_time - KNOWN).delete()

    def reset_user_attempts(self, request: Any, credentials: Credentials = None) -> int:
        """Forget the failures of this name from this address alone: whoever can sign in themselves
        must not so get new attempts for others' names."""
        pair = AccessAttempt.objects.filter(
            username=name_key(request, credentials), ip_address=request.axes_ip_address,
            user_agent=_FAILED,
        )  # fmt: skip
        return int(pair.delete()[0])

    def _reached(self, request: Any, credentials: Credentials) -> Bound | None:
        bounds = self._bounds(request, credentials)
        return next((each for each in bounds if each.count >= each.most), None)

    def _bounds(self, request: Any, credentials: Credentials) -> Iterator[Bound]:
        recent = AccessAttempt.objects.filter(
            user_agent=_FAILED, attempt_time__gte=get_cool_off_threshold(request)
        )
        key = name_key(request, credentials)
        here = recent.filter(ip_address=request.axes_ip_address)
        yield Bound("pair", OF_PAIR, here.filter(username=key))
        if not self._is_known(request, credentials):
            yield Bound("name", OF_NAME, recent.filter(username=key))
            yield Bound("address", OF_ADDRESS, here)

    def _is_known(self, request: Any, credentials: Credentials) -> bool:
        since = request.axes_attempt_time - KNOWN
        name = (credentials or request.POST).get("username") or ""
        known = AccessLog.objects.filter(
            username=name, ip_address=request.axes_ip_address, attempt_time__gte=since
        )
        return bool(known.exists())


def _count(key: str, request: Any, kind: str) -> int:
    """Count one more, and say the how manieth it is."""
    with transaction.atomic():
        attempt, is_new = AccessAttempt.objects.select_for_update().get_or_create(
            username=key, ip_address=request.axes_ip_address, user_agent=kind,
            defaults={"failures_since_start": 1, "path_info": request.axes_path_info},
        )  # fmt: skip
        if not is_new:
            attempt.failures_since_start = F("failures_since_start") + 1
            attempt.attempt_time = request.axes_attempt_time
            attempt.save(update_fields=["failures_since_start", "attempt_time"])
            attempt.refresh_from_db(fields=["failures_since_start"])
    return int(attempt.failures_since_start)


def forgive(request: Any, user: Any) -> None:
    """Take back an attempt that was right, where no sign-in does so."""
    credentials = {"username": user.get_username()}
    Throttle().reset_user_attempts(request, credentials)


def forget(*, name: str = "", address: str = "") -> int:
    """Forget failures: of a name, from an address (or its network), or of one from the other.
    Returns how many counters are gone."""
    attempts = AccessAttempt.objects.all()
    if name:
        attempts = attempts.filter(username=digest(name))
    if address:
        attempts = attempts.filter(ip_address=address)
    return int(attempts.delete()[0])


def refusal(request: HttpRequest, *_: Any) -> HttpResponse:
    """What who is refused is told: the same, whether there is such a name or not."""
    cool_off = get_cool_off(request) or dt.timedelta()
    seconds = int(cool_off.total_seconds())
    answer = render(
        request, "daylight/refused.html", {"minutes": seconds // 60, "title": "Too many attempts"},
        status=429,
    )  # fmt: skip
    answer["Retry-After"], answer["Cache-Control"] = str(seconds), "no-store"
    return answer
