"""What tests of the tables need: a wire that can be scripted, and tables that are not right."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pytest_django import Settings

from dbcore.addresses import parse_endpoint
from dbcore.items import layout_of
from dbcore.local_engine import LocalEngine
from dbcore.schema import create_table_request, wanted_tables
from dbcore.table_sync import SyncReport, TableReport
from dbcore.wire import Wire, close_wires, get_wire

Request = dict[str, Any]
READING = ("Describe", "List")


@pytest.fixture(name="moto")
def moto_tables(moto_engine: LocalEngine, settings: Settings) -> Iterator[LocalEngine]:
    """The engine that knows point-in-time recovery."""
    settings.DYNAMODB_ENDPOINT = moto_engine.endpoint
    settings.DYNAMODB_TABLE_PREFIX = f"t{uuid.uuid4().hex[:8]}-"
    yield moto_engine
    close_wires()


class Recorder:
    """The wire, with every call written down, and answered by `script` where that has one."""

    def __init__(self, script: Callable[[str, Request], Any] = lambda *_: None) -> None:
        self.calls: list[tuple[str, Request]] = []
        self._script = script
        self._lock = threading.Lock()

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append((operation, dict(payload)))
            answer = self._script(operation, dict(payload))
        if isinstance(answer, BaseException):
            raise answer
        return get_wire().call(operation, payload) if answer is None else answer

    @property
    def writes(self) -> list[str]:
        return [operation for operation, _ in self.calls if not operation.startswith(READING)]


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")  # type: ignore[arg-type]


def refuses(operation: str, code: str, times: int) -> Callable[[str, Request], Any]:
    """A script that refuses an operation so many times."""
    left = [times]

    def script(called: str, _: Request) -> Any:
        if called != operation or left[0] == 0:
            return None
        left[0] -= 1
        return refusal(code)

    return script


def request_of(model: Any) -> Request:
    return copy.deepcopy(create_table_request(layout_of(model)))


def create(request: Request) -> None:
    get_wire().call("CreateTable", request)


def describe(name: str) -> Request:
    table: Request = get_wire().call("DescribeTable", {"TableName": name})["Table"]
    return table


def without_index(request: Request, name: str) -> Request:
    """The request for the same table without one of its indexes."""
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        kept = [each for each in request.pop(kind, []) if each["IndexName"] != name]
        if kept:
            request[kind] = kept
    indexes = request.get("LocalSecondaryIndexes", []) + request.get("GlobalSecondaryIndexes", [])
    keys = {key["AttributeName"] for each in (request, *indexes) for key in each["KeySchema"]}
    definitions = request["AttributeDefinitions"]
    request["AttributeDefinitions"] = [
        each for each in definitions if each["AttributeName"] in keys
    ]
    return request


def report_on(report: SyncReport, model: Any) -> TableReport:
    (found,) = (each for each in report.tables if each.name == layout_of(model).table_name)
    return found


def shapes(description: Request) -> Any:
    """What CreateTable asks for and DescribeTable tells, in one form."""
    kinds = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
    fields = ("IndexName", "KeySchema", "Projection")
    indexes = [
        [{field: index[field] for field in fields} for index in description.get(kind, [])]
        for kind in kinds
    ]
    definitions = {
        each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]
    }
    return description["KeySchema"], indexes, definitions, description["DeletionProtectionEnabled"]


def assert_as_wanted() -> None:
    for wanted in wanted_tables():
        table = describe(wanted.name)
        assert table["TableStatus"] == "ACTIVE"
        assert shapes(table) == shapes(wanted.request)
        assert table["SSEDescription"]["SSEType"] == "KMS"
        ttl = get_wire().call("DescribeTimeToLive", {"TableName": wanted.name})
        assert ttl["TimeToLiveDescription"].get("AttributeName") == wanted.ttl_attribute


def drop_tables(engine: LocalEngine, prefix: str) -> None:
    """Delete a test's tables: dynoxide makes one the slower, the more it has."""
    with closing(Wire(parse_endpoint(engine.endpoint), "eu-central-1")) as wire:
        last = prefix
        while names := wire.call("ListTables", {"ExclusiveStartTableName": last})["TableNames"]:
            for last in names:
                if not last.startswith(prefix):
                    return
                with suppress(ClientError):  # protected from deletion: that was the test
                    wire.call("DeleteTable", {"TableName": last})
