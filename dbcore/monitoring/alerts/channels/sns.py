"""Amazon SNS: to a topic, and from there to whoever has subscribed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from dbcore import aws
from dbcore.addresses import parse_endpoint
from dbcore.errors import ConfigurationError
from dbcore.monitoring.alerts.channels.interface import SEND_TIMEOUT, SendFailed
from dbcore.monitoring.alerts.messages import Message
from dbcore.monitoring.alerts.plain import presentable
from dbcore.rights import lacked

MAX_SUBJECT = 99  # characters: SNS takes fewer than 100, ASCII, no line break


@dataclass(frozen=True, slots=True)
class Sns:
    """Publishes to one topic."""

    topic: str
    endpoint: str = ""  # "": AWS
    name: str = "sns"

    def send(self, message: Message) -> str:
        try:
            answer = _client(region_of(self.topic), self.endpoint).publish(
                TopicArn=self.topic,
                Subject=subject(message),
                Message=message.text,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value or "-"}
                    for name, value in _attributes(message).items()
                },
                **self._fifo(message),
            )
        except ClientError as error:
            # The code alone: the words may quote the account and the role.
            code = error.response["Error"].get("Code", "?")
            raise SendFailed(f"SNS: {lacked(error) or f'answered {code}'}") from None
        except BotoCoreError as error:
            raise SendFailed(presentable(f"SNS: {error}", 200)) from None
        return f"MessageId {answer['MessageId']}"

    def _fifo(self, message: Message) -> dict[str, str]:
        if not self.topic.endswith(".fifo"):
            return {}
        return {
            "MessageGroupId": message.incident,
            "MessageDeduplicationId": f"{message.incident}.{message.event}",
        }


def subject(message: Message) -> str:
    """The headline, as SNS takes a subject."""
    return message.headline.encode("ascii", "replace").decode()[:MAX_SUBJECT]


def _attributes(message: Message) -> dict[str, str]:
    """What a subscription may filter by."""
    return {
        "severity": message.severity.value,
        "event": message.event.value,
        "rule": message.rule,
        "subject": message.subject,
        "incident": message.incident,
    }


def region_of(topic: str) -> str:
    """The region in a topic's ARN. Raises ConfigurationError for what is none."""
    parts = topic.split(":")
    if len(parts) != 6 or parts[2] != "sns" or not parts[3]:
        raise ConfigurationError(
            "ALERT_SNS_TOPIC must be a topic's: arn:aws:sns:REGION:ACCOUNT:NAME"
        )
    return parts[3]


def _client(region: str, endpoint: str) -> Any:
    return aws.client(
        "sns", region, endpoint, "ALERT_SNS_ENDPOINT",
        connect_timeout=SEND_TIMEOUT, read_timeout=SEND_TIMEOUT,
        attempts=1,  # the outbox tries again, and says so
    )  # fmt: skip


def topic_at(arn: str, endpoint: str) -> Sns:
    """The channel to a topic. Raises ConfigurationError for what is no topic's ARN, and for an
    endpoint in plain text."""
    region_of(arn)
    if endpoint:
        parse_endpoint(endpoint, "ALERT_SNS_ENDPOINT")
    return Sns(arn, endpoint)
