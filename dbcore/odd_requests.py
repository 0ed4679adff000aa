"""Requests that no browser and no client of ours sends: refused with 400 before a view or a
database sees them. No word of theirs is repeated, in the answer or in the log.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, cast

import django
from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.http import parse_header_parameters

Answer = HttpResponseBase

_UTF8 = ("utf-8", "utf8")
_LENGTH = re.compile(r"\d{0,18}", re.ASCII)
_NO_ENCODING = "unreadable"


@sync_and_async_middleware
def refuse_odd_requests(
    get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]],
) -> Callable[[HttpRequest], Answer | Awaitable[Answer]]:
    """Refuse a request whose text cannot be read, or that no database could be asked about."""
    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> Answer:
            _refuse(request)
            return await cast("Awaitable[Answer]", get_response(request))

        return serve_async

    def serve(request: HttpRequest) -> Answer:
        _refuse(request)
        return cast("Answer", get_response(request))

    return serve


def _refuse(request: HttpRequest) -> None:
    if why := _what_is_odd(request):
        # Whoever looks at it now, to tell what has happened, must be able to. Its property would
        # look first.
        request._encoding = _UTF8[0]  # type: ignore[attr-defined]
        raise BadRequest(why)


def _what_is_odd(request: HttpRequest) -> str:
    """Why a request may not be served; "" for one that may."""
    # Python has encodings that turn bytes into no text, or into text that nothing can be sent in.
    encoding = (request.content_params or {}).get("charset", _UTF8[0])
    if encoding.lower() not in _UTF8:
        return "the Content-Type has an encoding other than UTF-8"
    if not _LENGTH.fullmatch(request.META.get("CONTENT_LENGTH") or ""):
        return "the Content-Length is no length"
    query = request.META.get("QUERY_STRING", "")
    # PostgreSQL has no NUL in its text.
    if "%00" in query or any("\0" in each for each in (query, request.path)):
        return "the address has a NUL in it"
    if any("\0" in each for each in request.COOKIES.values()):
        return "a cookie has a NUL in it"
    return ""


class _ReadsContentType:
    """A request whose Content-Type may be anything. Django's own would decode its query as that
    says, in the middle of being made: an error there is nobody's to answer."""

    content_type: str | None
    content_params: dict[str, str] | None

    def _set_content_type_params(self, meta: Any) -> None:
        try:
            found = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            found = "", {"charset": _NO_ENCODING}
        self.content_type, self.content_params = found


class _WsgiRequest(_ReadsContentType, WSGIRequest):
    pass


class _AsgiRequest(_ReadsContentType, ASGIRequest):
    pass


class _Wsgi(WSGIHandler):
    request_class = _WsgiRequest


class _Asgi(ASGIHandler):
    request_class = _AsgiRequest

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """As WSGI has it: Django's own answers a query that is no UTF-8 past all middleware."""
        query = scope.get("query_string", b"").decode(errors="replace")
        return super().create_request({**scope, "query_string": query}, body_file)


def wsgi_application() -> WSGIHandler:
    """Django's, which refuses what it cannot read instead of failing on it."""
    django.setup(set_prefix=False)
    return _Wsgi()


def asgi_application() -> ASGIHandler:
    """The same for ASGI."""
    django.setup(set_prefix=False)
    return _Asgi()
