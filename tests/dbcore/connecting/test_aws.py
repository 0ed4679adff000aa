"""AWS's services, as the engine, moto and a proxy before them answer: clocks that differ, rights
that are missing, credentials that have run out."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from dbcore.connecting import connect
from dbcore.dynamo.leases import lease_table
from dbcore.local_engine import LocalEngine
from dbcore.monitoring.health.results import Status
from dbcore.table_sync import sync_tables
from tests.dbcore.connecting.conftest import SECONDS, SOON, Ask, said
from tests.support.archives import S3, Bucket, aws_client, use_storage
from tests.support.proxy import (
    Answer,
    Call,
    ClockSkew,
    FaultProxy,
    Message,
    ServiceUnavailable,
    make_answer,
    make_error,
)

CORAL = "com.amazon.coral.service#"
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/web/i-0abc is not authorized to perform: "
    "dynamodb:GetItem on resource: x because no identity-based policy allows the dynamodb:GetItem "
    "action"
)


@dataclass(frozen=True)
class Dated:
    """A server whose clock is so many seconds ahead of ours, and that refuses nothing for it."""

    seconds: float

    def __call__(self, call: Call) -> Answer:
        answer = call.proceed().message
        assert answer is not None
        now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.seconds)
        date = f"\r\nDate: {format_datetime(now, usegmt=True)}".encode()
        lines = answer.head.split(b"\r\n")
        kept = b"\r\n".join(line for line in lines[1:] if not line.lower().startswith(b"date:"))
        return Answer(Message(lines[0] + date + b"\r\n" + kept, answer.body))


def denied(call: Call) -> Answer:
    """What IAM answers for DynamoDB."""
    return make_error(400, CORAL + "AccessDeniedException", DENIED)


# --- DynamoDB -------------------------------------------------------------------------------------
def test_dynamodb_is_asked_for_a_lease_and_changes_nothing(dynamodb: LocalEngine, ask: Ask) -> None:
    found = ask("dynamodb")
    assert found.status is Status.HEALTHY, said(found)
    assert f"there is no table {lease_table()} yet (`manage.py sync_tables`)" in found.answer
    sync_tables(tables=["leases"])
    assert ask("dynamodb").answer.startswith(f"GetItem on {lease_table()}: ")


def test_a_clock_ten_minutes_off_is_told_by_the_call_that_fails_for_it_and_by_its_own_line(
    dynamodb: LocalEngine, settings: Any
) -> None:
    with FaultProxy(dynamodb.endpoint, [ClockSkew(600)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found, clock = connect(SECONDS, ["dynamodb"])
    assert (found.status, clock.status) == (Status.CRITICAL, Status.CRITICAL)
    assert "AWS refuses what is signed by this machine's clock" in said(found)
    assert "seconds behind its own (InvalidSignatureException)" in said(found)
    assert "seconds behind that of dynamodb -> switch on NTP" in said(clock)
    assert found.skew is not None and -602 <= found.skew <= -598


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0, Status.HEALTHY), (58, Status.HEALTHY), (90, Status.WARNING), (-90, Status.WARNING),
     (310, Status.CRITICAL), (-310, Status.CRITICAL)],
)  # fmt: skip
def test_the_clock_is_a_warning_beyond_a_minute_and_critical_beyond_five(
    dynamodb: LocalEngine, settings: Any, ahead: float, status: Status
) -> None:
    with FaultProxy(dynamodb.endpoint, [Dated(ahead)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found, clock = connect(SECONDS, ["dynamodb"])
    assert (found.status, clock.status) == (Status.HEALTHY, status)
    way = {1: "seconds behind", -1: "seconds ahead"}
    assert status is Status.HEALTHY or way[1 if ahead > 0 else -1] in said(clock)


def test_a_role_without_rights_is_told_which_and_not_in_amazons_words(
    dynamodb: LocalEngine, settings: Any, ask: Ask
) -> None:
    with FaultProxy(dynamodb.endpoint, [denied]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        found = ask("dynamodb")
    assert found.status is Status.CRITICAL
    words = said(found)
    assert f"lack the right dynamodb:GetItem on {lease_table()}" in words
    assert "(because no identity-based policy allows)" in words
    assert "add it to the role's policy" in words
    assert "123456789012" not in words and "i-0abc" not in words


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (CORAL + "ExpiredTokenException", "the credentials have expired"),
        (CORAL + "UnrecognizedClientException", "AWS does not know this access key"),
        (CORAL + "InvalidSignatureException", "the secret key does not belong to the access key"),
        (CORAL + "SomethingNewException", "it refuses GetItem (SomethingNewException)"),
    ],
)
def test_other_refusals_are_told_by_what_they_mean(
    dynamodb: LocalEngine, settings: Any, ask: Ask, kind: str, what: str
) -> None:
    with FaultProxy(dynamodb.endpoint, [lambda call: make_error(400, kind, DENIED)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        words = said(ask("dynamodb"))
    assert what in words and "123456789012" not in words


def test_what_stands_in_between_is_not_taken_for_amazon(
    dynamodb: LocalEngine, settings: Any, ask: Ask
) -> None:
    page = b"<html>Blocked by \x1b[31mthe firewall</html>"
    for answer in (make_answer(403, page, {}), make_answer(200, page, {})):
        with FaultProxy(dynamodb.endpoint, [lambda call, answer=answer: answer]) as proxy:
            settings.DYNAMODB_ENDPOINT = proxy.endpoint
            found = ask("dynamodb")
        assert found.status is Status.CRITICAL and said(found).isprintable()
    with FaultProxy(dynamodb.endpoint, [ServiceUnavailable()]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        assert "trouble at AWS" in said(ask("dynamodb"))


def test_a_replica_is_asked_for_a_record_and_its_trouble_is_a_warning(
    dynamodb: LocalEngine, settings: Any
) -> None:
    sync_tables(tables=["users"])
    with FaultProxy(dynamodb.endpoint) as proxy:
        settings.DYNAMODB_REPLICA_REGIONS = [f"eu-west-1={proxy.endpoint}"]
        found = {each.name: each for each in connect(SECONDS, ["dynamodb"])}
        assert set(found) == {"dynamodb", "dynamodb:eu-west-1", "clock"}
        assert found["dynamodb:eu-west-1"].status is Status.HEALTHY
        assert found["dynamodb:eu-west-1"].facts["region"] == "eu-west-1"
        proxy.set_faults(denied)
        found = {each.name: each for each in connect(SECONDS, ["dynamodb:eu-west-1"])}
    assert found["dynamodb:eu-west-1"].status is Status.WARNING
    assert "lack the right dynamodb:GetItem" in said(found["dynamodb:eu-west-1"])


# --- The others -----------------------------------------------------------------------------------
def test_the_bucket_of_archives_is_asked_and_not_written(archive_bucket: Bucket, ask: Ask) -> None:
    found = ask("s3")
    assert found.status is Status.HEALTHY, said(found)
    assert found.answer.startswith("HeadBucket: ") and found.facts["about"] == archive_bucket.name
    assert archive_bucket.names() == []


def test_a_bucket_that_is_not_there_or_elsewhere_or_not_ours(
    archive_bucket: Bucket, settings: Any, ask: Ask
) -> None:
    def use(name: str, endpoint: str, region: str = "eu-central-1") -> str:
        use_storage(settings, S3, bucket_name=name, endpoint_url=endpoint, location="",
                    region_name=region)  # fmt: skip
        found = ask("s3")
        return f"{found.status}: {said(found)}"

    assert "there is no bucket gone" in use("gone", archive_bucket.endpoint)
    words = use(archive_bucket.name, archive_bucket.endpoint, "eu-west-1")
    assert words.startswith("warning") and "is in eu-central-1, and not in eu-west-1" in words
    refusing = make_answer(403, b"", {})
    with FaultProxy(archive_bucket.endpoint, [lambda call: refusing]) as proxy:
        words = use(archive_bucket.name, proxy.endpoint)
    assert words.startswith("critical")
    assert f"lack the right s3:ListBucket on {archive_bucket.name}" in words


@pytest.fixture
def topic(moto_engine: LocalEngine, settings: Any) -> str:
    sns = aws_client("sns", moto_engine.endpoint)
    arn: str = sns.create_topic(Name=f"alerts-{uuid.uuid4().hex[:8]}")["TopicArn"]
    settings.ALERT_SNS_TOPIC, settings.ALERT_SNS_ENDPOINT = arn, moto_engine.endpoint
    return arn


def xml_error(code: str) -> Answer:
    """A refusal in the form of AWS's older services."""
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{DENIED}"
    body += "</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    return make_answer(403, body.encode(), {"Content-Type": "text/xml"})


