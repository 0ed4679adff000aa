"""Pages that fail, each in its way; and what nobody outside may ever see of who asked for them."""

from __future__ import annotations

import http.client
import logging
from typing import Any
from urllib.parse import quote

import sentry_sdk
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from daylight.database import planning_service, user_service
from daylight.models import User
from dbcore.stores.errors import AlreadyExists, RecordNotFound

logger = logging.getLogger("planted.application")

USER = "u-planted-7f3a"
EMAIL = "ana.planted@example.org"
PLACE = "Planted Lane 12"
SESSION = "sess10nk3yplanted0123456789abcdef"
COOKIE = "planted-cookie-crumbs"
TOKEN = "planted-bearer-token"
ADDRESS = "203.0.113.77"
AGENT = "PlantedBrowser/9.9"
PASSWORD = "planted-password-hash"
SECRETS = (USER, EMAIL, PLACE, SESSION, COOKIE, TOKEN, ADDRESS, AGENT, PASSWORD)
NEW_USER = {"id": USER, "email": EMAIL, "password_hash": PASSWORD}


def plan(request: HttpRequest, user: str) -> HttpResponse:
    found = planning_service.get_plan_by_id(PLACE, user)
    return HttpResponse(found)


def rename(request: HttpRequest, user: str) -> HttpResponse:
    user_service.update_user(user, {"username": PLACE})
    return HttpResponse("renamed")


def twice(request: HttpRequest, user: str) -> HttpResponse:
    """The same e-mail address for two users, past the services."""
    User.objects.create(id=user, email=EMAIL, password_hash=PASSWORD)
    User.objects.create(id=f"{user}-2", email=EMAIL, password_hash=PASSWORD)
    return HttpResponse("two")


def forgiven(request: HttpRequest, user: str) -> HttpResponse:
    """What a view handles."""
    user_service.create_user(NEW_USER)
    said = []
    try:
        user_service.create_user(NEW_USER)
    except AlreadyExists:
        said.append("taken")
    try:
        user_service.update_user("nobody", {"username": "x"})
    except RecordNotFound:
        said.append("missing")
    return HttpResponse(", ".join(said))


def typo(request: HttpRequest, user: str) -> HttpResponse:
    secret = {"email": EMAIL, "place": PLACE}
    return HttpResponse(secret[user])


def logged(request: HttpRequest, user: str) -> HttpResponse:
    try:
        return plan(request, user)
    except Exception:
        logger.exception("no plan for %s", user)
        raise


def talkative(request: HttpRequest, user: str) -> HttpResponse:
    """An application that tells Sentry and the log all it knows, and then fails."""
    sentry_sdk.set_user({"id": user, "email": EMAIL, "ip_address": ADDRESS})
    sentry_sdk.set_tags({"customer": EMAIL, "error.type": EMAIL, "request_id": PLACE, user: user})
    sentry_sdk.set_context("session", {"key": SESSION})
    sentry_sdk.add_breadcrumb(category="redis", message=f"GET user:{user}", data={"key": user})
    sentry_sdk.add_breadcrumb(category="query", message=f"SELECT 1 WHERE name = '{PLACE}'")
    sentry_sdk.add_breadcrumb(category="query", message=f"{PLACE} was looked for")
    sentry_sdk.add_breadcrumb(category="diary", type="log", message=f"{PLACE} was looked for")
    scope = sentry_sdk.get_current_scope()
    scope.add_attachment(bytes=EMAIL.encode(), filename=f"{user}.txt")
    scope.fingerprint = [EMAIL]
    scope.set_extra("body", {"email": EMAIL})
    logger.info("%s looks for %s", EMAIL, PLACE, extra={"place": PLACE})
    logger.warning(f"{PLACE} was not found")
    logger.error("%s cannot be reached", EMAIL, extra={"token": TOKEN})
    logger.error(f"{PLACE} is gone")
    _other_service(request)
    try:
        raise KeyError(EMAIL)
    except KeyError as missing:
        error = ValueError(f"{PLACE} is no place")
        error.add_note(f"asked by {EMAIL}")
        raise ExceptionGroup(
            f"for {user}", [error, OSError(2, "nothing", f"/home/{user}")]
        ) from missing


def _other_service(request: HttpRequest) -> None:
    other = http.client.HTTPConnection(request.headers["X-Other"])
    other.request("GET", f"/geocode/{quote(PLACE)}?key={TOKEN}&for={EMAIL}")
    other.getresponse().read()
    other.close()


def both(request: HttpRequest, user: str) -> HttpResponse:
    """A call to the primary store, and a statement to Django's database."""
    user_service.get_user_by_id(user)
    User.objects.filter(email=EMAIL).exists()
    return HttpResponse("read")


async def aplan(request: HttpRequest, user: str) -> HttpResponse:
    return HttpResponse(await planning_service.aget_plan_by_id(PLACE, user))


urlpatterns = [
    path("plans/<str:user>/", plan),
    path("aplans/<str:user>/", aplan),
    path("rename/<str:user>/", rename),
    path("twice/<str:user>/", twice),
    path("forgiven/<str:user>/", forgiven),
    path("logged/<str:user>/", logged),
    path("talkative/<str:user>/", talkative),
    path("typo/<str:user>/", typo),
    path("both/<str:user>/", both),
]

_SENT: dict[str, Any] = {
    "headers": {"Authorization": f"Bearer {TOKEN}", "User-Agent": AGENT,
                "X-Forwarded-For": ADDRESS, "Referer": f"https://example.org/{EMAIL}"},
    "query_params": {"email": EMAIL, "near": PLACE},
    "REMOTE_ADDR": ADDRESS,
    "data": {"email": EMAIL, "place": PLACE, "password": PASSWORD},
}  # fmt: skip


def ask(page: str, **headers: str) -> Any:
    """Ask for a page, with all that must not go further."""
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = SESSION
    client.cookies["crumbs"] = COOKIE
    sent = {**_SENT, "headers": {**_SENT["headers"], **headers}}
    return client.post(f"/{page}/{USER}/", **sent)


def ask_as_served(page: str, **headers: str) -> str:
    """The same through the whole of WSGI, where requests are traced; the status."""
    sent = {**_SENT, "headers": {**_SENT["headers"], **headers}}
    request = RequestFactory().post(f"/{page}/{USER}/", **sent)
    request.environ["HTTP_COOKIE"] = f"sessionid={SESSION}; crumbs={COOKIE}"
    statuses: list[str] = []
    signals = (request_started, request_finished)
    for signal in signals:  # a test's connection outlives its requests
        signal.disconnect(close_old_connections)
    try:
        answer = WSGIHandler()(request.environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type, return-value]
        b"".join(answer)
        answer.close()
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
    return statuses[0]
