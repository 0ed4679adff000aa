"""Authenticated sessions, the audit trail, and who may do what."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from daylight.models.base import (
    ID_LENGTH,
    Stamped,
    hash_field,
    id_field,
    json_field,
    owner_field,
)
from dbcore.append_only import AppendOnly
from dbcore.tables import (
    DayIndex,
    Deadline,
    GlobalIndex,
    NoRetention,
    Retention,
    Table,
    Tier,
)


class AuthSession(models.Model):
    """A device that has proven who it is. `id` is the hash of what it bears."""

    id = hash_field(primary_key=True)
    user_id = owner_field()
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    device = json_field(default=dict, blank=True)
    mfa_verified = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    last_activity_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    storage = Table(
        name="auth_sessions",
        hash_key="id",
        indexes=(GlobalIndex("UserAuthSessionsIndex", "user_id", "created_at"),),
        expires=(Deadline("expires_at"),),
        retention=NoRetention("expiry alone: a session is worth nothing once it has expired"),
        owner="user_id",
    )

    class Meta:
        db_table = "auth_sessions"
        indexes = [
            models.Index(fields=["user_id", "created_at"], name="auth_sessions_user_created")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.ip_address or 'an unknown address'}"


class AuditLog(AppendOnly):
    """Who did what to which resource. Never changed; deleted by the retention sweep alone."""

    class Outcome(models.TextChoices):
        SUCCESS = "success"
        FAILURE = "failure"
        PARTIAL = "partial"

    id = id_field(primary_key=True)
    timestamp = models.DateTimeField(default=timezone.now, db_index=True)
    event_type = models.CharField(max_length=64)
    user_id = owner_field(null=True, blank=True)
    # Whom it was done by, as the site or the operating system has authenticated them: "staff:7
    # boss", "os:deploy@web-1". Never a user's id, so it outlives the user's erasure.
    actor = models.CharField(max_length=255, null=True, blank=True)
    session_id = hash_field(null=True, blank=True)
    resource = models.CharField(max_length=255)
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16, choices=Outcome)
    risk_level = models.CharField(max_length=16, default="low")
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    details = json_field(default=dict, blank=True)
    changes = json_field(default=dict, blank=True)
    compliance_labels = json_field(default=list, blank=True)
    correlation_id = models.CharField(max_length=ID_LENGTH, null=True, blank=True)
    source = models.CharField(max_length=64)

    storage = Table(
        name="audit_logs",
        hash_key="id",
        indexes=(GlobalIndex("UserAuditIndex", "user_id", "timestamp"), DayIndex("DateIndex")),
        retention=Retention(2555, ("timestamp",), Tier.COLD),
        append_only=True,
        owner="user_id",
        personal=(
            "user_id",
            "session_id",
            "resource",  # text of the caller's: often user/ID, or an address
            "ip_address",
            "user_agent",
            "details",
            "changes",
            "correlation_id",
        ),
    )

    class Meta:
        db_table = "audit_logs"
        indexes = [models.Index(fields=["user_id", "timestamp"], name="audit_logs_user_time")]

    def __str__(self) -> str:
        return f"{self.action} {self.resource}: {self.outcome}"


class Role(Stamped):
    """A named set of permissions."""

    class Scope(models.TextChoices):
        GLOBAL = "global"
        ORGANIZATION = "organization"
        PROJECT = "project"

    id = id_field(primary_key=True)
    name = models.CharField(max_length=150, unique=True)
    description = models.TextField(blank=True)
    permissions = json_field(default=list, blank=True)
    inherited_roles = json_field(default=list, blank=True)
    scope = models.CharField(max_length=16, choices=Scope, default=Scope.GLOBAL)
    metadata = json_field(default=dict, blank=True)

    storage = Table(
        name="roles",
        hash_key="id",
        retention=NoRetention("reference data: a role outlives every user"),
    )

    class Meta:
        db_table = "roles"

    def __str__(self) -> str:
        return self.name


class Permission(Stamped):
    """Leave to do one action on one kind of resource."""

    id = id_field(primary_key=True)
    name = models.CharField(max_length=150, unique=True)
    description = models.TextField(blank=True)
    resource = models.CharField(max_length=255)
    action = models.CharField(max_length=64)
    conditions = json_field(default=dict, blank=True)

    storage = Table(
        name="permissions",
        hash_key="id",
        retention=NoRetention("reference data: roles refer to it"),
    )

    class Meta:
        db_table = "permissions"

    def __str__(self) -> str:
        return self.name
