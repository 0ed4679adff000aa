"""Daylight as a Django application: its tables and what is asked of them."""

from django.apps import AppConfig


class DaylightConfig(AppConfig):
    name = "daylight"
    verbose_name = "Daylight"
