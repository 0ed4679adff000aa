"""Users, their profiles and their sessions."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from daylight.models.base import Stamped, hash_field, id_field, json_field, owner_field
from dbcore.tables import Deadline, GlobalIndex, Retention, Table, Tier


class User(Stamped):
    """A person with an account. Not Django's auth user: that one is for the admin alone."""

    id = id_field(primary_key=True)
    email = models.EmailField(max_length=254)
    username = models.CharField(max_length=150, null=True, blank=True, unique=True)
    password_hash = models.CharField(max_length=255)
    is_active = models.BooleanField(default=True)
    email_verified = models.BooleanField(default=False)
    last_login_at = models.DateTimeField(null=True, blank=True)

    storage = Table(
        name="users",
        hash_key="id",
        retention=Retention(2555, ("created_at", "updated_at", "last_login_at"), Tier.COLD),
        owner="id",
        secret=("password_hash",),
    )

    class Meta:
        db_table = "users"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="users_email_unique_any_case"),
        ]
        indexes = [models.Index(fields=["updated_at"], name="users_updated")]

    def __str__(self) -> str:
        return self.email


class UserProfile(Stamped):
    """What a user says about themselves, and their settings."""

    user_id = owner_field(primary_key=True)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    avatar = models.CharField(max_length=500, null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    preferences = json_field(default=dict, blank=True)
    settings = json_field(default=dict, blank=True)

    storage = Table(
        name="user_profiles",
        hash_key="user_id",
        retention=Retention(2555, ("updated_at",), Tier.COLD, while_kept="user_id"),
        owner="user_id",
    )

    class Meta:
        db_table = "user_profiles"
        indexes = [models.Index(fields=["updated_at"], name="user_profiles_updated")]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.user_id


class UserSession(models.Model):
    """A signed-in app session and its data. `session_id` is the hash of what its device bears."""

    session_id = hash_field(primary_key=True)
    user_id = owner_field()
    data = json_field(default=dict, blank=True)
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    storage = Table(
        name="user_sessions",
        hash_key="session_id",
        indexes=(GlobalIndex("UserSessionsIndex", "user_id", "created_at"),),
        expires=(Deadline("expires_at"), Deadline("created_at", days=30)),
        retention=Retention(30, ("created_at",), Tier.HOT),
        owner="user_id",
    )

    class Meta:
        db_table = "user_sessions"
        indexes = [
            models.Index(fields=["user_id", "created_at"], name="user_sessions_user_created"),
            models.Index(fields=["created_at"], name="user_sessions_created"),
        ]

    def __str__(self) -> str:
        return f"session {self.session_id[:8]}… of {self.user_id}"
