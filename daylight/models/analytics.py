"""What users do, how the layer performs, and what went wrong."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from daylight.models.base import hash_field, id_field, json_field, owner_field, record_key
from dbcore.tables import DayIndex, Deadline, GlobalIndex, LocalIndex, Retention, Table, Tier


class UsageAnalytics(models.Model):
    """One thing that a user did."""

    key = record_key("user_id", "id")
    user_id = owner_field()
    id = id_field()
    event_type = models.CharField(max_length=64)
    event_data = json_field(default=dict, blank=True)
    timestamp = models.DateTimeField(default=timezone.now)
    session_id = hash_field(null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)

    storage = Table(
        name="usage_analytics",
        hash_key="user_id",
        range_key="id",
        indexes=(LocalIndex("UserAnalyticsIndex", "timestamp"), DayIndex("DateIndex")),
        retention=Retention(365, ("timestamp",), Tier.WARM),
        owner="user_id",
    )

    class Meta:
        db_table = "usage_analytics"
        verbose_name_plural = "usage analytics"
        indexes = [
            models.Index(fields=["user_id", "timestamp"], name="usage_analytics_user_time"),
            models.Index(fields=["timestamp"], name="usage_analytics_time"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} by {self.user_id}"


class PerformanceMetric(models.Model):
    """One host's calls of one operation on one table during one window of time."""

    key = record_key("series", "window")
    series = models.CharField(max_length=128)  # table#operation
    window = models.CharField(max_length=128)  # start#host
    # The start of the window, also as a time: what expiry and a sweep in SQL go by.
    started_at = models.DateTimeField(db_index=True)
    count = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    capacity = models.DecimalField(max_digits=20, decimal_places=1, default=0)  # capacity units
    duration = json_field(default=dict, blank=True)  # histogram, in seconds
    window_seconds = models.PositiveIntegerField()

    storage = Table(
        name="performance_metrics",
        hash_key="series",
        range_key="window",
        expires=(Deadline("started_at", days=30),),
        retention=Retention(30, ("started_at",), Tier.HOT),
    )

    class Meta:
        db_table = "performance_metrics"

    def __str__(self) -> str:
        return f"{self.series} {self.window}"


class ErrorLog(models.Model):
    """An error that somebody should look at."""

    class Severity(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"
        CRITICAL = "critical"

    id = id_field(primary_key=True)
    name = models.CharField(max_length=255)
    message = models.TextField(blank=True)
    stack = models.TextField(blank=True)
    context = json_field(default=dict, blank=True)
    user_id = owner_field(null=True, blank=True)
    timestamp = models.DateTimeField(default=timezone.now, db_index=True)
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.MEDIUM)
    resolved = models.BooleanField(default=False)

    storage = Table(
        name="error_logs",
        hash_key="id",
        indexes=(GlobalIndex("SeverityIndex", "severity", "timestamp"),),
        retention=Retention(90, ("timestamp",), Tier.WARM),
        owner="user_id",
    )

    class Meta:
        db_table = "error_logs"
        indexes = [models.Index(fields=["severity", "timestamp"], name="error_logs_severity_time")]

    def __str__(self) -> str:
        return f"{self.name}: {self.message[:60]}"
