"""`prepare_development`: what `make serve` needs before it serves."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS
from django.db.utils import DatabaseError

from daylight.sample_data import filled
from dbcore import bookkeeping
from dbcore.errors import ConfigurationError
from dbcore.management.tool import PlainCommand

NAME = "admin"


class Command(PlainCommand):
    """Make an empty development database worth looking at."""

    help = (
        "Migrates the development database, fills it with sample data where it is empty, and makes "
        "the superuser admin (password: admin) where there is none. Refused outside DEBUG, and "
        "in a database that is another project's."
    )

    def handle(self, *args: Any, **given: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("This makes a superuser with a known password: development only.")
        try:
            bookkeeping.refuse_foreign()
        except (ConfigurationError, DatabaseError) as error:
            raise CommandError(f"{error}.") from error
        call_command("migrate", verbosity=0, interactive=False)
        if not filled(DEFAULT_DB_ALIAS):
            self.stdout.write("The database is empty: making sample data …")
            call_command("make_sample_data", verbosity=0)
        users = get_user_model()._default_manager
        if not users.filter(is_superuser=True).exists():
            users.create_superuser(NAME, "", NAME)
            self.stdout.write("Made the superuser admin (password: admin).")
