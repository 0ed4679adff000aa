"""The pages of this project: the admin, and what monitoring shows."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from dbcore.admin.overview import overview

# A sun on the horizon; served here so that no browser logs a missing icon.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<circle cx="8" cy="9" r="4" fill="#f5a623"/><path d="M0 11h16v2H0z" fill="#417690"/></svg>'
)

urlpatterns = [
    path("favicon.ico", lambda request: HttpResponse(ICON, content_type="image/svg+xml")),
    path("admin/database/", admin.site.admin_view(overview), name="database_overview"),
    path("admin/", admin.site.urls),
    path("", include("dbcore.monitoring.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
