"""The database layer as a Django application: its book-keeping, commands and checks."""

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class DbcoreConfig(AppConfig):
    name = "dbcore"
    verbose_name = "Database layer"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Registers the system checks, and Python's LOWER() on every SQLite connection.
        from dbcore import checks, sqlite_functions, transport_checks  # noqa: F401
        from dbcore.final_triggers import make_triggers
        from dbcore.monitoring.configured import refuse_wrong
        from dbcore.monitoring.installed import install
        from dbcore.monitoring.lines.crashes import watch_threads

        post_migrate.connect(make_triggers, sender=self)
        refuse_wrong()
        watch_threads()
        install()
        if settings.SENTRY_DSN:
            from dbcore.monitoring.sentry import setup

            setup.start()
