"""The DynamoDB store."""

from dbcore.stores.dynamo.store import DynamoStore

__all__ = ["DynamoStore"]
