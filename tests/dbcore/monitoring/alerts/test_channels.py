"""Each channel at a real peer: what arrives, what failure looks like, and that no secret shows."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from dbcore.errors import ConfigurationError
from dbcore.monitoring.alerts.channels import SendFailed, configured_channels
from dbcore.monitoring.alerts.incidents import Event, State
from dbcore.monitoring.alerts.messages import Message, about
from tests.dbcore.monitoring.alerts.judged import CRITICAL, after, rule_named
from tests.dbcore.monitoring.alerts.receivers import (
    ROUTING_KEY,
    SLACK_SECRET,
    Answer,
    Hooks,
    MailServer,
    Receivers,
)
from tests.dbcore.monitoring.test_scrub_corpus import CORPUS

ROOT = Path(__file__).resolve().parents[4]
RUNBOOK = "https://runbooks.daylight.example/primary_store"


def message(event: Event = Event.STARTED, sentence: str = "DynamoDB does not answer") -> Message:
    state = State(
        "unhealthy_check", "primary_store", since=after(0), severity=CRITICAL,
        incident="0199-incident", sentence=sentence, fired_at=after(0), bad_at=after(0),
        ended_at=after(90) if event is Event.ENDED else None,
    )  # fmt: skip
    return about(state, event, rule_named("unhealthy_check"))


def test_a_mail_arrives_with_what_is_wrong_and_the_runbook(all_channels: Receivers) -> None:
    answer = configured_channels()["email"].send(message())
    (mail,) = all_channels.mail.mails
    assert mail["Subject"] == "[CRITICAL] daylight-test: unhealthy check: primary_store"
    assert (mail["From"], mail["To"]) == ("alerts@daylight.example", "oncall@daylight.example")
    body = mail.get_content()
    assert "DynamoDB does not answer" in body
    assert f"Runbook: {RUNBOOK}" in body and "Since: 2026-11-22 12:00:00 UTC" in body
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "took it for 1 recipient" in answer


def test_a_mail_that_is_sent_twice_has_one_id_and_the_end_is_in_its_thread(
    all_channels: Receivers,
) -> None:
    channel = configured_channels()["email"]
    for event in (Event.STARTED, Event.STARTED, Event.ENDED):
        channel.send(message(event))
    first, again, end = all_channels.mail.mails
    assert first["Message-ID"] == again["Message-ID"]
    assert "daylight.example>" in first["Message-ID"]
    assert end["Message-ID"] != first["Message-ID"]
    assert end["References"] == end["In-Reply-To"] == first["Message-ID"]
    assert "Lasted: 0:01:30" in end.get_content()


def test_a_mail_server_that_refuses_is_a_failure_without_addresses(
    all_channels: Receivers, mail_server: MailServer
) -> None:
    mail_server.refusals.append("452 4.3.1 no room for oncall@daylight.example")
    with pytest.raises(SendFailed, match="452") as failed:
        configured_channels()["email"].send(message())
    assert "oncall" not in str(failed.value)


def test_recipients_that_a_server_refuses_are_counted_and_not_named(
    all_channels: Receivers, mail_server: MailServer, settings: Any
) -> None:
    settings.ALERT_EMAIL = ["oncall@daylight.example", "gone@daylight.example"]
    mail_server.unknown.add("gone@daylight.example")
    answer = configured_channels()["email"].send(message())
    assert answer.endswith("took it for 1 of 2 recipients and refused 1 (550)")
    mail_server.unknown.add("oncall@daylight.example")
    with pytest.raises(SendFailed, match="refused all 2 recipients"):
        configured_channels()["email"].send(message())
    assert len(mail_server.mails) == 1


def test_slack_gets_blocks_in_the_documented_format(all_channels: Receivers) -> None:
    hooks = all_channels.hooks
    answer = configured_channels()["slack"].send(message(sentence="a < b & <!channel> > c"))
    assert answer == "200 ok"
    assert hooks.wrong == []
    header, section, context = hooks.slack[0]["blocks"]
    assert header["text"]["text"].endswith(
        "[CRITICAL] daylight-test: unhealthy check: primary_store"
    )
    assert section["text"]["text"] == "a &lt; b &amp; &lt;!channel&gt; &gt; c"
    assert f"<{RUNBOOK}|Runbook>" in [element["text"] for element in context["elements"]]


def test_pagerduty_gets_a_trigger_and_a_resolve_with_one_key(all_channels: Receivers) -> None:
    channel = configured_channels()["pagerduty"]
    answer = channel.send(message())
    channel.send(message(Event.ENDED))
    assert all_channels.hooks.wrong == []
    trigger, resolve = all_channels.hooks.pagerduty
    assert trigger["event_action"] == "trigger"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["links"] == [{"href": RUNBOOK, "text": "Runbook"}]
    assert resolve == {
        "routing_key": ROUTING_KEY, "event_action": "resolve",
        "dedup_key": "daylight-test/unhealthy_check/primary_store",
    }  # fmt: skip
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert "Event processed" in answer


def test_sns_brings_it_to_who_has_subscribed(all_channels: Receivers) -> None:
    answer = configured_channels()["sns"].send(message(sentence="größer als erlaubt"))
    (notification,) = all_channels.topic.notifications()
    assert notification["Subject"] == "[CRITICAL] daylight-test: unhealthy check: primary_store"
    assert "größer als erlaubt" in notification["Message"]
    assert notification["MessageAttributes"]["severity"]["Value"] == "critical"
    assert notification["MessageId"] in answer


def test_a_subject_of_sns_is_short_and_ascii(all_channels: Receivers, settings: Any) -> None:
    settings.DB_ALERTS_SOURCE = "Tageslicht für alle – " * 10
    configured_channels()["sns"].send(message())
    (notification,) = all_channels.topic.notifications()
    assert notification["Subject"].isascii() and len(notification["Subject"]) < 100


def test_the_longest_message_is_still_in_every_format(
    all_channels: Receivers, settings: Any
) -> None:
    settings.DB_ALERTS_SOURCE = "x" * 400
    long = message(sentence="<&>" * 5000)
    for channel in configured_channels().values():
        channel.send(long)
    assert all_channels.hooks.wrong == []
    assert [len(each) for each in all_channels.events().values()] == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["slack", "pagerduty"])
def test_a_hook_that_fails_says_so_and_shows_no_secret(
    all_channels: Receivers, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = json.dumps({"error": "no_service", "url": all_channels.hooks.slack_url})
    all_channels.hooks.answers[name].append(Answer(404, said.encode()))
    with pytest.raises(SendFailed, match=r"answered 404: .*no_service") as failed:
        configured_channels()[name].send(message())
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text
    for secret in (SLACK_SECRET, SLACK_SECRET.split("/")[-1], ROUTING_KEY):
        assert secret not in shown
    assert failed.value.retry_after is None


def test_a_hook_that_is_out_of_reach_shows_no_secret_either(
    no_channels: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.ALERT_SLACK_WEBHOOK = f"http://127.0.0.1:9/services/{SLACK_SECRET}"
    channel = configured_channels()["slack"]
    with pytest.raises(SendFailed, match=r"127.0.0.1: Connection refused") as failed:
        channel.send(message())
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text + repr(channel)
    assert SLACK_SECRET not in shown


SENTRY = """
import http.client, json, sys, urllib.parse
import django
import sentry_sdk
from sentry_sdk.integrations.stdlib import StdlibIntegration

