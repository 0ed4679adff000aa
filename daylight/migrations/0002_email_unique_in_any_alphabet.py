"""On PostgreSQL, makes emails unique case aside in every alphabet, whatever the database's locale."""

from django.db import migrations

NAME = "users_email_unique_any_alphabet"


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f'CREATE UNIQUE INDEX {NAME} ON users (lower(email COLLATE "und-x-icu"))'
        )


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {NAME}")


class Migration(migrations.Migration):
    dependencies = [("daylight", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
