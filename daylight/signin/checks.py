"""What `manage.py check --deploy` asks of a site that staff sign in to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

HINTS = {
    "W001": "Set ADMIN_TOTP_REQUIRED=true: who has no authenticator sets it up after signing in.",
    "W002": "Set DJANGO_TRUSTED_PROXIES to what ends TLS in front of this site.",
}


@register(Tags.security, deploy=True)
def check_sign_in(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What a password alone protects, and whose address is everybody's."""
    found = []
    if not settings.ADMIN_TOTP_REQUIRED:
        found.append(_warning("W001", "Staff can sign in with nothing but a password."))
    if settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXIES:
        found.append(
            _warning(
                "W002",
                "A proxy is in front of this site, and none is trusted to say whom it was asked "
                "by: all attempts to sign in come from its address, and so do all entries of the "
                "audit trail.",
            )
        )
    return found


def _warning(number: str, message: str) -> CheckMessage:
    return Warning(message, hint=HINTS[number], id=f"daylight.{number}")
