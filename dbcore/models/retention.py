"""The books of retention: sweeps, archives, policies in force, legal holds, restores, erasures.

An archive's row may only ever claim less than its object proves: `proven` is set after the object
has been read back, `removed` after the last delete that it vouches for.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from dbcore.models.ids import new_run_id

_ID = 36
_TABLE = 255
_KEY = 1_600  # a joined key of two long texts, every character of them escaped
_STORE = 16  # orm, dynamodb


class Sweep(models.Model):
    """One call of `enforce_retention` that may delete, and its report."""

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        UNPROVEN = "unproven"  # an archive could not be proven, or one of before is damaged
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    id = models.CharField(max_length=_ID, primary_key=True, default=new_run_id, editable=False)
    store = models.CharField(max_length=_STORE)
    target = models.CharField(max_length=500)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    as_of = models.DateTimeField()
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    options = models.JSONField(default=dict)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    archived = models.PositiveBigIntegerField(default=0)
    deleted = models.PositiveBigIntegerField(default=0)
    # Deleted on account of archives that an earlier sweep had begun; not among `deleted`.
    resumed_deleted = models.PositiveBigIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0)
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class SweepMark(models.Model):
    """How far a table has been swept: nothing that was due on or before `swept_through` was left
    when its last sweep passed by."""

    target = models.CharField(max_length=500)
    table = models.CharField(max_length=_TABLE)
    swept_through = models.DateField(null=True)  # a UTC due day
    # When a sweep last looked all the way back, for records that were written late.
    looked_back_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "table"], name="one_sweep_mark_a_table")
        ]

    def __str__(self) -> str:
        return f"{self.table}: through {self.swept_through}"


class AcceptedPolicy(models.Model):
    """The days of a table's policy that a person or the code has agreed to."""

    table = models.CharField(max_length=_TABLE, primary_key=True)
    days = models.PositiveIntegerField()
    # The most days that the code has ever declared: due days written then are that late.
    declared_days_max = models.PositiveIntegerField()
    accepted_at = models.DateTimeField(default=timezone.now)
    accepted_by = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name_plural = "accepted policies"

    def __str__(self) -> str:
        return f"{self.table}: {self.days} days"


class Archive(models.Model):
    """One archive object: records of one table that were due, and what has become of them."""

    class State(models.TextChoices):
        WRITING = "writing"  # no record may be deleted on its account
        PROVEN = "proven"  # read back and proven: its records are being deleted
        REMOVED = "removed"  # every record is deleted, or counted as left alone
        COMPLETED = "completed"  # and the object is in the storage class of its tier
        DAMAGED = "damaged"  # cannot be proven: evidence, until its object is put back

    id = models.CharField(max_length=_ID, primary_key=True, default=new_run_id, editable=False)
    sweep = models.ForeignKey(Sweep, null=True, blank=True, on_delete=models.SET_NULL)
    store = models.CharField(max_length=_STORE)
    target = models.CharField(max_length=500)
    table = models.CharField(max_length=_TABLE)
    tier = models.CharField(max_length=8)
    state = models.CharField(max_length=16, choices=State, default=State.WRITING)
    object_name = models.CharField(max_length=500, unique=True)
    count = models.PositiveIntegerField(default=0)
    oldest = models.DateTimeField(null=True, blank=True)
    newest = models.DateTimeField(null=True, blank=True)
    key_id = models.CharField(max_length=64, blank=True)
    # The manifest, as it stands beside the object.
    manifest = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    proven_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    # What became of its records; together they are `count` once it is removed.
    deleted = models.PositiveIntegerField(default=0)
    gone = models.PositiveIntegerField(default=0)  # deleted by somebody else meanwhile
    changed = models.PositiveIntegerField(default=0)  # changed since it was archived: left alone
    held = models.PositiveIntegerField(default=0)  # a hold came between: left alone
    # No longer due, restored lately, or kept by another: left alone.
    kept = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["table", "newest"], name="archive_table_newest"),
            models.Index(fields=["state"], name="archive_state"),
            models.Index(fields=["key_id"], name="archive_key"),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.id} ({self.state})"


class LegalHold(models.Model):
    """That what it names must not be deleted: who says so, why, and until when."""

    class Scope(models.TextChoices):
        USER = "user"
        TABLE = "table"
        RECORD = "record"

    id = models.CharField(max_length=_ID, primary_key=True, default=new_run_id, editable=False)
    scope = models.CharField(max_length=8, choices=Scope)
    # user: "" and the user's id; table: its name and ""; record: the table and the joined key.
    table = models.CharField(max_length=_TABLE, blank=True)
    subject = models.CharField(max_length=_KEY, blank=True)
    reason = models.TextField()
    placed_by = models.CharField(max_length=255)
    placed_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)  # null: until it is lifted
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=255, blank=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-placed_at"]
        indexes = [models.Index(fields=["scope", "table", "subject"], name="hold_subject")]

    def __str__(self) -> str:
        return f"{self.scope} {self.table} {self.subject}".strip()


class RestoredRecord(models.Model):
    """A record that was restored: no sweep takes it again before `grace_until`."""

    table = models.CharField(max_length=_TABLE)
    key = models.CharField(max_length=_KEY)  # the joined key
    archive = models.CharField(max_length=_ID)
    restored_at = models.DateTimeField(default=timezone.now)
    grace_until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table", "key"], name="one_grace_a_record")]
        indexes = [models.Index(fields=["grace_until"], name="restored_grace")]

    def __str__(self) -> str:
        return f"{self.table} {self.key} until {self.grace_until}"


class Erasure(models.Model):
    """That a user was erased. A restore leaves their records out, or clears what is personal."""

    class Status(models.TextChoices):
        STARTED = "started"
        COMPLETED = "completed"

    id = models.CharField(max_length=_ID, primary_key=True, default=new_run_id, editable=False)
    # A digest: the book of erasures must not itself name who was erased.
    subject = models.CharField(max_length=64, unique=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.STARTED)
    requested_by = models.CharField(max_length=255)
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.subject[:12]}… ({self.status})"
