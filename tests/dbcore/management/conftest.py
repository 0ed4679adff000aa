"""What tests of commands share with those of retention: stores with records in them."""

from tests.dbcore.retention.conftest import in_dynamodb, in_sqlite, primary

__all__ = ["in_dynamodb", "in_sqlite", "primary"]
