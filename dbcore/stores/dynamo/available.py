"""What the wire could not do, as every store says it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from dbcore.dynamo.reading import KeysUnread, is_missing
from dbcore.rights import in_words
from dbcore.stores.errors import StoreUnavailable


@contextmanager
def available() -> Iterator[None]:
    """Turns what the wire could not do, after its retries, into StoreUnavailable."""
    try:
        yield
    except ClientError as error:
        hint = ""
        if is_missing(error):
            hint = ": restore the table if it was deleted, else run `manage.py sync_tables`"
        raise StoreUnavailable(f"DynamoDB: {in_words(error)}{hint}") from error
    except KeysUnread as error:
        raise StoreUnavailable(f"DynamoDB: {error}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"DynamoDB is out of reach: {in_words(error)}") from error
