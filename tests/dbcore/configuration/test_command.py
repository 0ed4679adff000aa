"""`manage.py configuration` shows what is in force and where it came from, and no secret."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from dbcore.configuration import read
from dbcore.monitoring.configured import NAMES_HINT, log_notices, refuse_wrong
from settings.variables import ALL
from tests.settings.complete import COMPLETE

SECRETS = ("hunter2", "kX3-9fQ", "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY")
GIVEN = {
    **COMPLETE,
    "SENTRY_DSN": "https://hunter2@sentry.internal/1",
    "ALERT_SLACK_WEBHOOK": "https://hooks.slack.com/services/hunter2",
    "ALERT_PAGERDUTY_KEY": "hunter2hunter2hunter2",
    "METRICS_TOKEN": "hunter2hunter2hunter2",
    "EMAIL_URL": "smtp+tls://me:hunter2@mail.internal:587",
    "DATABASE_REPLICA_URLS": "postgres://u:hunter2@r1.internal/d,postgres://u:hunter2@r2.internal/d",
    "DJANGO_SECRET_KEY_FALLBACKS": "hunter2" * 8,
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "AWS_CA_BUNDLE": "/etc/ca.pem",
    "MONGODB_URI": "mongodb://u:hunter2@m.internal",
    "DB_FOO": "hunter2",
    "DYNAMODB_READ_TIMEOUT": '" 10 "',
}


@pytest.fixture
def given(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile ours]\nregion = us-east-1\nrole_arn = arn\nca_bundle = /ca.pem\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "ours")
    origins = {"DYNAMODB_READ_TIMEOUT": ".env"}
    settings.DBCORE_CONFIGURATION = read(
        ALL, "production", {**GIVEN, "DYNAMODB_READ_TIMEOUT": "10"}, origins=origins
    )


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_it_shows_each_value_with_its_origin_and_no_secret(
    given: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("configuration")
    said = capsys.readouterr().out
    assert not [secret for secret in SECRETS if secret in said]
    for line in (
        "DATABASE_URL postgres://***@db.daylight.internal:5432/daylight environment",
        "DYNAMODB_READ_TIMEOUT 10 .env",
        "DB_ERROR_THRESHOLD 0.05 default",
        "ARCHIVE_ENCRYPTION_KEYS k2026:*** environment",
        "ALERT_SLACK_WEBHOOK https://hooks.slack.com/*** environment",
        "DJANGO_SECRET_KEY *** environment",
        "AWS_CA_BUNDLE environment but for DynamoDB SSL_CERT_FILE counts for it",
        "region profile ours no DYNAMODB_REGION, AWS_REGION or AWS_DEFAULT_REGION says the region",
        "role_arn profile ours yes",
    ):
        assert line in lines(said), line
    assert "note: MONGODB_URI (environment) is not read: MongoDB is no store" in said


def test_as_json_it_is_one_document_and_has_no_secret_either(
    given: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("configuration", "--format", "json")
    said = capsys.readouterr().out
    assert not [secret for secret in SECRETS if secret in said]
    assert said.count("\n") == 1
    found = json.loads(said)
    assert [each["name"] for each in found["variables"]] == [each.name for each in ALL.variables]
    assert {each["name"] for each in found["notices"]} == {"DB_FOO", "MONGODB_URI"}


def test_some_can_be_asked_for(given: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("configuration", "DYNAMODB_R", "--set")
    said = capsys.readouterr().out
    assert "DYNAMODB_REGION" in said and "DYNAMODB_READ_TIMEOUT" in said
    assert "DYNAMODB_REPLICA_REGIONS" not in said and "DATABASE_URL" not in said
    with pytest.raises(CommandError, match="there is no variable FOO"):
        call_command("configuration", "FOO")


def test_settings_that_were_made_in_another_way_are_no_guess(settings: Any) -> None:
    settings.DBCORE_CONFIGURATION = None
    with pytest.raises(CommandError, match="nobody knows where they come from"):
        call_command("configuration")


def test_names_that_do_nothing_are_one_warning_of_every_command(given: None) -> None:
    (warning,) = [each for each in run_checks() if each.id == "dbcore.W001"]
    assert "DB_FOO (environment) is no variable" in warning.msg
    assert "MONGODB_URI (environment) is not read" in warning.msg
    assert warning.hint == NAMES_HINT


def test_and_a_line_each_in_the_log_of_a_server(
    given: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        log_notices()
    assert [each.getMessage() for each in caplog.records] == ["a variable is not as it seems"] * 2
    assert "hunter2" not in caplog.text


def test_without_a_configuration_there_is_nothing_to_warn_of(settings: Any) -> None:
    settings.DBCORE_CONFIGURATION = None
    log_notices()
    assert not [each for each in run_checks() if each.id == "dbcore.W001"]


def test_what_only_the_models_can_judge_is_refused_at_once_too(settings: Any) -> None:
    settings.RETENTION_DAYS = {"planes": 400}
    settings.DB_ALERT_RULES = {"high_latncy": None}
    with pytest.raises(ImproperlyConfigured) as refused:
        refuse_wrong()
    assert "RETENTION_DAYS: planes=400: there is no such table; there are" in str(refused.value)
    assert "'high_latncy', which is no rule" in str(refused.value)
