"""What production's log has of a migration and a sweep, as real processes write it to standard
error: JSON lines alone, each with the run's id, and nobody's data."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from tests.dbcore.migration.legacy_file import NOW, Legacy, build, iso
from tests.dbcore.migration.runs import Outcome, Project
from tests.dbcore.monitoring.events import STANDARD, declared, fields
from tests.support.proxy import FaultProxy, Throttle

# In one worker: they look at the same processes' output.
pytestmark = pytest.mark.xdist_group("logs_of_runs")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# Users, records, what is kept of them, and secrets of the settings.
PLANTED = re.compile(
    rb"(?i)example\.org|person|user-\d|place-0|session-0|bad-|Lovelace|\$2b\$|planted"
)
SECRETS = {"METRICS_TOKEN": "planted-metrics-token", "DJANGO_SECRET_KEY": "planted" * 8}
LOOK_BACK = 30  # days: a sweep of DynamoDB asks for each
OLD = iso(NOW - dt.timedelta(days=2555 + LOOK_BACK / 2))


@dataclass
class Written:
    """What a process wrote."""

    outcome: Outcome

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.outcome.err.splitlines()]

    def told(self, message: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines with this text and fields."""
        return [
            line for line in self.lines
            if line["message"] == message and fields.items() <= line.items()
        ]  # fmt: skip


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Legacy:
    """A file with bad rows, and a user who is gone long since."""
    made = build(tmp_path_factory.mktemp("logs") / "legacy.sqlite3", places=12, history=12)
    made.execute(
        "UPDATE users SET created_at = ?, updated_at = ?, last_login_at = NULL WHERE id = 'user-3'",
        OLD, OLD,
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, dynamodb_engine: LocalEngine
) -> Iterator[Project]:
    """Processes that log as in production; DynamoDB throttles them now and then."""
    folder: Path = tmp_path_factory.mktemp("project")
    with FaultProxy(dynamodb_engine.endpoint) as proxy:
        proxy.set_faults(Throttle(1.0, times=2, operations=("BatchWriteItem",)))
        yield Project(
            folder, proxy.endpoint, f"l{uuid.uuid4().hex[:8]}-",
            {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "DJANGO_DEBUG": "false",
             "DB_LATENCY_THRESHOLD": "0", "RETENTION_LOOKBACK_DAYS": str(LOOK_BACK),
             "ARCHIVE_DIR": str(folder / "archives"), **SECRETS},
        )  # fmt: skip


@pytest.fixture(scope="module")
def migrated(project: Project, legacy: Legacy) -> Written:
    written = Written(project.migrate(legacy.path))
    assert written.outcome.code == 3, written.outcome.err
    return written


@pytest.fixture(scope="module")
def synced(project: Project, migrated: Written) -> Written:
    """All other tables are made."""
    written = Written(project.run("sync_tables", "--format", "json"))
    assert written.outcome.code == 0, written.outcome.err
    return written


@pytest.fixture(scope="module")
def swept(project: Project, synced: Written) -> Written:
    written = Written(
        project.run("enforce_retention", "--store", "dynamodb", "--accept-large-sweep",
                    "--no-input", "--format", "json")
    )  # fmt: skip
    assert written.outcome.code == 0, written.outcome.err
    return written


def assert_lines(written: Written, run: str, run_id: str, *, words: bool = False) -> None:
    """Each line is JSON of the declared form and has the run's id; nobody's data is in any. Nothing
    had to be masked, unless there are `words` of an error."""
    events = declared()
    for line in written.lines:
        assert (line["run"], line["run_id"]) == (run, run_id), line
        assert TIME.fullmatch(line["timestamp"]), line
        if line["logger"].startswith("django.db.backends"):
            assert line.keys() <= STANDARD | {"db.query.text", "duration"}, line
            continue
        event = events[line["logger"], line["message"]]
        assert line.keys() <= STANDARD | fields(event), line
        assert words or "***" not in str(line), "what is masked was not to be logged at all"
    assert not PLANTED.search(written.outcome.err.encode())


def test_a_migration_is_followed_from_its_begin_to_its_end(migrated: Written) -> None:
    report = migrated.outcome.report
    assert_lines(migrated, "migrate_to_dynamo", report["run"])
    own = [line for line in migrated.lines if line["logger"] == "dbcore.migration"]
    begun, ended = own[0], own[-1]
    assert begun["message"] == "migration begun" and begun["dry_run"] is False
    assert ended["message"] == "migration ended" and ended["level"] == "warning"
    assert ended["status"] == "completed_with_dead_letters" and ended["verified"] is True
    assert ended["read"] == sum(table["read"] for table in report["tables"])
    assert 0 < ended["duration"] == pytest.approx(report["seconds"], abs=0.01)
    for table in report["tables"]:
        at = {"source_table": table["source"], "db.collection.name": table["table"]}
        (copied,) = migrated.told("table copy ended", **at)
        assert copied["written"] == table["written"]
        assert migrated.told("table copy begun", **at, total=table["read"], done=0)
        assert migrated.told("table verified", **at, rows=table["read"], missing=0)
    assert [line["level"] for line in migrated.told("verification ended")] == ["info"]
    stages = [line["stage"] for line in migrated.told("stage begun")]
    assert [stage.split()[0] for stage in stages] == ["Copying", "Verifying:"]


