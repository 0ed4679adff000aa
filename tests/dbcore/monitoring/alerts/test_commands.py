"""`monitor` and `send_test_alert`, as a person or a cron job calls them."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dbcore.monitoring import health
from dbcore.monitoring.alerts.books import SqlBooks
from dbcore.monitoring.alerts.deliveries import Progress
from dbcore.monitoring.health import run_checks
from dbcore.monitoring.health.results import CheckResult, Status
from tests.dbcore.monitoring.alerts.booked import failed
from tests.dbcore.monitoring.alerts.judged import START, check
from tests.dbcore.monitoring.alerts.receivers import (
    ROUTING_KEY,
    SLACK_SECRET,
    Answer,
    MailServer,
    Receivers,
)
from tests.support.databases import default_database


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> dict[str, Status]:
    """What the health checks say, by name."""
    said: dict[str, Status] = {}

    def run_checks(names: Any = None, *, now: dt.datetime) -> list[CheckResult]:
        return [check(name, status) for name, status in said.items()]

    monkeypatch.setattr(health, "run_checks", run_checks)
    return said


def monitor_once(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("monitor", "--once", *arguments, stdout=out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("status", "code"), [("healthy", 0), ("warning", 1), ("critical", 2)])
def test_once_ends_with_the_status(
    no_channels: None, statuses: dict[str, Status], status: str, code: int
) -> None:
    statuses["disk"] = Status(status)
    found, out = monitor_once()
    assert found == code
    assert f"{status}: 1 check" in out


@pytest.mark.django_db(transaction=True)
def test_cron_tells_the_start_and_the_end_as_the_loop_does(
    all_channels: Receivers, statuses: dict[str, Status]
) -> None:
    for status in ("healthy", "critical", "critical", "healthy", "healthy"):
        statuses["disk"] = Status(status)
        monitor_once()
    assert all_channels.all_have([("started", "disk"), ("ended", "disk")])


@pytest.mark.django_db(transaction=True)
def test_cron_on_two_hosts_that_see_different_things_does_not_flap(
    no_channels: None, statuses: dict[str, Status], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    began = timezone.now()
    for minute in range(6):
        # One host's job is quicker than the other's, and which one is changes.
        looks = sorted([(minute % 2, "web-1", "critical"), (0.5, "web-2", "healthy")])
        for delay, host, status in looks:
            moment = began + dt.timedelta(minutes=minute, seconds=delay)
            monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
            monkeypatch.setattr("platform.node", lambda host=host: host)
            statuses["archives"] = Status(status)
            told += json.loads(monitor_once("--format", "json")[1])["told"]
    assert [each["event"] for each in told] == ["started"]


@pytest.mark.django_db(transaction=True)
def test_json_has_checks_alerts_and_what_was_sent(
    all_channels: Receivers, statuses: dict[str, Status]
) -> None:
    statuses["disk"] = Status.CRITICAL
    code, out = monitor_once("--format", "json")
    found = json.loads(out)
    assert (code, found["status"], found["on_memory"]) == (2, "critical", False)
    assert found["checks"][0]["name"] == "disk"
    (alert,) = found["alerts"]
    assert (alert["rule"], alert["subject"], alert["phase"]) == (
        "unhealthy_check", "disk", "firing",
    )  # fmt: skip
    assert [each["event"] for each in found["told"]] == ["started"]
    assert {each["channel"]: each["delivered"] for each in found["sent"]} == dict.fromkeys(
        ("email", "slack", "pagerduty", "sns"), True
    )
    assert SLACK_SECRET not in out and ROUTING_KEY not in out


@pytest.mark.django_db(transaction=True)
def test_alerts_that_are_switched_off_are_judged_and_not_sent(
    all_channels: Receivers, statuses: dict[str, Status], settings: Any
) -> None:
    settings.DB_ALERTS_ENABLED = False
    statuses["disk"] = Status.CRITICAL
    code, out = monitor_once()
    assert code == 2 and "unhealthy check: disk" in out
    assert all_channels.all_have([])


@pytest.mark.django_db(transaction=True)
def test_wrong_settings_are_refused_in_words(
    no_channels: None, statuses: dict[str, Status], settings: Any
) -> None:
    settings.DB_ALERT_RULES = '{"high_latency": {"threshold": "much"}}'
    with pytest.raises(CommandError, match="threshold of rule 'high_latency' is 'much'"):
        call_command("monitor", "--once")


@pytest.mark.parametrize("interval", ["0", "-1", "soon", "nan", "1e9"])
def test_an_interval_must_be_a_time(interval: str) -> None:
    with pytest.raises(CommandError, match="number of seconds"):
        call_command("monitor", f"--interval={interval}")


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_is_wrongly_configured_is_told_of_through_the_others(
    no_channels: None, mail_server: MailServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.port
    settings.ALERT_EMAIL = ["oncall@daylight.example"]
    settings.ALERT_SLACK_WEBHOOK = f"http://hooks.slack.com/services/{SLACK_SECRET}"
    settings.DB_ALERT_RULES = '{"unhealthy_check": {"for_seconds": 0}}'
    monkeypatch.setattr(health, "run_checks", lambda now: run_checks(["alert_channels"], now=now))
    code, _ = monitor_once()
    assert code == 1
    assert mail_server.events() == [("started", "alert_channels")]
    assert (
        "ALERT_SLACK_WEBHOOK for 'hooks.slack.com': http is plain"
        in mail_server.mails[0].get_content()
    )
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 channels"):
        call_command("send_test_alert", stdout=out)
    assert "email: sent" in out.getvalue()
    assert "slack: FAILED; ALERT_SLACK_WEBHOOK for" in out.getvalue()
    assert SLACK_SECRET not in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_test_goes_through_every_channel_and_says_what_was_answered(
    all_channels: Receivers, settings: Any
) -> None:
    settings.DB_ALERTS_ENABLED = False  # the channels can be tried before alerts are switched on
    out, err = io.StringIO(), io.StringIO()
    call_command("send_test_alert", stdout=out, stderr=err)
    lines = dict(line.split(": ", 1) for line in out.getvalue().splitlines())
    assert sorted(lines) == ["email", "pagerduty", "slack", "sns"]
    assert lines["slack"] == "sent; 200 ok"
    assert "202" in lines["pagerduty"] and "MessageId" in lines["sns"]
    assert "took it for 1 recipient" in lines["email"]
    assert "DB_ALERTS_ENABLED is false" in err.getvalue()
    assert all_channels.mail.mails[0]["Subject"] == "[TEST] daylight-test: test"
    assert [each["event_action"] for each in all_channels.hooks.pagerduty] == [
        "trigger", "resolve",
    ]  # fmt: skip
    assert all_channels.hooks.wrong == []


@pytest.mark.django_db(transaction=True)
def test_a_test_that_is_taken_ends_the_alert_that_the_channel_fails(
    all_channels: Receivers,
) -> None:
    books = SqlBooks()
    an_hour_ago = (timezone.now() - START).total_seconds() - 3600
    books.note(
        failed(name, an_hour_ago, 150, state=Progress.GIVEN_UP) for name in ("slack", "email")
    )
    all_channels.mail.refusals.append("550 no")
    with pytest.raises(CommandError, match="1 of 2 channels"):
        call_command("send_test_alert", "--channel=slack", "--channel=email", stdout=io.StringIO())
    assert books.troubles({"slack", "email"}) == {"slack": "", "email": "500: oops"}
    assert books.waiting() == []


@pytest.mark.django_db(transaction=True)
def test_a_test_needs_no_database(all_channels: Receivers, tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    nowhere = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "no" / "such.db")}
    with default_database(nowhere):
        call_command("send_test_alert", "--channel=slack", stdout=out, stderr=err)
    assert "slack: sent" in out.getvalue()
    assert "database does not take it (OperationalError)" in err.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_fails_is_named_and_the_others_are_tried(all_channels: Receivers) -> None:
    all_channels.hooks.answers["slack"].append(Answer(403, b"invalid_token"))
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 4 channels"):
        call_command("send_test_alert", stdout=out)
    assert "slack: FAILED; 127.0.0.1 answered 403: invalid_token" in out.getvalue()
    assert len(all_channels.mail.mails) == 1


@pytest.mark.django_db(transaction=True)
def test_one_channel_can_be_chosen(all_channels: Receivers) -> None:
    call_command("send_test_alert", "--channel", "slack", stdout=io.StringIO())
    assert len(all_channels.hooks.slack) == 1 and all_channels.mail.mails == []


def test_no_channel_is_a_failure_that_says_what_to_set(no_channels: None) -> None:
    with pytest.raises(CommandError, match=r"no channel .* ALERT_\*"):
        call_command("send_test_alert")
    with pytest.raises(CommandError, match="not configured: sns"):
        call_command("send_test_alert", "--channel", "sns")
