"""The layer's book-keeping in Django's admin, by subject, to read and never to change."""

from dbcore.admin import migration, monitoring, retention
from dbcore.admin.display import ReadableAdmin, json_display, json_text, preformatted, text_of
from dbcore.admin.guarded import GuardedAdmin
from dbcore.admin.unreadable import READING_ERRORS

__all__ = [
    "READING_ERRORS",
    "GuardedAdmin",
    "ReadableAdmin",
    "json_display",
    "json_text",
    "migration",
    "monitoring",
    "preformatted",
    "retention",
    "text_of",
]
