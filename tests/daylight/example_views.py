"""Views on Daylight's services: the code of docs/services.md, which tests run on both stores.

Each part between two lines of dashes is a part of that page.
"""

from __future__ import annotations

# --- imports --------------------------------------------------------------------------------------
import asyncio
import json
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from daylight.database import (
    initialize_database,
    location_history_service,
    planning_service,
    session_service,
    user_service,
)
from dbcore.monitoring.starting import begin
from dbcore.stores.errors import (
    AlreadyExists,
    Conflict,
    InvalidRecord,
    RecordNotFound,
    StoreError,
    StoreUnavailable,
    UniqueViolation,
    UnreadableRecord,
)


# --- start ----------------------------------------------------------------------------------------
def start() -> None:
    """The last line of wsgi.py and asgi.py, behind `application = …`."""
    begin(initialize_database)


# --- errors ---------------------------------------------------------------------------------------
STATUS: dict[type[StoreError], int] = {
    InvalidRecord: 400,
    RecordNotFound: 404,
    AlreadyExists: 409,
    UniqueViolation: 409,
    Conflict: 409,
    UnreadableRecord: 500,
    StoreUnavailable: 503,
}


class StoreErrors(MiddlewareMixin):
    """A service's error as an answer; for sync and async views. Goes into MIDDLEWARE."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, StoreError):
            return None
        status = STATUS[type(error)]
        if status == 503:  # its message is for your log
            return JsonResponse({"error": "try again"}, status=503, headers={"Retry-After": "1"})
        found: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
        if isinstance(error, (InvalidRecord, UniqueViolation)):
            found["field"] = error.field
        return JsonResponse(found, status=status)


# --- input ----------------------------------------------------------------------------------------
def body_of(request: HttpRequest, *allowed: str) -> dict[str, Any]:
    """The request's JSON object, which may have these fields and no others."""
    try:
        body = json.loads(request.body)
    except ValueError:
        raise InvalidRecord("body", "is not JSON") from None
    if not isinstance(body, dict):
        raise InvalidRecord("body", "is not a JSON object")
    for name in body:
        if name not in allowed:
            raise InvalidRecord(name, "cannot be set here")
    return body


def limit_of(request: HttpRequest) -> int:
    """The page's length; the service checks its range."""
    try:
        return int(request.GET.get("limit", 50))
    except ValueError:
        raise InvalidRecord("limit", "is not a whole number") from None


# --- owner ----------------------------------------------------------------------------------------
def token_of(request: HttpRequest) -> str:
    """The session's id, which only its device knows."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ") or "none"


def owner_of(request: HttpRequest) -> str:
    """Who asks: from the session, never from the URL or the body."""
    try:
        return session_service.get_auth_session(token_of(request)).user_id
    except (RecordNotFound, InvalidRecord):
        raise PermissionDenied("sign in first") from None


aowner_of = sync_to_async(owner_of)


# --- sync -----------------------------------------------------------------------------------------
@csrf_exempt  # browsers do not send a bearer's token by themselves
@require_http_methods(["GET", "POST"])
def places(request: HttpRequest) -> JsonResponse:
    """GET: where the user has been, page by page. POST: where the user is."""
    owner = owner_of(request)
    if request.method == "POST":
        body = body_of(request, "location", "activity", "metadata")
        given: dict[str, Any] = {"location": None, "activity": "", **body}
        added = location_history_service.add_location_history(owner, **given)
        return JsonResponse(place_of(added), status=201)
    page = location_history_service.get_user_location_history(
        owner, limit_of(request), request.GET.get("cursor")
    )
    return JsonResponse({"places": [place_of(each) for each in page], "next": page.next_cursor})


@csrf_exempt
@require_http_methods(["DELETE"])
def one_place(request: HttpRequest, history_id: str) -> HttpResponse:
    location_history_service.delete_location_history(history_id, owner_of(request))
    return HttpResponse(status=204)


def place_of(record: Any) -> dict[str, Any]:
    """A location record as this API shows it."""
    names = ("id", "location", "activity", "timestamp", "metadata")
    return {name: getattr(record, name) for name in names}


# --- async ----------------------------------------------------------------------------------------
@require_GET
async def home(request: HttpRequest) -> JsonResponse:
    """What the app shows first."""
    owner = await aowner_of(request)
    user, plans = await asyncio.gather(
        user_service.aget_user_by_id(owner), planning_service.aget_user_plans(owner, limit=5)
    )
    return JsonResponse({"email": user.email, "plans": [plan.title for plan in plans]})


@csrf_exempt
@require_POST
async def plans(request: HttpRequest) -> JsonResponse:
    owner = await aowner_of(request)
    plan = await planning_service.acreate_plan(owner, body_of(request, "title", "description"))
    return JsonResponse({"id": plan.id, "title": plan.title}, status=201)


@csrf_exempt
@require_http_methods(["GET", "PATCH"])
async def one_plan(request: HttpRequest, plan_id: str) -> JsonResponse:
    """Another user's plan is not found, whatever id is asked for."""
    owner = await aowner_of(request)
    if request.method == "PATCH":
        changes = body_of(request, "title", "description")
        plan = await planning_service.aupdate_plan(plan_id, owner, changes)
    else:
        plan = await planning_service.aget_plan_by_id(plan_id, owner)
    return JsonResponse({"id": plan.id, "title": plan.title})


# --- everything -----------------------------------------------------------------------------------
async def all_places(owner: str) -> list[Any]:
    """A whole list, page by page: for an export, not for a view that is to be quick."""
    found: list[Any] = []
    cursor = None
    while True:
        page = await location_history_service.aget_user_location_history(owner, 1000, cursor)
        found += page
        cursor = page.next_cursor
        if cursor is None:
            return found


# --- urls -----------------------------------------------------------------------------------------
urlpatterns = [
    path("places", places),
    path("places/<str:history_id>", one_place),
    path("home", home),
    path("plans", plans),
    path("plans/<str:plan_id>", one_plan),
]
