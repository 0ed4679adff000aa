"""Each request has an id, which its lines in the log and its answer carry."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import cast

from django.conf import settings
from django.core.signals import request_finished
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from dbcore.logs import begin_request, end_request
from dbcore.peers import is_among

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{7,63}")

Answer = HttpResponseBase


@sync_and_async_middleware
def request_id(
    get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]],
) -> Callable[[HttpRequest], Answer | Awaitable[Answer]]:
    """Give a request its id: that of a trusted proxy, or a new one."""
    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> Answer:
            given = _begin(request)
            answer = await cast("Awaitable[Answer]", get_response(request))
            answer.headers[HEADER] = given
            return answer

        return serve_async

    def serve(request: HttpRequest) -> Answer:
        given = _begin(request)
        answer = cast("Answer", get_response(request))
        answer.headers[HEADER] = given
        return answer

    return serve


def _begin(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "")
    if not (_WELL_FORMED.fullmatch(given) and _is_trusted(request)):
        given = str(uuid.uuid4())
    begin_request(given)
    return given


def _is_trusted(request: HttpRequest) -> bool:
    return is_among(request.META.get("REMOTE_ADDR", ""), tuple(settings.REQUEST_ID_PROXIES))


# Not when the view has returned: an answer that streams is still being made, and Django logs later.
request_finished.connect(lambda **_: end_request(), weak=False, dispatch_uid="dbcore.request_id")
