"""The channels that settings configure."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from dbcore.errors import ConfigurationError
from dbcore.monitoring.alerts.channels.email import Email
from dbcore.monitoring.alerts.channels.http import hook_at
from dbcore.monitoring.alerts.channels.interface import Channel, SendFailed
from dbcore.monitoring.alerts.channels.pagerduty import PagerDuty
from dbcore.monitoring.alerts.channels.slack import Slack

__all__ = ["CHANNELS", "Channel", "SendFailed", "configured_channels", "read_channels"]


def _email() -> Channel | None:
    return Email(tuple(settings.ALERT_EMAIL)) if settings.ALERT_EMAIL else None


def _slack() -> Channel | None:
    url = settings.ALERT_SLACK_WEBHOOK
    return Slack(hook_at(url, "ALERT_SLACK_WEBHOOK")) if url else None


def _sns() -> Channel | None:
    if not settings.ALERT_SNS_TOPIC:
        return None
    # boto3 takes a second to import: only where it is needed.
    from dbcore.monitoring.alerts.channels.sns import topic_at

    return topic_at(settings.ALERT_SNS_TOPIC, settings.ALERT_SNS_ENDPOINT)


def _pagerduty() -> Channel | None:
    key = settings.ALERT_PAGERDUTY_KEY
    if not key:
        return None
    return PagerDuty(hook_at(settings.ALERT_PAGERDUTY_URL, "ALERT_PAGERDUTY_URL"), key)


# By name, in the order in which they are tried.
CHANNELS: dict[str, Callable[[], Channel | None]] = {
    "pagerduty": _pagerduty,
    "slack": _slack,
    "email": _email,
    "sns": _sns,
}


def read_channels() -> tuple[dict[str, Channel], dict[str, ConfigurationError]]:
    """The channels that are configured, by name, and what is wrong with those that are wrongly.

    DB_ALERTS_ENABLED is not asked here: a test of the channels works without it.
    """
    channels: dict[str, Channel] = {}
    errors: dict[str, ConfigurationError] = {}
    for name, make in CHANNELS.items():
        try:
            channel = make()
        except ConfigurationError as error:
            errors[name] = error
        else:
            if channel is not None:
                channels[name] = channel
    return channels, errors


def configured_channels() -> dict[str, Channel]:
    """The channels that are configured, by name. Raises ConfigurationError for one that is wrongly:
    what must go on with the others asks `read_channels`."""
    channels, errors = read_channels()
    for error in errors.values():
        raise error
    return channels
