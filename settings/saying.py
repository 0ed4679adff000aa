"""The line that a person at a terminal reads before a command works in production."""

from __future__ import annotations

import sys

from settings.environment import configuration, start


def say_where() -> None:
    """Say it, on standard error: which environment, which stores."""
    found = configuration()
    if found.environment != "production" or not sys.stderr.isatty():
        return
    tables = f"{found['DYNAMODB_TABLE_PREFIX']}*"
    place = found["DYNAMODB_ENDPOINT"] or "AWS"
    sys.stderr.write(
        f"PRODUCTION ({start().said}): {found['DATABASE_PRIMARY']} serves; "
        f"DynamoDB {place} {found['DYNAMODB_REGION']} {tables}; "
        f"{found.values['DATABASE_URL'].shown}\n"
    )
