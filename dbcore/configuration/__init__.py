"""What may be configured: one declaration for each environment variable, from which follow parsing,
the `.env` templates, docs/configuration.md, and the refusal of all that is wrong, at once.

Imported before Django's settings are there: nothing here may ask for them. Nothing here reads the
environment itself: who starts a process hands it over.
"""

from dbcore.configuration.reading import Configuration, Notice, WrongConfiguration, read
from dbcore.configuration.registry import Registry, Variable
from dbcore.configuration.variables import DBCORE

__all__ = [
    "DBCORE",
    "Configuration",
    "Notice",
    "Registry",
    "Variable",
    "WrongConfiguration",
    "read",
]
