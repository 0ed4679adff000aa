"""A developer's machine: SQLite, the local DynamoDB engine, pages that explain their errors."""

from settings.base import *  # noqa: F403
from settings.base import found
from settings.environment import in_environment

in_environment("development", found)
DBCORE_AUTO_MIGRATE = True
