"""What every channel is: something that sends a message and says what the other side answered."""

from __future__ import annotations

from typing import Protocol

from dbcore.errors import DbcoreError
from dbcore.monitoring.alerts.messages import Message

SEND_TIMEOUT = 10.0  # seconds for each step of a send: connecting, and each answer


class SendFailed(DbcoreError):
    """The message was not taken; the words name no secret. `retry_after`: seconds that the other
    side asked for."""

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class Channel(Protocol):
    """One way to reach people. Threads may share it."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> str:
        """Send, and return what the other side answered. Raises SendFailed."""