def test_the_topic_of_alerts_is_asked_and_lacking_the_right_to_ask_is_a_warning(
    topic: str, settings: Any, ask: Ask
) -> None:
    found = ask("sns")
    assert found.status is Status.HEALTHY, said(found)
    assert found.answer.startswith("GetTopicAttributes: ")
    with FaultProxy(settings.ALERT_SNS_ENDPOINT, [lambda c: xml_error("AuthorizationError")]) as p:
        settings.ALERT_SNS_ENDPOINT = p.endpoint
        found = ask("sns")
    assert found.status is Status.WARNING
    assert f"lack the right sns:GetTopicAttributes on {topic}" in said(found)
    assert "sns:Publish, which alerts need, may still be allowed" in said(found)


def test_a_topic_that_is_none_or_is_not_there_is_told(topic: str, settings: Any, ask: Ask) -> None:
    settings.ALERT_SNS_TOPIC = f"{topic}-gone"
    assert f"there is no topic {topic}-gone" in said(ask("sns"))
    settings.ALERT_SNS_TOPIC = "alerts"
    assert "ALERT_SNS_TOPIC must be a topic's" in said(ask("sns"))
    settings.ALERT_SNS_TOPIC = topic
    settings.ALERT_SNS_ENDPOINT = "http://sns.example"
    assert "plain HTTP is allowed for this machine only" in said(ask("sns"))


