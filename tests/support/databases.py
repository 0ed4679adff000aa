"""Other databases in the place of Django's default one, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, connections


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a database with what Django adds to them."""
    return dict(connections.configure_settings({DEFAULT_DB_ALIAS: given})[DEFAULT_DB_ALIAS])


@contextmanager
def default_database(given: dict[str, Any]) -> Iterator[None]:
    """Django's default connection is another's, also for threads that are started meanwhile (which
    are to close theirs)."""
    usual, connection = connections.databases[DEFAULT_DB_ALIAS], connections[DEFAULT_DB_ALIAS]
    connections.databases[DEFAULT_DB_ALIAS] = complete(given)
    connections[DEFAULT_DB_ALIAS] = connections.create_connection(DEFAULT_DB_ALIAS)
    ContentType.objects.clear_cache()  # its ids are of the other database
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS].close()
        connections.databases[DEFAULT_DB_ALIAS] = usual
        connections[DEFAULT_DB_ALIAS] = connection
        ContentType.objects.clear_cache()
