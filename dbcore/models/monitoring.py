"""The books of alerts: what is wrong since when, and the messages about it.

A row is changed only on the condition that its `version` is still the one that was read: of several
monitors, one makes each change, and one sends each message.
"""

from __future__ import annotations

from django.db import models

from dbcore.models.ids import new_run_id

_ID = 36
_RULE = 64
_SUBJECT = 255
_SEVERITY = 16


class AlertState(models.Model):
    """Where one rule stands on one subject."""

    class Phase(models.TextChoices):
        OK = "ok"
        PENDING = "pending"  # broken, not yet for long enough
        FIRING = "firing"

    rule = models.CharField(max_length=_RULE)
    subject = models.CharField(max_length=_SUBJECT, blank=True)
    phase = models.CharField(max_length=16, choices=Phase, default=Phase.OK)
    severity = models.CharField(max_length=_SEVERITY, blank=True)  # the worst of this incident
    incident = models.CharField(max_length=_ID, blank=True)
    sentence = models.TextField(blank=True)
    since = models.DateTimeField()  # when this phase began
    fired_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # when the last incident ended
    # Who last saw it broken, and when: what another host sees does not end it at once.
    bad_at = models.DateTimeField(null=True, blank=True)
    bad_by = models.CharField(max_length=255, blank=True)
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "subject"], name="one_state_a_rule_and_subject")
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}".strip() + f": {self.phase}"


class AlertDelivery(models.Model):
    """One message on one channel: to be sent, sent, or given up."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        GIVEN_UP = "given_up"

    id = models.CharField(max_length=_ID, primary_key=True, default=new_run_id, editable=False)
    channel = models.CharField(max_length=32)
    incident = models.CharField(max_length=_ID)
    message = models.JSONField()
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    created_at = models.DateTimeField()
    # When it may be tried. A monitor that tries it moves this to where its claim ends: if it is
    # killed meanwhile, another tries then.
    next_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(blank=True)  # what the other side said, or why it failed
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "alert deliveries"
        indexes = [
            models.Index(fields=["state", "next_at"], name="delivery_due"),
            models.Index(fields=["channel", "attempted_at"], name="delivery_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.state}"
