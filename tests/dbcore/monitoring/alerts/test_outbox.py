"""That each message reaches each channel: once when all goes well, at least once in any case."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from dbcore.models import AlertDelivery, AlertState
from dbcore.monitoring.alerts.books import SqlBooks
from dbcore.monitoring.alerts.channels import configured_channels
from dbcore.monitoring.alerts.monitor import Monitor, Tick
from dbcore.monitoring.alerts.outbox import deliver
from dbcore.monitoring.alerts.rules import Rule, default_rules
from dbcore.monitoring.readings import Snapshot
from tests.dbcore.monitoring.alerts.judged import CRITICAL, OK, WARNING, after, snapshot
from tests.dbcore.monitoring.alerts.receivers import Answer, Hooks, Receivers

pytestmark = pytest.mark.django_db(transaction=True)
STARTED, ENDED = ("started", "archives"), ("ended", "archives")


class Ward:
    """Monitors of one database, whose readings the test says."""

    def __init__(self, *names: str) -> None:
        self.readings: dict[str, Any] = {}
        self.rules: tuple[Rule, ...] = default_rules()
        self._monitors: dict[str, Monitor] = {}
        for name in names or ("one",):
            self.restart(name)

    def restart(self, name: str) -> None:
        """A new process in the place of the old one."""
        self._monitors[name] = Monitor(
            15, rules=self.rules, channels=configured_channels(), look=self._look
        )

    def tick(self, seconds: float, name: str = "one", **readings: Any) -> Tick:
        self.readings = readings
        return self._monitors[name].tick(after(seconds))

    def _look(self, now: dt.datetime) -> Snapshot:
        return dataclasses.replace(snapshot(**self.readings), at=now)


def test_each_channel_is_told_of_the_start_and_the_end_once(all_channels: Receivers) -> None:
    ward = Ward()
    assert ward.tick(0, archives=OK).status is OK
    tick = ward.tick(15, archives=CRITICAL)
    assert tick.status is CRITICAL and len(tick.told) == 1 and len(tick.sent) == 4
    ward.tick(30, archives=CRITICAL)
    assert ward.tick(45, archives=OK).open == []
    ward.tick(60, archives=OK)
    assert all_channels.all_have([STARTED, ENDED])


def test_a_restarted_monitor_knows_what_was_told(all_channels: Receivers) -> None:
    ward = Ward()
    ward.tick(0, archives=CRITICAL)
    ward.restart("one")
    ward.tick(15, archives=CRITICAL)
    assert all_channels.all_have([STARTED])
    ward.restart("one")
    ward.tick(90, archives=OK)
    assert all_channels.all_have([STARTED, ENDED])


def test_two_monitors_tell_it_once(all_channels: Receivers) -> None:
    ward = Ward("one", "two")
    for seconds in (0, 15, 30):
        ward.tick(seconds, "one", archives=CRITICAL)
        ward.tick(seconds + 1, "two", archives=CRITICAL)
    assert all_channels.all_have([STARTED])
    for seconds in (100, 115):
        ward.tick(seconds, "one", archives=OK)
        ward.tick(seconds + 1, "two", archives=OK)
    assert all_channels.all_have([STARTED, ENDED])


def test_of_two_that_judge_the_same_row_one_makes_the_change(no_channels: None) -> None:
    ward = Ward()
    ward.tick(0, archives=CRITICAL)
    mine, others = SqlBooks(), SqlBooks()
    before = mine.states()["unhealthy_check", "archives"]
    well = dataclasses.replace(before, phase="ok", ended_at=after(20))
    assert others.change(before, well, [])
    assert not mine.change(before, well, [])
    assert AlertState.objects.get().version == before.version + 1


def test_of_two_that_claim_the_same_delivery_one_has_it(all_channels: Receivers) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].append(Answer(500, b"oops"))
    ward.tick(0, archives=CRITICAL)
    mine, others = SqlBooks(), SqlBooks()
    (seen,) = mine.waiting()
    claim = dataclasses.replace(seen, next_at=after(90))
    assert others.replace(seen, claim)
    assert not mine.replace(seen, claim)


def test_a_worse_severity_is_told_and_pagerduty_keeps_one_incident(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    ward.tick(0, archives=WARNING)
    ward.tick(120, archives=WARNING)
    ward.tick(135, archives=CRITICAL)
    ward.tick(150, archives=OK)
    assert all_channels.all_have([STARTED, STARTED, ENDED])
    sent = all_channels.hooks.pagerduty
    assert [each.get("payload", {}).get("severity") for each in sent] == [
        "warning", "critical", None,
    ]  # fmt: skip
    assert len({each["dedup_key"] for each in sent}) == 1
    first, worse, end = all_channels.mail.mails
    assert first["Message-ID"] != worse["Message-ID"] and worse["References"] == first["Message-ID"]
    assert end["References"] == first["Message-ID"]


def test_a_channel_that_fails_once_is_tried_again_and_nothing_is_said(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].append(Answer(500, b"oops"))
    ward.tick(0, archives=CRITICAL)
    assert all_channels.hooks.slack == [] and len(all_channels.mail.mails) == 1
    for seconds in (15, 30):
        ward.tick(seconds, archives=CRITICAL)
    assert all_channels.all_have([STARTED])


def test_a_channel_that_goes_on_failing_is_reported_once_through_the_others(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].extend([Answer(404, b"no_service")] * 4)
    for seconds in range(0, 195, 15):
        ward.tick(seconds, archives=CRITICAL)
    failing, works = ("started", "slack"), ("ended", "slack")
    expected = [STARTED, failing, works]
    assert all_channels.events() == {
        "slack": [STARTED], "email": expected, "pagerduty": expected, "sns": expected,
    }  # fmt: skip
    assert all_channels.hooks.tries["slack"] == 5
    report = all_channels.mail.mails[1].get_content()
    assert "answered 404: no_service" in report and "channel_failing" in report


def test_the_end_is_not_told_before_the_start(all_channels: Receivers) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].append(Answer(503, b"later", {"Retry-After": "60"}))
    ward.tick(0, archives=CRITICAL)
    ward.tick(15, archives=OK)
    ward.tick(45, archives=OK)
    assert all_channels.hooks.slack == [] and len(all_channels.mail.mails) == 2
    ward.tick(75, archives=OK)
    assert all_channels.all_have([STARTED, ENDED])


def test_killed_between_send_and_book_the_doubled_message_is_recognisable(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    ward.tick(0, archives=CRITICAL)
    AlertDelivery.objects.update(state="waiting", next_at=after(90), answer="")  # not booked
    deliver(SqlBooks(), configured_channels(), after(91))
    assert all_channels.all_have([STARTED, STARTED])
    assert len({mail["Message-ID"] for mail in all_channels.mail.mails}) == 1
    assert len({each["dedup_key"] for each in all_channels.hooks.pagerduty}) == 1


def test_what_fails_for_a_day_is_given_up_and_what_comes_later_is_sent(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].extend([Answer(500, b"oops")] * 200)
    ward.tick(0, archives=CRITICAL)
    hour = 3600
    for hours in range(1, 26):
        ward.tick(hours * hour, archives=CRITICAL)
    slack = AlertDelivery.objects.filter(channel="slack")
    assert [each.state for each in slack if each.message["subject"] == "archives"] == ["given_up"]
    all_channels.hooks.answers["slack"].clear()
    ward.tick(26 * hour, archives=OK)
    assert all_channels.hooks.events("slack") == [ENDED]
    assert all_channels.mail.events().count(STARTED) == 1


def test_a_message_for_a_channel_that_nobody_has_any_more_is_given_up(
    all_channels: Receivers, settings: Any
) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].append(Answer(500, b"oops"))
    ward.tick(0, archives=CRITICAL)
    settings.ALERT_SLACK_WEBHOOK = ""
    ward.restart("one")
    ward.tick(3600, archives=CRITICAL)
    assert AlertDelivery.objects.get(channel="slack").state == "waiting"
    ward.tick(25 * 3600, archives=CRITICAL)
    assert AlertDelivery.objects.get(channel="slack").state == "given_up"


def test_an_alert_of_a_rule_that_is_taken_away_ends(all_channels: Receivers) -> None:
    ward = Ward()
    ward.tick(0, archives=CRITICAL)
    ward.rules = tuple(rule for rule in ward.rules if rule.name != "unhealthy_check")
    ward.restart("one")
    ward.tick(15, archives=CRITICAL)
    ward.tick(30, archives=CRITICAL)
    assert all_channels.all_have([STARTED, ENDED])
    assert "no such rule" in all_channels.mail.mails[-1].get_content()


def test_old_deliveries_are_forgotten_and_those_that_wait_are_not(
    all_channels: Receivers,
) -> None:
    ward = Ward()
    all_channels.hooks.answers["slack"].extend([Answer(500, b"oops")] * 2)
    ward.tick(0, archives=CRITICAL)
    ward.tick(15, archives=OK)
    SqlBooks().prune(after(31 * 86_400))
    assert [each.channel for each in AlertDelivery.objects.all()] == ["slack", "slack"]


def test_nothing_goes_out_where_no_channel_is_configured(no_channels: None, hooks: Hooks) -> None:
    ward = Ward()
    tick = ward.tick(0, archives=CRITICAL)
    assert tick.sent == [] and len(tick.told) == 1
    assert AlertDelivery.objects.count() == 0
