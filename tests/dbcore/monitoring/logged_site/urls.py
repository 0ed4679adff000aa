"""Pages that read one table each, and one that breaks."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, JsonResponse
from django.urls import path

from daylight.services.location_history import location_history_service
from daylight.services.planning import planning_service

# Where it is set, requests wait for each other before they read.
barrier: asyncio.Barrier | None = None


def plans(request: HttpRequest, user: str) -> JsonResponse:
    """A user's plans."""
    return JsonResponse({"count": len(planning_service.get_user_plans(user))})


async def plans_async(request: HttpRequest, user: str) -> JsonResponse:
    """The same, twice at once."""
    await _all_are_here()
    found = await asyncio.gather(
        planning_service.aget_user_plans(user), planning_service.aget_user_plans(user)
    )
    return JsonResponse({"count": sum(map(len, found))})


async def places_async(request: HttpRequest, user: str) -> JsonResponse:
    """Where a user was, twice at once."""
    await _all_are_here()
    found = await asyncio.gather(
        location_history_service.aget_user_location_history(user),
        location_history_service.aget_user_location_history(user),
    )
    return JsonResponse({"count": sum(map(len, found))})


def broken(request: HttpRequest, user: str) -> JsonResponse:
    """Fails, and its error names whose page it is."""
    raise LookupError(f"there is no {user}")


async def _all_are_here() -> None:
    if barrier is not None:
        await barrier.wait()


urlpatterns = [
    path("plans/<str:user>", plans),
    path("async/plans/<str:user>", plans_async),
    path("async/places/<str:user>", places_async),
    path("broken/<str:user>", broken),
]
