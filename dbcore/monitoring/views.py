"""The page that Prometheus reads. Who may not read it learns nothing from it."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dbcore.addresses import is_loopback
from dbcore.monitoring.export import exposition
from dbcore.monitoring.staff import is_staff

# What proxies say of the client behind them: then an address of this machine is the proxy's.
_FORWARDED = (
    "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SERVER", "HTTP_X_REAL_IP", "HTTP_VIA",
)  # fmt: skip


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, for those who have METRICS_TOKEN, are on this machine, or are staff."""
    if not may_read(request):
        raise PermissionDenied
    body, content_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def may_read(request: HttpRequest) -> bool:
    """Whether whoever asks may see how the layer does."""
    return _has_token(request) or _is_here(request) or is_staff(request)


def _has_token(request: HttpRequest) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and kind.lower() == "bearer" and constant_time_compare(given, wanted)


def _is_here(request: HttpRequest) -> bool:
    """Whether the request comes from this machine, and from no proxy on it."""
    if any(header in request.META for header in _FORWARDED):
        return False
    return is_loopback(request.META.get("REMOTE_ADDR", ""))  # a Unix socket has no address
