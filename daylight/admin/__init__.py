"""Daylight in Django's admin, by subject as the models are. No page shows a secret."""

from django.contrib import admin

from daylight.admin import accounts, analytics, api, caches, planning, security

__all__ = ["accounts", "analytics", "api", "caches", "planning", "security"]

admin.site.site_header = "Daylight"
admin.site.site_title = "Daylight"
admin.site.index_title = "Records and book-keeping"
