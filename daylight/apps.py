"""Daylight as a Django application: its tables and what is asked of them."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class DaylightConfig(AppConfig):
    name = "daylight"
    verbose_name = "Daylight"

    def ready(self) -> None:
        from daylight.signin import checks, sessions  # noqa: F401  # they register themselves
        from daylight.trail import signins  # noqa: F401


class StaffAdmin(AdminConfig):
    """Django's admin, with Daylight's site: its sign-in, and its audit trail."""

    default_site = "daylight.signin.site.StaffSite"
