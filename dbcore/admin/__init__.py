"""The layer's book-keeping in Django's admin, by subject, to read and never to change."""

from dbcore.admin import migration, monitoring, retention
from dbcore.admin.display import ReadableAdmin, json_display, json_text, preformatted

__all__ = [
    "ReadableAdmin",
    "json_display",
    "json_text",
    "migration",
    "monitoring",
    "preformatted",
    "retention",
]
