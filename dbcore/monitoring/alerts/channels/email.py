"""E-mail, by Django's mail settings (EMAIL_URL)."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from dbcore.monitoring.alerts.channels.interface import SEND_TIMEOUT, SendFailed
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.alerts.plain import presentable, shortened

MAX_SUBJECT = 200  # characters


@dataclass(frozen=True, slots=True)
class Email:
    """One message to all of `to`."""

    to: Sequence[str]
    name: str = "email"

    def send(self, message: Message) -> str:
        try:
            with get_connection(timeout=SEND_TIMEOUT) as connection:
                EmailMessage(
                    subject=shortened(message.headline, MAX_SUBJECT),
                    body=message.text,
                    to=list(self.to),
                    headers=_headers(message),
                    connection=connection,
                ).send()
        except (OSError, smtplib.SMTPException) as error:
            raise SendFailed(presentable(f"{_server()}: {_why(error)}", 200)) from None
        count = len(self.to)
        return f"{_server()} took it for {count} recipient{'' if count == 1 else 's'}"


def _headers(message: Message) -> dict[str, str]:
    """The same Message-ID however often a message is sent; an incident's mails are one thread."""
    first = message_id(message.incident, Event.STARTED)
    headers = {
        "Message-ID": message_id(message.incident, message.event),
        "Auto-Submitted": "auto-generated",
    }
    if message.event in (Event.WORSENED, Event.ENDED):
        headers |= {"In-Reply-To": first, "References": first}
    return headers


def message_id(incident: str, event: Event) -> str:
    """The Message-ID of one event of one incident."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{incident}.{event}@{domain}>"


def _server() -> str:
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return str(settings.EMAIL_BACKEND).split(".")[-2]


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"refused all {len(error.recipients)} recipients"  # their addresses are personal
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        return f"answered {error.smtp_code} {text}"
    return str(error) or type(error).__name__
