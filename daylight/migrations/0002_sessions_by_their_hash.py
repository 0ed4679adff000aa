"""Ids of sessions, which let in whoever bears them, are kept as their SHA-256. Who is signed in
stays so: a session is found by the hash of what its device bears. And audit entries name who has
acted, as the site or the operating system has authenticated them."""

from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError

import dbcore.bearers

FIELDS = {
    "usersession": "session_id",
    "authsession": "id",
    "usageanalytics": "session_id",
    "auditlog": "session_id",
}


class Hashed(models.Func):
    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    output_field = models.CharField()

    def as_sqlite(self, compiler, connection, **extra):
        # Django's own function on every connection.
        return self.as_sql(compiler, connection, template="SHA256(%(expressions)s)", **extra)


def hash_ids(apps, schema_editor):
    for model, field in FIELDS.items():
        rows = apps.get_model("daylight", model)._base_manager.using(schema_editor.connection.alias)
        rows.exclude(**{field: None}).exclude(**{field: ""}).update(**{field: Hashed(field)})


def refuse_to_go_back(apps, schema_editor):
    """No hash leads back to its id; and to go on again would hash the hashes."""
    for model, field in FIELDS.items():
        rows = apps.get_model("daylight", model)._base_manager.using(schema_editor.connection.alias)
        if rows.exclude(**{field: None}).exclude(**{field: ""}).exists():
            raise IrreversibleError(
                f"{rows.model._meta.db_table} has ids of sessions as their hashes, which cannot be "
                "made ids again: restore the backup from before this migration"
            )


def hash_field(**given):
    return models.CharField(max_length=64, validators=[dbcore.bearers.check_hashed], **given)


class Migration(migrations.Migration):
    dependencies = [("daylight", "0001_initial")]

    operations = [
        migrations.AddField(
            "auditlog", "actor", models.CharField(max_length=255, null=True, blank=True)
        ),
        migrations.RunPython(hash_ids, refuse_to_go_back),
        # Of this no database knows anything.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "usersession", "session_id", hash_field(primary_key=True, serialize=False)
                ),
                migrations.AlterField(
                    "authsession", "id", hash_field(primary_key=True, serialize=False)
                ),
                migrations.AlterField(
                    "usageanalytics", "session_id", hash_field(null=True, blank=True)
                ),
                migrations.AlterField("auditlog", "session_id", hash_field(null=True, blank=True)),
            ]
        ),
    ]
