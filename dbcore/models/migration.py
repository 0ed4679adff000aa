"""The books of migrations: runs, checkpoints, dead letters.

A checkpoint may only ever say less than what DynamoDB has acknowledged, never more.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from dbcore.models.ids import new_run_id

REPLAY = "replay"  # the option of a replay: which tables' letters


class MigrationRun(models.Model):
    """One call of `migrate_to_dynamo` or `dead_letters replay` that may write, and its report."""

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        COMPLETED_WITH_DEAD_LETTERS = "completed_with_dead_letters"
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    id = models.CharField(max_length=36, primary_key=True, default=new_run_id, editable=False)
    source = models.CharField(max_length=500)
    target = models.CharField(max_length=500)
    status = models.CharField(max_length=32, choices=Status, default=Status.RUNNING)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    options = models.JSONField(default=dict)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    rows_read = models.PositiveBigIntegerField(default=0)
    rows_written = models.PositiveBigIntegerField(default=0)
    dead_lettered = models.PositiveBigIntegerField(default=0)
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @classmethod
    def of_migrations(cls) -> models.QuerySet[MigrationRun, MigrationRun]:
        """Those of `migrate_to_dynamo`: that a replay went well says nothing of the migration."""
        return cls.objects.exclude(options__has_key=REPLAY)


class Checkpoint(models.Model):
    """How far the copy of one source table has come: every row up to `position`, in the order of
    reading, is acknowledged by DynamoDB, skipped on request, or a dead letter."""

    source = models.CharField(max_length=500)
    target = models.CharField(max_length=500)
    source_table = models.CharField(max_length=255)
    # DynamoDB's TableId: a table that was deleted and made again is not the one we copied to.
    table_id = models.CharField(max_length=64)
    # What the source looked like; another file at the same path starts from its first row.
    fingerprint = models.CharField(max_length=200, blank=True)
    # One pass over the table, however many runs it takes; ties dead letters to it.
    copy_pass = models.CharField(max_length=36)
    position = models.JSONField(null=True)
    # The target held items when the pass began: each row is compared before it is written.
    compare_first = models.BooleanField(default=False)
    # Expired rows were left out: a pass that is to copy them begins anew.
    skip_expired = models.BooleanField(default=False)
    acknowledged = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    dead_lettered = models.PositiveBigIntegerField(default=0)
    complete = models.BooleanField(default=False)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "target", "source_table"], name="one_checkpoint_a_table"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_table}: {self.acknowledged} rows"


class DeadLetter(models.Model):
    """A row that cannot be an item, whole, with the reason."""

    source = models.CharField(max_length=500)
    target = models.CharField(max_length=500)
    source_table = models.CharField(max_length=255)
    table = models.CharField(max_length=255)
    # Where the row is in its source (SQLite's rowid, or the primary key), as JSON text.
    row_ref = models.CharField(max_length=2500)
    key = models.CharField(max_length=1600)
    reason = models.TextField()
    # Column -> value. What JSON cannot carry is {"$bytes": base64}, {"$text": base64}, …: see
    # docs/dead-letters.md.
    row = models.JSONField()
    copy_pass = models.CharField(max_length=36)
    run = models.ForeignKey(MigrationRun, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # Set when a replay or a later run has written the repaired row, or found it gone.
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "target", "source_table", "row_ref"], name="one_letter_a_row"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_table} {self.key}: {self.reason}"