def test_cloudwatch_is_asked_for_its_list_and_lacking_that_right_is_a_warning(
    moto_engine: LocalEngine, settings: Any, ask: Ask
) -> None:
    settings.DB_CLOUDWATCH_ENDPOINT = moto_engine.endpoint
    found = ask("cloudwatch")
    assert found.status is Status.HEALTHY, said(found)
    assert found.answer.startswith("ListMetrics: ")
    with FaultProxy(moto_engine.endpoint, [denied]) as proxy:
        settings.DB_CLOUDWATCH_ENDPOINT = proxy.endpoint
        found = ask("cloudwatch")
    assert found.status is Status.WARNING
    assert "lack the right cloudwatch:ListMetrics on Daylight/Database" in said(found)
    assert "cloudwatch:PutMetricData, which alone is needed" in said(found)


# --- Credentials ----------------------------------------------------------------------------------
def test_sts_says_whose_the_credentials_are(
    moto_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_engine.endpoint)
    found = ask("sts")
    assert found.status is Status.HEALTHY, said(found)
    assert found.facts["account"] == "123456789012"
    assert found.facts["identity"].startswith("arn:aws:sts::123456789012:")
    assert found.answer.startswith("GetCallerIdentity: ")


def test_the_host_of_sts_is_that_of_the_region_and_its_trouble_is_a_warning(
    settings: Any, ask: Ask
) -> None:
    settings.DYNAMODB_REGION = "eu-nowhere-7"
    found = ask("sts")
    assert found.endpoint == "https://sts.eu-nowhere-7.amazonaws.com"
    assert found.status is Status.WARNING


def test_where_credentials_come_from_and_when_they_end(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, tmp_path: Path
) -> None:
    found = ask("credentials")
    assert found.facts == {
        "provider": "env, environment variables", "expires": "never: a long-lived key"
    }  # fmt: skip
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    found = ask("credentials")
    assert found.status is Status.WARNING and "nothing renews them" in said(found)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "sweeper")
    assert ask("credentials").status is Status.HEALTHY
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=40)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon.isoformat())
    found = ask("credentials")
    assert found.status is Status.WARNING
    assert "run out in 39 minutes" in said(found) or "run out in 40 minutes" in said(found)
    gone = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", gone.isoformat())
    assert "the credentials have expired" in said(ask("credentials"))


def test_credentials_whose_source_never_answers_are_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "never")  # whoever reads it waits for somebody to write
    config = f"[profile slow]\ncredential_process = cat {tmp_path / 'never'}\n"
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "slow")
    try:
        found = ask("credentials", SOON)
    finally:
        (tmp_path / "never").write_text("")
    assert found.status is Status.CRITICAL
    assert "the source of the credentials does not answer" in said(found)


def test_no_credentials_and_a_profile_that_is_none(
    monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    found = ask("credentials")
    assert found.status is Status.CRITICAL
    assert "there are no AWS credentials -> give the instance" in said(found)
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert "gone" in said(ask("credentials"))
    assert "see AWS_PROFILE" in said(ask("credentials"))
