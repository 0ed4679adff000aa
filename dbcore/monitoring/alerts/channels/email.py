"""E-mail, by Django's mail settings (EMAIL_URL)."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from dbcore.monitoring.alerts.channels.interface import SEND_TIMEOUT, SendFailed
from dbcore.monitoring.alerts.incidents import Event
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.alerts.plain import presentable
from dbcore.printable import shortened

MAX_SUBJECT = 200  # characters


@dataclass(frozen=True, slots=True)
class Email:
    """One message to all of `to`."""

    to: Sequence[str]
    name: str = "email"

    def send(self, message: Message) -> str:
        refused: dict[str, Any] = {}
        try:
            with get_connection(timeout=SEND_TIMEOUT) as connection:
                _note_refused(connection, refused)
                EmailMessage(
                    subject=shortened(message.headline, MAX_SUBJECT),
                    body=message.text,
                    to=list(self.to),
                    headers=_headers(message),
                    connection=connection,
                ).send()
        except (OSError, smtplib.SMTPException) as error:
            raise SendFailed(presentable(f"{_server()}: {_why(error)}", 200)) from None
        all_of_them = f"{len(self.to)} recipient{'' if len(self.to) == 1 else 's'}"
        if refused:
            taken = len(self.to) - len(refused)
            return f"{_server()} took it for {taken} of {all_of_them} and {_codes(refused)}"
        return f"{_server()} took it for {all_of_them}"


def _note_refused(connection: Any, refused: dict[str, Any]) -> None:
    """Have those noted whom the server refuses while it takes others: smtplib returns them,
    and Django drops that."""
    smtp = getattr(connection, "connection", None)
    if not isinstance(smtp, smtplib.SMTP):
        return
    send = smtp.sendmail

    def noting(*args: Any, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = send(*args, **kwargs)
        refused.update(found)
        return found

    smtp.sendmail = noting  # type: ignore[method-assign]


def _codes(refused: dict[str, Any]) -> str:
    """How often which code was answered: the addresses and the words are personal."""
    codes = sorted({str(code) for code, _ in refused.values()})
    return f"refused {len(refused)} ({', '.join(codes)})"


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