django.setup()
from dbcore.monitoring.alerts.channels.http import hook_at

seen = []
sentry_sdk.init(
    dsn="http://key@127.0.0.1:9/1", before_send=lambda event, hint: seen.append(event),
    include_local_variables=False,  # this script's own have the URL
    default_integrations=False, integrations=[StdlibIntegration()],
)
url = urllib.parse.urlsplit(sys.argv[1])
other = http.client.HTTPConnection(url.hostname, url.port)
other.request("POST", "/control", b"{}")
other.getresponse().read()
other.close()
try:
    hook_at(sys.argv[1], "X").post({"text": "not as Slack wants it"})
except Exception as error:
    sentry_sdk.capture_exception(error)
print(json.dumps(seen, default=str))
"""


def test_sentry_keeps_no_trace_of_a_hooks_url(hooks: Hooks) -> None:
    # In a process of its own: what Sentry patches stays patched.
    done = subprocess.run(
        [sys.executable, "-c", SENTRY, hooks.slack_url],
        cwd=ROOT, env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings.test"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    (event,) = json.loads(done.stdout)
    assert "/control" in json.dumps(event["breadcrumbs"]), "Sentry notes requests"
    assert "answered 400" in json.dumps(event["exception"])
    assert SLACK_SECRET not in done.stdout + done.stderr


def test_a_hook_that_asks_to_wait_is_heard(all_channels: Receivers) -> None:
    all_channels.hooks.answers["slack"].append(Answer(429, b"rate_limited", {"Retry-After": "30"}))
    with pytest.raises(SendFailed) as failed:
        configured_channels()["slack"].send(message())
    assert failed.value.retry_after == 30


def test_a_redirect_is_not_followed(all_channels: Receivers, hooks: Hooks) -> None:
    hooks.answers["slack"].append(Answer(302, b"", {"Location": hooks.pagerduty_url}))
    with pytest.raises(SendFailed, match="302"):
        configured_channels()["slack"].send(message())
    assert hooks.tries["pagerduty"] == 0


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.slack.com/services/{SLACK_SECRET}",
        f"ftp://hooks.slack.com/services/{SLACK_SECRET}",
        f"https://user:word@hooks.slack.com/services/{SLACK_SECRET}",
        f"https://[/services/{SLACK_SECRET}",
        SLACK_SECRET,
    ],
)
def test_a_hook_must_be_https_and_the_refusal_names_the_setting_alone(
    no_channels: None, settings: Any, url: str
) -> None:
    settings.ALERT_SLACK_WEBHOOK = url
    with pytest.raises(ConfigurationError, match="ALERT_SLACK_WEBHOOK") as refused:
        configured_channels()
    assert SLACK_SECRET not in "".join(traceback.format_exception(refused.value))


def test_what_is_no_topic_is_refused(no_channels: None, settings: Any) -> None:
    settings.ALERT_SNS_TOPIC = "arn:aws:sqs:eu-central-1:1234:queue"
    with pytest.raises(ConfigurationError, match="ALERT_SNS_TOPIC"):
        configured_channels()


def test_a_message_has_no_secret_and_nobodys_name(no_channels: None, settings: Any) -> None:
    settings.SECRET_KEY = "a-very-secret-key-of-django"
    told = message(
        sentence="postgres://daylight:hunter2@db.internal/x refused jane.doe@example.org "
        "password=hunter3 a-very-secret-key-of-django AKIAABCDEFGHIJKLMNOP "
        "https://hooks.slack.com/services/T1/B2/xyz https://s3/a?X-Amz-Signature=abcdef\nnext line"
    )
    text = told.text
    for secret in ("hunter2", "hunter3", "jane.doe", "very-secret", "AKIA", "T1/B2", "abcdef"):
        assert secret not in text
    assert "db.internal" in text and "next line" in told.sentence and "\n" not in told.sentence


def test_whatever_a_sentence_quotes_no_secret_is_in_a_message(no_channels: None) -> None:
    for line in CORPUS:
        told = message(sentence=line.text)
        if not line.personal:
            assert [each for each in line.gone if each in told.sentence] == [], line.text
        assert told.sentence.isprintable()


def test_a_message_comes_out_of_the_outbox_as_it_went_in(no_channels: None) -> None:
    told = message(Event.ENDED)
    assert Message.from_json(json.loads(json.dumps(told.as_json()))) == told
    assert told.at - told.started_at == dt.timedelta(seconds=90)


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://wiki/runbooks/", "https://wiki/runbooks/primary_store"),
        ("https://git/blob/{name}.md?plain=1", "https://git/blob/primary_store.md?plain=1"),
        ("", "docs/runbooks/primary_store.md"),
    ],
)
def test_a_message_leads_to_the_page_of_its_check(
    no_channels: None, settings: Any, base: str, link: str
) -> None:
    settings.DB_RUNBOOK_URL = base
    assert message().runbook == link
