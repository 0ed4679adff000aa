"""Leases for work whose records are in Django's database; DynamoDB's: dbcore/dynamo/leases.py."""

from __future__ import annotations

from django.db import models


class JobLease(models.Model):
    """That one process does a job, until the lease runs out."""

    name = models.CharField(max_length=100, primary_key=True)
    owner = models.CharField(max_length=64)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    # Which process it is, so that a dead holder is told from one that is slow.
    birth = models.CharField(max_length=64, blank=True)
    place = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.owner} on {self.host}"
