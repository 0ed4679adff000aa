"""The book of deployments: which tables have been where. It is never told that one is gone."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Deployment(models.Model):
    """That the application has tables at a target, or has begun to make them."""

    target = models.CharField(max_length=500, primary_key=True)
    began_at = models.DateTimeField(default=timezone.now)
    # From then on only a person makes a table there.
    completed_at = models.DateTimeField(null=True, blank=True)
    # Names of those that have been there: one of them that is missing was deleted.
    tables = models.JSONField(default=list)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return self.target
