"""The pages of one's own authenticator and password. A key is shown until it is confirmed, recovery
codes once, and to their owner alone.
"""

from __future__ import annotations

import base64
from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods
from django_otp import login as verified_from_here
from django_otp.plugins.otp_totp.models import TOTPDevice

from daylight.signin import authenticator
from daylight.signin.forms import PasswordChangeForm, ProofForm, fail_by_code
from daylight.signin.throttle import forgive
from daylight.trail.entries import must_tell

Context = dict[str, Any]


class PasswordPage(PasswordChangeView):
    """Change one's password."""

    form_class = PasswordChangeForm

    def get_form_kwargs(self) -> Context:
        return {**super().get_form_kwargs(), "request": self.request}


@never_cache
@csrf_protect
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def authenticator_page(request: HttpRequest, context: Context) -> HttpResponse:
    """Set up an authenticator, or remove the one that there is."""
    has_one = authenticator.has_authenticator(request.user)
    context |= {"title": "Your authenticator", "next": _next(request)}
    form = ProofForm(request, request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = (_remove if has_one else _set_up)(request, form, context)
        if answer is not None:
            forgive(request, request.user)
            return answer
        fail_by_code(request, request.user)
        form.add_error("code", "This code is wrong, or was used before.")
    if not has_one:
        context |= _key(authenticator.begin(request.user, request.session))
    left = authenticator.codes_left(request.user)
    context |= {"form": form, "has_one": has_one, "codes_left": left}
    return TemplateResponse(request, "daylight/authenticator.html", context)


@sensitive_variables()
def _set_up(request: HttpRequest, form: ProofForm, context: Context) -> HttpResponse | None:
    with transaction.atomic():
        found = authenticator.confirm(request.user, request.session, form.cleaned_data["code"])
        if found is None:
            return None
        must_tell(request, kind="sign_in", action="set_up_authenticator", risk="high")
    device, codes = found
    # From here on the session is worth more: who had its id before must not have it now.
    request.session.cycle_key()
    verified_from_here(request, device)
    context |= {"codes": codes, "has_permission": True}
    return TemplateResponse(request, "daylight/recovery_codes.html", context)


@sensitive_variables()
def _remove(request: HttpRequest, form: ProofForm, context: Context) -> HttpResponse | None:
    if authenticator.prove(request.user, form.cleaned_data["code"]) is None:
        return None
    with transaction.atomic():
        authenticator.remove(request.user)
        must_tell(request, kind="sign_in", action="remove_authenticator", risk="high")
    messages.success(request, "Your authenticator and its recovery codes do not count any more.")
    return redirect(request.path)


def _key(device: TOTPDevice) -> Context:
    """The key, to scan and to type."""
    typed = base64.b32encode(device.bin_key).decode()
    groups = " ".join(typed[at : at + 4] for at in range(0, len(typed), 4))
    return {"key": groups, "picture": _picture(device.config_url)}


def _picture(url: str) -> SafeString:
    # Light on every theme: scanners expect it. Its sizes and colours are attributes, not styles.
    drawn = segno.make(url, error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=False
    )
    return mark_safe(drawn)


def _next(request: HttpRequest) -> str:
    """Where to go from here: on this site, or nowhere."""
    given = request.POST.get("next") or request.GET.get("next", "")
    hosts, secure = {request.get_host()}, request.is_secure()
    return given if url_has_allowed_host_and_scheme(given, hosts, secure) else ""
