"""The pages of monitoring."""

from django.urls import path

from dbcore.monitoring.health.pages import Live, Ready
from dbcore.monitoring.views import metrics

app_name = "monitoring"
urlpatterns = [
    path("metrics", metrics, name="metrics"),
    path("health/live", Live.as_view(), name="live"),
    path("health/ready", Ready.as_view(), name="ready"),
]
