"""Keys to Daylight's API, their use, and its limits."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from daylight.models.base import ID_LENGTH, Stamped, id_field, json_field, owner_field, record_key
from dbcore.tables import (
    DayIndex,
    Deadline,
    Final,
    GlobalIndex,
    LocalIndex,
    NoRetention,
    Retention,
    Table,
    Tier,
)


class ApiKey(Stamped):
    """A key, of which only the hash is kept."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        REVOKED = "revoked"

    id = id_field(primary_key=True)
    name = models.CharField(max_length=150)
    key_hash = models.CharField(max_length=128, unique=True)
    key_preview = models.CharField(max_length=16)
    user_id = owner_field(db_index=True)
    scopes = json_field(default=list, blank=True)
    allowed_endpoints = json_field(default=list, blank=True)
    allowed_methods = json_field(default=list, blank=True)
    ip_whitelist = json_field(default=list, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    environment = models.CharField(max_length=32, default="production")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    description = models.TextField(blank=True)
    tags = json_field(default=list, blank=True)

    storage = Table(
        name="api_keys",
        hash_key="id",
        indexes=(GlobalIndex("UserApiKeysIndex", "user_id"),),
        retention=NoRetention("a key is revoked, not removed: the audit trail refers to it"),
        owner="user_id",
        secret=("key_hash",),
        final=Final("status", Status.REVOKED.value),
    )

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.key_preview}…)"


class ApiUsage(models.Model):
    """One request made with a key."""

    key = record_key("api_key_id", "id")
    api_key_id = models.CharField(max_length=ID_LENGTH)
    id = id_field()
    user_id = owner_field()
    endpoint = models.CharField(max_length=255)
    method = models.CharField(max_length=16)
    status_code = models.PositiveSmallIntegerField()
    response_time_ms = models.FloatField()
    request_size = models.PositiveBigIntegerField(default=0)  # bytes
    response_size = models.PositiveBigIntegerField(default=0)  # bytes
    rate_limit_hit = models.BooleanField(default=False)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    error_code = models.CharField(max_length=64, null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    timestamp = models.DateTimeField(default=timezone.now)

    storage = Table(
        name="api_usage",
        hash_key="api_key_id",
        range_key="id",
        indexes=(LocalIndex("KeyUsageIndex", "timestamp"), DayIndex("DateIndex")),
        retention=Retention(365, ("timestamp",), Tier.WARM),
        owner="user_id",
    )

    class Meta:
        db_table = "api_usage"
        verbose_name = "API usage"
        verbose_name_plural = "API usage"
        indexes = [
            models.Index(fields=["api_key_id", "timestamp"], name="api_usage_key_time"),
            models.Index(fields=["timestamp"], name="api_usage_time"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint} {self.status_code}"


class RateLimit(models.Model):
    """How often an identifier has called within one window."""

    key = record_key("identifier", "window_start")
    identifier = models.CharField(max_length=255)
    window_start = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=0)
    limit = models.PositiveBigIntegerField()
    window_seconds = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    storage = Table(
        name="rate_limits",
        hash_key="identifier",
        range_key="window_start",
        expires=(Deadline("expires_at"),),
        retention=NoRetention("expiry alone: a window that has passed limits nobody"),
    )

    class Meta:
        db_table = "rate_limits"

    def __str__(self) -> str:
        return f"{self.identifier}: {self.count} of {self.limit}"
