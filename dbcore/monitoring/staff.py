"""Who sees more than the status: staff, as the admin knows them."""

from __future__ import annotations

from django.apps import apps
from django.http import HttpRequest


def is_staff(request: HttpRequest) -> bool:
    """Whether the admin would let in who asks. By its own rule: what it asks for beside a password
    must not be got around by another page."""
    if getattr(request, "user", None) is None or not apps.is_installed("django.contrib.admin"):
        return False
    from django.contrib import admin

    return bool(admin.site.has_permission(request))
