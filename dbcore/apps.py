"""The database layer as a Django application: its book-keeping, commands and checks."""

from django.apps import AppConfig


class DbcoreConfig(AppConfig):
    name = "dbcore"
    verbose_name = "Database layer"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Registers the system checks, and Python's LOWER() on every SQLite connection.
        from dbcore import checks, sqlite_functions  # noqa: F401
        from dbcore.monitoring.installed import install

        install()
