"""What the models share: text ids that sort by time, and the usual columns."""

from __future__ import annotations

from typing import Any

import uuid6
from django.db import models
from django.utils import timezone

from dbcore.bearers import HASH_LENGTH, check_hashed
from dbcore.fields import RecordKeyField
from dbcore.json_numbers import JsonDecoder

ID_LENGTH = 64


def new_id() -> str:
    """A new record's id: UUIDv7, so that ids sort by the time they were made."""
    return str(uuid6.uuid7())


def id_field(**kwargs: object) -> models.CharField[str, str]:
    """An id within its table: kept as given, else made."""
    return models.CharField(max_length=ID_LENGTH, default=new_id, **kwargs)  # type: ignore[arg-type]


def hash_field(**kwargs: object) -> models.CharField[str, str]:
    """The hash of what lets in whoever bears it, such as a session's id; never that itself."""
    checks = [check_hashed]
    return models.CharField(max_length=HASH_LENGTH, validators=checks, **kwargs)  # type: ignore[arg-type]


def owner_field(**kwargs: object) -> models.CharField[str, str]:
    """The id of the user that a record belongs to. Not a foreign key: a record may outlive or
    precede its user, and DynamoDB has none."""
    return models.CharField(max_length=ID_LENGTH, **kwargs)  # type: ignore[arg-type]


def record_key(*of: str) -> RecordKeyField:
    """Django's primary key for a record that DynamoDB keys by two attributes."""
    return RecordKeyField(of=of)


def json_field(**kwargs: Any) -> models.JSONField[Any, Any]:
    """A JSON object or list, in which a number stays what it is in every database."""
    return models.JSONField(decoder=JsonDecoder, **kwargs)


class Stamped(models.Model):
    """When a record was made and last changed. Set by who writes it: a migrated record keeps
    its own."""

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
