"""What every answer tells a browser about what its page may do: nothing but what our own files do.
No page may need an exception."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # What Django's SecurityMiddleware says, for answers that do not come so far.
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
# Django's pages for developers, which it makes with DEBUG alone, have styles and scripts in them.
_EXPLAINED = frozenset({400, 404, 500})

Answer = HttpResponseBase


@sync_and_async_middleware
def security_headers(
    get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]],
) -> Callable[[HttpRequest], Answer | Awaitable[Answer]]:
    """Give every answer its headers."""
    if iscoroutinefunction(get_response):

        async def serve_async(request: HttpRequest) -> Answer:
            return _with_headers(await cast("Awaitable[Answer]", get_response(request)))

        return serve_async

    def serve(request: HttpRequest) -> Answer:
        return _with_headers(cast("Answer", get_response(request)))

    return serve


def _with_headers(answer: Answer) -> Answer:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if settings.DEBUG and answer.status_code in _EXPLAINED:
        del answer.headers["Content-Security-Policy"]
    return answer
