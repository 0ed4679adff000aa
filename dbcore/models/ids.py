"""Ids of the book-keeping's records."""

from __future__ import annotations

import uuid6


def new_run_id() -> str:
    """A run's id, sortable by its start."""
    return str(uuid6.uuid7())
