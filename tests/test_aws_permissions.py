"""docs/aws-permissions.md is true: with the statements that it names for a role, and no right more,
everything works; what lacks one says which."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from daylight import database as d
from daylight import models
from daylight.models import Plan, User
from dbcore import aws
from dbcore.errors import ConfigurationError, DbcoreError
from dbcore.local_engine import LocalEngine
from dbcore.migration.options import MigrationOptions
from dbcore.migration.run import migrate
from dbcore.monitoring import cloudwatch
from dbcore.monitoring.alerts.channels import SendFailed
from dbcore.monitoring.alerts.channels.sns import Sns
from dbcore.monitoring.health import Status, run_checks
from dbcore.monitoring.health import archives as archive_check
from dbcore.monitoring.health.results import CheckResult
from dbcore.monitoring.reporter import Outbox
from dbcore.retention.archives import get_shelf
from dbcore.retention.erasure import erase_user
from dbcore.retention.export import export_user
from dbcore.retention.holds import lift_hold, place_hold, table_subject, user_subject
from dbcore.retention.keepers.choice import primary_keeper
from dbcore.retention.options import SweepOptions
from dbcore.retention.reconcile import reconcile
from dbcore.retention.restore import RestoreOptions, restore
from dbcore.retention.selection import of_archives
from dbcore.retention.sweep import enforce_retention
from dbcore.stores.errors import StoreUnavailable
from dbcore.table_sync import TableSyncError, sync_tables
from dbcore.wire import close_wires, get_wire
from tests.dbcore.monitoring.alerts.receivers import Topic
from tests.dbcore.monitoring.alerts.test_channels import message
from tests.dbcore.monitoring.test_cloudwatch import window
from tests.dbcore.retention.lives import archived, live
from tests.dbcore.retention.making import DAY, NOW, put
from tests.support.archives import Bucket, use_bucket
from tests.support.everything import serve
from tests.support.iam import ACCOUNT, Policy, but, policies
from tests.support.proxy import FaultProxy
from tests.support.tables import create, request_of, without_index

PAGE = Path(__file__).resolve().parents[1] / "docs" / "aws-permissions.md"
POLICIES = policies(PAGE.read_text())
APPLICATION, OPTIONAL = "The running application", "Optional for the running application"
SYNC, SYNC_OPTIONAL = "sync_tables", "Optional for sync_tables"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def statements(settings: Any) -> Callable[..., list[dict[str, Any]]]:
    """The page's statements below these headings, for the test's own tables and bucket."""

    def found(*headings: str, bucket: str = "") -> list[dict[str, Any]]:
        text = json.dumps([each for heading in headings for each in POLICIES[heading]])
        text = text.replace(":table/daylight-", f":table/{settings.DYNAMODB_TABLE_PREFIX}")
        return json.loads(text.replace(":::daylight-archives", f":::{bucket}"))

    return found


@contextmanager
def through(policy: Policy, engine: LocalEngine, settings: Any) -> Iterator[None]:
    """DynamoDB asks the policy first."""
    with FaultProxy(engine.endpoint, [policy]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        try:
            yield
        finally:
            close_wires()
            settings.DYNAMODB_ENDPOINT = engine.endpoint


@pytest.fixture
def site(dynamodb: LocalEngine, settings: Any, archive_dir: Path) -> LocalEngine:
    """DynamoDB is primary; a person has made its tables; some plans are due."""
    settings.DATABASE_PRIMARY, settings.RETENTION_LOOKBACK_DAYS = "dynamodb", 50
    settings.DB_HEALTH_DEADLINE = 10.0
    sync_tables()
    for _ in range(3):
        put(primary_keeper(), Plan, timezone.now() - 370 * DAY)
    return dynamodb


def unused(policy: Policy) -> set[str]:
    """Actions of the policy that nothing asked for."""
    named = {
        action
        for each in policy.statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    return named - {ask.action for ask in policy.asked}


def ended(command: str, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        call_command(command, *arguments, stdout=io.StringIO(), stderr=io.StringIO())
    return int(str(end.value.code))


def health() -> dict[str, CheckResult]:
    return {each.name: each for each in run_checks(now=timezone.now())}


def run_application() -> dict[str, CheckResult]:
    """All that the page promises; what the checks say."""
    d.initialize_database()
    found = health()
    serve()
    assert ended("migrate_to_dynamo", "--dry-run", "--quiet") == 0
    assert ended("enforce_retention", "--dry-run", "--quiet") == 0
    return found


# --- The page -------------------------------------------------------------------------------------
def test_each_statement_allows_and_has_a_name_of_its_own() -> None:
    every = [each for found in POLICIES.values() for each in found]
    assert len({each["Sid"] for each in every}) == len(every) > 10
    for each in every:
        assert each["Effect"] == "Allow" and re.fullmatch(r"[A-Za-z0-9]+", each["Sid"])
        assert each.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}


# --- The running application ----------------------------------------------------------------------
def test_the_application_works_with_its_rights_and_asks_for_each(
    site: LocalEngine, settings: Any, statements: Callable[..., Any]
) -> None:
    policy = Policy(statements(APPLICATION))
    with through(policy, site, settings):
        found = run_application()
    assert not [each for each in found.values() if each.status is Status.CRITICAL]
    optional = {action for each in POLICIES[OPTIONAL] for action in each["Action"]}
    assert policy.refused == optional
    said = found["expiry_and_backups"]
    assert said.status is Status.WARNING and "see docs/aws-permissions.md" in said.sentence
    assert all(right in said.sentence for right in optional)
    assert unused(policy) == set()


def test_with_the_optional_ones_nothing_is_refused(
    site: LocalEngine, settings: Any, statements: Callable[..., Any]
) -> None:
    policy = Policy(statements(APPLICATION, OPTIONAL))
    with through(policy, site, settings):
        assert run_application()["expiry_and_backups"].status is Status.HEALTHY
    assert (policy.refused, unused(policy)) == (set(), set())


@pytest.mark.parametrize("right", ["DescribeTimeToLive", "DescribeContinuousBackups"])
def test_one_optional_right_that_is_lacking_is_named_and_no_other(
    site: LocalEngine, settings: Any, right: str
) -> None:
    with through(but(f"dynamodb:{right}"), site, settings):
        said = health()["expiry_and_backups"]
    assert said.status is Status.WARNING
    assert re.findall(r"dynamodb:\w+", said.sentence) == [f"dynamodb:{right}"]


def query() -> None:
    d.planning_service.get_user_plans("ana")


REQUIRED: dict[str, Callable[[], object]] = {
    "DescribeTable": d.initialize_database,
    "GetItem": lambda: d.planning_service.get_plan_by_id("p", "ana"),
    "PutItem": lambda: d.planning_service.create_plan("ana", {"title": "Lake"}),
    "UpdateItem": lambda: d.planning_service.update_plan("p", "ana", {"title": "Lake"}),
    "DeleteItem": lambda: d.planning_service.delete_plan("p", "ana"),
    "Query": query,
}


@pytest.mark.parametrize("right", REQUIRED)
def test_a_required_right_that_is_lacking_is_named(
    site: LocalEngine, settings: Any, right: str
) -> None:
    d.planning_service.create_plan("ana", {"id": "p", "title": "Lake"})
    with through(but(f"dynamodb:{right}"), site, settings):
        with pytest.raises(DbcoreError) as refused:
            REQUIRED[right]()
        ill = [each.sentence for each in health().values() if each.status is Status.CRITICAL]
    kind = ConfigurationError if right == "DescribeTable" else StoreUnavailable
    assert isinstance(refused.value, kind)
    told = [str(refused.value), *(each for each in ill if "right" in each)]
    assert all(f"lacks the right dynamodb:{right}" in each for each in told)
    assert all("see docs/aws-permissions.md" in each and ACCOUNT not in each for each in told)
    if right in ("DescribeTable", "GetItem", "PutItem", "DeleteItem"):
        assert len(told) > 1, "health says so, too"


def test_a_dry_run_of_retention_names_what_it_lacks(site: LocalEngine, settings: Any) -> None:
    with through(but("dynamodb:BatchGetItem"), site, settings):
        report = enforce_retention(SweepOptions(dry_run=True))
    assert report.exit_code == 1
    (line,) = [each for each in report.as_json()["tables"] if each["error"]]
    assert "lacks the right dynamodb:BatchGetItem on table/" in line["error"]


# --- Retention and archives -----------------------------------------------------------------------
def test_retention_works_with_its_rights_and_asks_for_each(
    site: LocalEngine, archive_bucket: Bucket, settings: Any, statements: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archive_check, "_proven", {})
    policy = Policy(
        statements(
            APPLICATION, OPTIONAL, "Retention", "Archives", "Thawing", bucket=archive_bucket.name
        )
    )
    with FaultProxy(archive_bucket.endpoint, [policy]) as s3, through(policy, site, settings):
        use_bucket(settings, Bucket(archive_bucket.name, s3.endpoint, archive_bucket.s3))
        assert health()["archives"].status is Status.HEALTHY
        rows = [archived(primary_keeper(), model, {}) for model in (models.Plan, models.Location)]
        for _ in range(2):  # moto thaws at once: the first asks for it
            restore(of_archives([row.id for row in rows]), RestoreOptions(who="t", why="t"),
                    now=NOW)  # fmt: skip
        live(primary_keeper(), "ana")
        signed = {"who": "tests", "why": "a test"}
        for subject in (user_subject("ana"), table_subject("usage_analytics")):
            hold = place_hold(subject, **signed, until=None, now=timezone.now())
            lift_hold(hold.hold.id, **signed, now=timezone.now())
        export_user("ana", io.BytesIO(), **signed)
        assert erase_user("ana", **signed, pauses=(0, 0)).status == "completed"
        reconcile(get_shelf())
    assert (policy.refused, unused(policy)) == (set(), set())


@pytest.mark.parametrize("right", ["ListBucket", "GetObject", "PutObject", "DeleteObject"])
def test_a_right_to_the_archives_that_is_lacking_is_named(
    site: LocalEngine, archive_bucket: Bucket, settings: Any, right: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archive_check, "_proven", {})
    with FaultProxy(archive_bucket.endpoint, [but(f"s3:{right}")]) as s3:
        use_bucket(settings, Bucket(archive_bucket.name, s3.endpoint, archive_bucket.s3))
        said = health()["archives"]
        assert said.status is Status.CRITICAL
        assert f"lacks the right s3:{right}; see docs/aws-permissions.md" in said.sentence
        if right == "ListBucket":
            with pytest.raises(ConfigurationError, match=f"s3:{right}"):
                get_shelf().check()


# --- Migration ------------------------------------------------------------------------------------
def test_a_migration_works_with_its_rights_and_asks_for_each(
    site: LocalEngine, settings: Any, statements: Callable[..., Any]
) -> None:
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    Plan.objects.create(id="p", user_id="ana", title="Lake")
    for name in ("users", "plans", "unique"):
        _empty(f"{settings.DYNAMODB_TABLE_PREFIX}{name}")
    policy = Policy(statements(APPLICATION, "Migration"))
    with through(policy, site, settings):
        for _ in range(2):  # the second compares before it writes
            report = migrate(MigrationOptions())
            assert report.exit_code == 0, report.error
    assert policy.refused <= {f"dynamodb:{each}" for each in (
        "DescribeTimeToLive", "DescribeContinuousBackups", "ListTagsOfResource",
    )}  # fmt: skip
    assert {f"dynamodb:{each}" for each in ("BatchWriteItem", "Scan", "BatchGetItem")} <= {
        ask.action for ask in policy.asked
    }


def _empty(table: str) -> None:
    wire = get_wire()
    keys = [
        each["AttributeName"]
        for each in wire.call("DescribeTable", {"TableName": table})["Table"]["KeySchema"]
    ]
    for item in wire.call("Scan", {"TableName": table})["Items"]:
        wire.call("DeleteItem", {"TableName": table, "Key": {name: item[name] for name in keys}})


def test_a_migration_that_may_not_write_names_the_right(site: LocalEngine, settings: Any) -> None:
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    with through(but("dynamodb:PutItem"), site, settings):
        report = migrate(MigrationOptions(tables=("users",)))
    assert "lacks the right dynamodb:PutItem" in report.error and ACCOUNT not in report.error


# --- sync_tables ----------------------------------------------------------------------------------
@pytest.fixture
def new(moto_engine: LocalEngine, settings: Any) -> Iterator[LocalEngine]:
    """An engine that knows every operation, with one table that has to be mended."""
    settings.DYNAMODB_ENDPOINT = moto_engine.endpoint
    settings.DYNAMODB_TABLE_PREFIX = f"p{abs(hash(timezone.now()))}-"
    create(without_index(request_of(User), "DueDayIndex"))
    yield moto_engine
    close_wires()


def protected(table: str) -> tuple[str, str]:
    """Whether records of a table expire, and whether it could be brought back to yesterday."""
    wire, name = get_wire(), {"TableName": table}
    ttl = wire.call("DescribeTimeToLive", name)["TimeToLiveDescription"]
    kept = wire.call("DescribeContinuousBackups", name)["ContinuousBackupsDescription"]
    recovery = kept["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return ttl["TimeToLiveStatus"], recovery


def test_sync_tables_works_with_its_rights_and_asks_for_each(
    new: LocalEngine, settings: Any, statements: Callable[..., Any]
) -> None:
    policy = Policy(statements(SYNC))
    out = io.StringIO()
    with through(policy, new, settings):
        call_command("sync_tables", stdout=out)
    every = copy.deepcopy(POLICIES[SYNC_OPTIONAL])
    for right in policy.refused:
        assert f"lacks the right {right}" in out.getvalue() or right.endswith("ListTables")
    assert policy.refused == {
        action
        for each in every
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert protected(f"{settings.DYNAMODB_TABLE_PREFIX}user_sessions") == ("ENABLED", "ENABLED")
    assert "not looked for: this process lacks the right dynamodb:ListTables" in out.getvalue()
    assert unused(policy) == set()
    whole = Policy(statements(SYNC, SYNC_OPTIONAL))
    with through(whole, new, settings):
        report = sync_tables()
    assert (whole.refused, report.differences, report.notes) == (set(), (), ())


def test_sync_tables_without_a_right_names_it(new: LocalEngine, settings: Any) -> None:
    with through(but("dynamodb:CreateTable"), new, settings):
        with pytest.raises(TableSyncError, match="lacks the right dynamodb:CreateTable"):
            sync_tables()
        with pytest.raises(CommandError, match="tables failed"):
            call_command("sync_tables", stdout=io.StringIO())


# --- Monitoring -----------------------------------------------------------------------------------
@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


def test_cloudwatch_that_refuses_is_told_of_by_its_right(
    credentials: None, moto_engine: LocalEngine, settings: Any, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    allowed = Policy(POLICIES["Monitoring"])
    for policy in (allowed, but("cloudwatch:PutMetricData")):
        outbox = Outbox("cloudwatch", cloudwatch.Sender().send)
        with FaultProxy(moto_engine.endpoint, [policy]) as proxy:
            settings.DB_CLOUDWATCH_ENDPOINT = proxy.endpoint
            outbox.add(window())
            outbox.send_all()
        assert len(outbox) == (policy is not allowed)
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "cannot be written" in each]
    assert "lacks the right cloudwatch:PutMetricData; see docs/aws-permissions.md" in line
    assert ACCOUNT not in line


def test_a_topic_that_refuses_is_told_of_by_its_right(
    credentials: None, moto_engine: LocalEngine
) -> None:
    topic = Topic(moto_engine)
    (statement,) = [each for each in POLICIES["Monitoring"] if each["Action"] == "sns:Publish"]
    allowed = Policy([{**statement, "Resource": topic.arn}])
    with FaultProxy(moto_engine.endpoint, [allowed]) as proxy:
        assert "MessageId" in Sns(topic.arn, proxy.endpoint).send(message())
    refusing = FaultProxy(moto_engine.endpoint, [but("sns:Publish")])
    with refusing as proxy, pytest.raises(SendFailed) as refused:
        Sns(topic.arn, proxy.endpoint).send(message())
    assert str(refused.value) == "SNS: lacks the right sns:Publish; see docs/aws-permissions.md"
