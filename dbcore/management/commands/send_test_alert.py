"""`send_test_alert`: parse, call, print."""

from __future__ import annotations

import functools
from argparse import ArgumentParser
from typing import Any

from django import db
from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from dbcore.errors import SEE_CONNECT, ConfigurationError
from dbcore.management.tool import ToolCommand
from dbcore.monitoring.alerts.channels import CHANNELS, Channel, read_channels
from dbcore.monitoring.alerts.messages import Message, test_message
from dbcore.monitoring.alerts.monitor import bound_database
from dbcore.monitoring.alerts.outbox import SEND_DEADLINE, note_sent, words
from dbcore.monitoring.deadlines import in_time

EPILOG = """
examples:
  ./manage.py send_test_alert                  through every channel that is configured
  ./manage.py send_test_alert --channel slack --channel email
  ./manage.py send_test_alert --sentry         a test event to Sentry, and no alert

A channel that takes it is booked as working: its alert channel_failing ends at the next look.

exit status: 0 every channel took it, 1 one did not, or none is configured
"""


class Command(ToolCommand):
    """Try the channels of alerts."""

    help = (
        "Sends a test through each channel of alerts that is configured, and says what the other "
        "side answered."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--channel", action="append", default=[], choices=sorted(CHANNELS), metavar="NAME",
            help="this one only: email, pagerduty, slack or sns; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--sentry", action="store_true", help="try Sentry instead, where errors are told"
        )

    def handle(self, *args: Any, **given: Any) -> None:
        if given["sentry"]:
            self._try_sentry()
            return
        channels, errors = self._channels(given["channel"])
        if not settings.DB_ALERTS_ENABLED:
            self.stderr.write("DB_ALERTS_ENABLED is false: alerts themselves are not sent")
        message = test_message(timezone.now())
        answers: dict[str, str | BaseException] = in_time(
            {name: functools.partial(each.send, message) for name, each in channels.items()},
            SEND_DEADLINE,
        )
        answers |= errors
        took = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
        for name, answer in answers.items():
            said = f"sent; {answer}" if isinstance(answer, str) else f"FAILED; {words(answer)}"
            self.say(f"{name}: {said}")
        self._book(message, took)
        if failed := len(answers) - len(took):
            raise CommandError(
                f"{failed} of {len(answers)} channels did not take the test; of one that cannot be "
                f"reached {SEE_CONNECT}"
            )

    def _book(self, message: Message, took: dict[str, str]) -> None:
        """That a channel works ends the alert that it does not."""
        if getattr(self, "_called_from_command_line", False):
            bound_database()
        try:
            note_sent(message, took, timezone.now())
        except db.Error as error:
            self.stderr.write(
                f"Django's database does not take it ({type(error).__name__}): an alert that a "
                "channel fails stays open until the channel takes its next message"
            )

    def _try_sentry(self) -> None:
        if not settings.SENTRY_DSN:
            raise CommandError("Sentry is not in use: SENTRY_DSN is not set")
        from dbcore.monitoring.sentry.commands import send_test

        took, said = send_test()
        if not took:
            raise CommandError(f"Sentry: {said}")
        self.say(f"Sentry: {said}")

    def _channels(
        self, wanted: list[str]
    ) -> tuple[dict[str, Channel], dict[str, ConfigurationError]]:
        channels, errors = read_channels()
        missing = sorted(set(wanted) - set(channels) - set(errors))
        if missing:
            raise CommandError(f"not configured: {', '.join(missing)}; see ALERT_* in .env")
        if not channels and not errors:
            raise CommandError("no channel of alerts is configured; see ALERT_* in .env")
        names = set(wanted or CHANNELS)
        return (
            {name: each for name, each in channels.items() if name in names},
            {name: each for name, each in errors.items() if name in names},
        )