def test_dead_letters_are_counted_by_reason_without_their_values(
    migrated: Written, legacy: Legacy
) -> None:
    lines = {line["source_table"]: line for line in migrated.told("dead letters")}
    assert lines.keys() == {bad.table for bad in legacy.bad}
    assert {line["level"] for line in lines.values()} == {"warning"}
    assert sum(line["count"] for line in lines.values()) == len(legacy.bad)
    assert {"reason": "metadata has a number beyond # digits", "count": 2} in (
        lines["location_history"]["reasons"]
    )
    assert {"reason": "email belongs to another user", "count": 1} in lines["users"]["reasons"]
    assert "1E+400" not in migrated.outcome.err


def test_slow_queries_and_retries_are_there_by_table_and_shape(migrated: Written) -> None:
    slow = migrated.told("slow query")
    assert {line["level"] for line in slow} == {"warning"}
    written = [line for line in slow if line["db.operation.name"] == "BatchWriteItem"]
    assert {line["db.system.name"] for line in written} == {"aws.dynamodb"}
    assert "location_history" in {line["db.collection.name"] for line in written}
    (shape, *_) = [
        line["db.query.text"] for line in slow
        if line["db.collection.name"] == "dbcore_deadletter"
        and line["db.operation.name"] == "INSERT"
    ]  # fmt: skip
    assert "VALUES (? …)" in shape and "users" not in shape
    retried = migrated.told("call tried again", level="debug")
    assert {line["error.type"] for line in retried} == {"ProvisionedThroughputExceededException"}


def test_tables_that_are_made_are_told_of_with_the_commands_id(synced: Written) -> None:
    run_id = synced.lines[0]["run_id"]
    assert_lines(synced, "sync_tables", run_id)
    changes = [table for table in synced.outcome.report["tables"] if table["actions"]]
    made = synced.told("table changed", change="create the table")
    assert {line["aws.dynamodb.table_names"] for line in made} == {one["name"] for one in changes}
    (ended,) = synced.told("tables compared", level="info")
    assert ended["changed"] == sum(len(table["actions"]) for table in changes) > 0


def test_a_sweep_tells_what_it_archived_proved_and_deleted(swept: Written) -> None:
    report = swept.outcome.report
    assert_lines(swept, "enforce_retention", report["sweep"])
    (archive,) = next(line for line in report["tables"] if line["table"] == "users")["archives"]
    (proven,) = swept.told("archive proven")
    assert (proven["archive"], proven["count"]) == (archive, 1)
    (users,) = swept.told("table swept", **{"db.collection.name": "users"})
    assert (users["due"], users["archived"], users["deleted"], users["tier"]) == (1, 1, 1, "cold")
    assert len(swept.told("table swept")) == len(report["tables"])
    (ended,) = swept.told("sweep ended")
    assert (ended["level"], ended["status"]) == ("info", "completed")
    assert ended["deleted"] == report["totals"]["deleted"] > 0
    begun = dt.datetime.fromisoformat(swept.told("sweep begun")[0]["timestamp"])
    assert begun <= dt.datetime.fromisoformat(ended["timestamp"])


def test_a_run_that_fails_says_why_and_names_no_record(project: Project, migrated: Written) -> None:
    failed = Written(project.migrate(project.folder / "none.sqlite3"))
    assert failed.outcome.code == 1
    assert_lines(failed, "migrate_to_dynamo", failed.outcome.report["run"], words=True)
    (ended,) = failed.told("migration ended", level="error", status="failed")
    assert ended["error.type"] == "SourceError"
    assert "does not exist" in ended["error.message"]
    named = Written(project.run("restore_archive", "--user", "user-2", "--why", "planted"))
    assert (named.outcome.code, named.outcome.out) == (1, "")
    assert not PLANTED.search(named.outcome.err.encode())
    (begun,) = named.told("restore begun", selected="archives of one user")
    assert named.told("restore ended", level="error", **{"error.type": "RetentionError"})
    assert named.lines[-1]["message"] == "a command failed" and "text" not in named.lines[-1]
    assert {line["run_id"] for line in named.lines} == {begun["run_id"]}


def test_a_crash_is_one_line_without_the_words_of_the_error(project: Project) -> None:
    code = "raise LookupError('planted-secret of user-1 <ana@example.org>')"
    crashed = Written(project.run("shell", "--no-imports", "-c", code))
    assert crashed.outcome.code == 1
    (line,) = crashed.told("process crashed")
    assert line["level"] == "critical" and line["exception.type"] == "LookupError"
    assert 'File "<string>", line 1' in line["exception.stacktrace"]
    assert not PLANTED.search(crashed.outcome.err.encode())


def test_in_development_the_log_is_readable_and_has_the_same(
    project: Project, legacy: Legacy, migrated: Written
) -> None:
    env = {"LOG_FORMAT": "text", "DJANGO_DEBUG": "true"}
    read = Project(project.folder, project.endpoint, project.prefix, env)
    done = read.migrate(legacy.path)
    assert done.code == 3
    run_id = done.report["run"]
    assert re.search(rf"Z \[info +\] migration begun .*run_id={run_id}$", done.err, re.MULTILINE)
    assert re.search(r"\[warning +\] dead letters .*count=\d", done.err)
    assert "{" not in done.err.splitlines()[0]
    quiet = read.migrate(legacy.path, "--quiet")
    assert (quiet.code, quiet.err) == (3, ""), "what the report says is not said twice"
