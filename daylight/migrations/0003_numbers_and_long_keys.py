"""JSON numbers stay what they are on PostgreSQL, and keys may be as long as their parts, escaped."""

from django.db import migrations, models

from dbcore.fields import RecordKeyField
from dbcore.json_numbers import JsonDecoder

KEYS = {
    "apiusage": ("api_key_id", "id"),
    "location": ("user_id", "id"),
    "locationhistory": ("user_id", "id"),
    "performancemetric": ("series", "window"),
    "plan": ("user_id", "id"),
    "ratelimit": ("identifier", "window_start"),
    "usageanalytics": ("user_id", "id"),
}
OBJECTS = {
    "auditlog": ("changes", "details"),
    "authsession": ("device",),
    "errorlog": ("context",),
    "eventscache": ("data",),
    "location": ("metadata",),
    "locationhistory": ("metadata",),
    "performancemetric": ("duration",),
    "permission": ("conditions",),
    "plan": ("preferences",),
    "role": ("metadata",),
    "trafficdata": ("data",),
    "usageanalytics": ("event_data",),
    "userprofile": ("preferences", "settings"),
    "usersession": ("data",),
    "weathercache": ("data",),
}
LISTS = {
    "apikey": ("allowed_endpoints", "allowed_methods", "ip_whitelist", "scopes", "tags"),
    "auditlog": ("compliance_labels",),
    "plan": ("activities",),
    "role": ("inherited_roles", "permissions"),
}


class Alter(migrations.AlterField):
    """As AlterField, but SQLite, which knows neither a length nor a decoder, need not copy its
    tables for them: a copy of a large one takes long."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self.database_forwards(app_label, schema_editor, from_state, to_state)


def json(model, name, **given):
    return Alter(model, name, models.JSONField(decoder=JsonDecoder, **given))


class Migration(migrations.Migration):
    dependencies = [("daylight", "0002_email_unique_in_any_alphabet")]

    operations = [
        *(
            Alter(model, "key", RecordKeyField(max_length=1531, of=of))
            for model, of in KEYS.items()
        ),
        *(
            json(model, name, default=kind, blank=True)
            for kind, fields in ((dict, OBJECTS), (list, LISTS))
            for model, names in fields.items()
            for name in names
        ),
        json("locationhistory", "location"),
        json("plan", "location", blank=True, null=True),
    ]
