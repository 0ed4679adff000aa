"""Signed, pooled, retried, measured calls to DynamoDB: all that reaches it goes through here.

Nothing here knows a table. A call either returns what DynamoDB answered, checked against its
checksum, or raises the botocore exception that boto3 would have raised.
"""

from dbcore.addresses import Endpoint
from dbcore.wire.calls import Call, Hook
from dbcore.wire.client import HOOKS, Wire, close_wires, get_wire, open_connections
from dbcore.wire.endpoint import resolve_endpoint
from dbcore.wire.pipeline import Completion, Pipeline

__all__ = [
    "HOOKS",
    "Call",
    "Completion",
    "Endpoint",
    "Hook",
    "Pipeline",
    "Wire",
    "close_wires",
    "get_wire",
    "open_connections",
    "resolve_endpoint",
]
