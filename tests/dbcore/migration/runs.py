"""Runs migrations, in this process or as `manage.py`, and looks at what they left with boto3 and
sqlite3 alone, so that no fault of the project can hide itself."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config

from tests.dbcore.migration.legacy_file import Undecodable, kept_id

ROOT = Path(__file__).resolve().parents[3]
TABLES = ("location_history", "users", "user_profiles", "user_sessions")
COUNTS = ("read", "written", "unchanged", "skipped", "dead_lettered", "missing", "different",
          "extra")  # fmt: skip


class _Exact(TypeDeserializer):
    def _deserialize_n(self, value: str) -> Decimal:
        return Decimal(value)  # boto3 refuses a number written out with more than 38 digits


def value(attribute: dict[str, Any]) -> Any:
    """An attribute's value, numbers as decimals."""
    return _Exact().deserialize(attribute)


@dataclass
class Tables:
    """What stands in DynamoDB under one prefix."""

    endpoint: str
    prefix: str

    @property
    def client(self) -> Any:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.endpoint,
            region_name="eu-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"max_attempts": 2}),
        )

    def scan(self, table: str) -> list[dict[str, Any]]:
        """Every item of a table, in DynamoDB's JSON, sorted."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.prefix + table, ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))

    def items(self, table: str, *key: str) -> dict[Any, dict[str, Any]]:
        """Every item of a table by its key, in plain values."""
        found = {}
        for item in self.scan(table):
            plain = {name: value(attribute) for name, attribute in item.items()}
            found[plain[key[0]] if len(key) == 1 else tuple(plain[k] for k in key)] = plain
        return found

    def everything(self, *tables: str) -> dict[str, list[dict[str, Any]]]:
        """Every item of the tables that a legacy file goes to, guards included."""
        return {table: self.scan(table) for table in tables or (*TABLES, "unique")}

    def names(self) -> list[str]:
        """The tables there are."""
        pages = self.client.get_paginator("list_tables").paginate()
        found = [name for page in pages for name in page["TableNames"]]
        return sorted(name for name in found if name.startswith(self.prefix))

    def guards(self) -> dict[str, str]:
        """Guard -> owner."""
        return {item["guard"]["S"]: item["owner"]["S"] for item in self.scan("unique")}

    def put(self, table: str, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.prefix + table, Item=item)

    def get(self, table: str, **key: str) -> dict[str, Any]:
        wanted = {name: {"S": text} for name, text in key.items()}
        answer = self.client.get_item(
            TableName=self.prefix + table, Key=wanted, ConsistentRead=True
        )
        return answer["Item"]

    def delete(self, table: str, **key: str) -> None:
        wanted = {name: {"S": text} for name, text in key.items()}
        self.client.delete_item(TableName=self.prefix + table, Key=wanted)

    def change(self, table: str, item: dict[str, Any], **attributes: Any) -> None:
        """Put an item again with these attributes changed."""
        self.put(table, item | attributes)


@dataclass
class Outcome:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Standard output, which must be JSON and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Project:
    """One Django database and one table prefix, and the processes that use them."""

    folder: Path
    endpoint: str
    prefix: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def books(self) -> Path:
        return self.folder / "books.sqlite3"

    @property
    def tables(self) -> Tables:
        return Tables(self.endpoint, self.prefix)

    def environment(self) -> dict[str, str]:
        """Development, on this project's databases."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DYNAMO", "DJANGO"))}
        return kept | {
            "DAYLIGHT_ENV": "development",
            "DAYLIGHT_ENV_FILE": os.devnull,
            "DATABASE_URL": f"sqlite:///{self.books}",
            "DYNAMODB_ENDPOINT": self.endpoint,
            "DYNAMODB_TABLE_PREFIX": self.prefix,
            "PYTHONWARNINGS": "ignore",
            **self.env,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`manage.py …` in this environment."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: str) -> Outcome:
        """The same, to its end."""
        return finish(self.start(*arguments))

    def migrate(self, file: Path | None = None, *options: str, json: bool = True) -> Outcome:
        """`migrate_to_dynamo`, its report as JSON."""
        return finish(self.start_migration(file, *options, json=json))

    def start_migration(
        self, file: Path | None = None, *options: str, json: bool = True
    ) -> subprocess.Popen[str]:
        source = ["--source", str(file)] if file is not None else []
        form = ["--format", "json"] if json else []
        return self.start("migrate_to_dynamo", *source, *form, *options)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A book-keeping table, read as any SQLite table; none where there is no table."""
        if not self.books.exists():
            return []
        with contextlib.closing(sqlite3.connect(self.books)) as books:
            books.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in books.execute(f"SELECT * FROM dbcore_{table}")]
            except sqlite3.OperationalError as error:
                assert "no such table" in str(error)
                return []

    def letters(self) -> list[tuple[str, str, str]]:
        """Open dead letters: table, key, reason."""
        return sorted(
            (row["source_table"], row["key"], row["reason"])
            for row in self.rows("deadletter")
            if row["resolved_at"] is None
        )


def finish(process: subprocess.Popen[str], seconds: float = 180) -> Outcome:
    """Wait for a process; kill it rather than hang."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end: {err}") from None
    return Outcome(process.returncode, out, err)


def line(report: dict[str, Any], source: str) -> dict[str, Any]:
    """The account of one source table."""
    (found,) = (each for each in report["tables"] if each["source"] == source)
    return found


def counts(report: dict[str, Any], source: str) -> dict[str, int]:
    """The columns of an account that are not zero."""
    found = line(report, source)
    return {name: found[name] for name in COUNTS if found[name]}


def assert_closes(report: dict[str, Any]) -> None:
    """Every row that was read is accounted for."""
    for each in report["tables"]:
        parts = ("written", "unchanged", "skipped", "dead_lettered")
        assert each["read"] == sum(each[part] for part in parts), each


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a dead letter keeps it."""
    return {
        name: kept_id(each) if name == "session_id" else _stored(each) for name, each in row.items()
    }


def _stored(each: Any) -> Any:
    if isinstance(each, Undecodable):
        return {"$text": base64.b64encode(each.raw).decode()}
    if isinstance(each, bytes):
        return {"$bytes": base64.b64encode(each).decode()}
    if isinstance(each, float) and each == float("inf"):
        return {"$real": "inf"}
    return int(each) if isinstance(each, bool) else each


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone afterwards, whatever happens."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
