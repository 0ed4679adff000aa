"""That the layer's own tables are there in Django's database."""

from __future__ import annotations

from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError

from dbcore.errors import ConfigurationError


def make_ready() -> None:
    """Make the book-keeping's tables where settings allow it, else say how they are made."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "dbcore"]
        if not executor.migration_plan(wanted):
            return
    except DatabaseError as error:
        raise ConfigurationError(f"Django's database cannot be used: {error}") from error
    if not settings.DBCORE_AUTO_MIGRATE:
        raise ConfigurationError(
            "Django's database lacks the book-keeping's tables: run `manage.py migrate` first"
        )
    call_command("migrate", "dbcore", verbosity=0, interactive=False)
