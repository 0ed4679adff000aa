"""One interface, two stores: SQL through Django's ORM, DynamoDB through the wire."""
