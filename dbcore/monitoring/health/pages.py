"""The pages that probes ask, by django-health-check: /health/live and /health/ready. Whoever is not
staff sees the status alone, in every format.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from health_check.base import HealthCheck, HealthCheckResult
from health_check.exceptions import HealthCheckException, ServiceUnavailable
from health_check.views import HealthCheckView

from dbcore.monitoring.deadlines import in_time
from dbcore.monitoring.health import runner
from dbcore.monitoring.health.changes import CHANGES
from dbcore.monitoring.health.recent import Recent
from dbcore.monitoring.health.report import health_report
from dbcore.monitoring.health.results import CheckResult, Status, worst
from dbcore.monitoring.staff import is_staff
from dbcore.monitoring.starting import STARTING

DECISIVE = ("primary_store", "tables")  # without these no request can be served
KEPT = 3.0  # seconds: a storm of probes is no load
STAFF_DEADLINE = 2.0  # seconds to find out who asks

READY = Recent(lambda: CHANGES.noted(runner.run_checks(DECISIVE, now=timezone.now())), KEPT)


@dataclasses.dataclass(repr=False)
class Told(HealthCheck):  # type: ignore[misc]
    """What a check of the layer said, as django-health-check shows it: only critical is an error,
    a process that warns can serve."""

    name: str
    error: HealthCheckException | None = dataclasses.field(default=None, repr=False)
    seconds: float = dataclasses.field(default=0.0, repr=False)

    async def run(self) -> None:
        """Raise what it said."""
        if self.error is not None:
            raise self.error

    async def get_result(self, executor: Executor | None = None) -> HealthCheckResult:
        """What it said, in the time that it took."""
        return HealthCheckResult(self, self.error, self.seconds)

    def __repr__(self) -> str:
        return self.name


class HealthPage(HealthCheckView):  # type: ignore[misc]
    """A page in the format that is asked for; 503 where something decisive is critical."""

    template_name = "dbcore/health.html"
    title = "Ready"
    seen: Sequence[CheckResult] = ()
    is_staff = False

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. `seen`: what decides; for staff, in full."""
        await asyncio.to_thread(self.look, request)
        try:
            answer: HttpResponse = await super().get(request, *args, **kwargs)
        except ValueError:  # an Accept header that the library cannot read
            answer = self.render_to_response_json(200 if self.can_serve else 500)
        if answer.status_code == 500:
            answer.status_code = 503
        return answer

    def look(self, request: HttpRequest) -> None:
        """Find out what is to be told."""

    @property
    def status(self) -> Status:
        """As bad as the worst."""
        return worst(each.status for each in self.seen)

    @property
    def can_serve(self) -> bool:
        """Whether requests may be sent here."""
        return self.status is not Status.CRITICAL

    def get_checks(self) -> Iterator[HealthCheck]:
        """For staff each check, for others one that says what they come to."""
        if not self.is_staff:
            yield Told("status", None if self.can_serve else ServiceUnavailable("not ready"))
            return
        for each in self.seen:
            error = ServiceUnavailable(each.sentence) if each.status is Status.CRITICAL else None
            yield Told(each.name, error, each.seconds)

    def render_to_response_json(self, status: int) -> JsonResponse:
        """In the form of `perform_database_health_check`; for others its status alone."""
        if not self.is_staff:
            return JsonResponse({"status": self.status.value}, status=status)
        return JsonResponse(health_report(self.seen, timezone.now()), status=status)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What the template shows."""
        told = {"title": self.title, "status": self.status, "is_staff": self.is_staff}
        rows = [(each, round(each.seconds * 1000)) for each in self.seen]
        return {**super().get_context_data(**kwargs), **told, "rows": rows}


class Live(HealthPage):
    """This process answers: nothing is asked, and nobody is looked up."""

    title = "Live"


class Ready(HealthPage):
    """This process can serve: it has started, and what it cannot do without is there."""

    def look(self, request: HttpRequest) -> None:
        self.seen = [STARTING.result()] if STARTING.waiting else READY.results()
        self.is_staff = _is_staff(request)


def _is_staff(request: HttpRequest) -> bool:
    """Whether somebody of the staff asks. Nobody can be known while Django's database is away."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False

    return in_time({"staff": lambda: is_staff(request)}, STAFF_DEADLINE)["staff"] is True
