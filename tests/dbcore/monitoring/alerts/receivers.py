"""Where alerts arrive: a real mail server, web hooks of our own, a queue behind moto's SNS."""

from __future__ import annotations

import email.policy
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import jsonschema
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from dbcore.local_engine import LocalEngine
from dbcore.local_engine.probe import free_port
from tests.dbcore.monitoring.alerts.formats import PAGERDUTY, SLACK

ROUTING_KEY = "R0123456789abcdef0123456789abcde"
SLACK_SECRET = "T0000000/B0000000/notForAnyLogXXXXXXXXXXXX"
WAIT = 60.0  # seconds after which a test that waits has failed
Event = tuple[str, str]  # started or ended, and what of


def eventually(found: Callable[[], bool], what: str) -> None:
    """Wait until it is so; the test fails where it never is."""
    until = time.monotonic() + WAIT
    while not found():
        assert time.monotonic() < until, f"never came: {what}"
        time.sleep(0.02)


class MailServer:
    """An SMTP server on this machine, with what aiosmtpd takes for TLS. `refusals` are answered
    before it takes mails again; addresses that are `unknown` are refused."""

    def __init__(self, **tls: Any) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: deque[str] = deque()
        self.unknown: set[str] = set()
        port = free_port("127.0.0.1")
        self._controller = Controller(self, hostname="127.0.0.1", port=port, **tls)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return f"550 5.1.1 no such user {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refusals:
            return self.refusals.popleft()
        content = envelope.content
        assert isinstance(content, bytes)
        parser = BytesParser(EmailMessage, policy=email.policy.default)
        self.mails.append(parser.parsebytes(content))  # type: ignore[arg-type]
        return "250 OK"

    @property
    def port(self) -> int:
        return int(self._controller.port)

    @contextmanager
    def running(self) -> Iterator[MailServer]:
        self._controller.start()
        try:
            yield self
        finally:
            self._controller.stop()

    def events(self) -> list[Event]:
        return [_of_headline(str(mail["Subject"])) for mail in self.mails]


@dataclass
class Answer:
    """What a hook answers."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Hooks:
    """An HTTP server with Slack's and PagerDuty's hooks. What comes must be as they document it.

    `answers` are given first, to whoever comes; while `hang` is set nobody is answered.
    """

    def __init__(self) -> None:
        self.slack: list[dict[str, Any]] = []
        self.pagerduty: list[dict[str, Any]] = []
        self.answers: dict[str, deque[Answer]] = {"slack": deque(), "pagerduty": deque()}
        self.tries: dict[str, int] = {"slack": 0, "pagerduty": 0}
        self.wrong: list[str] = []
        self.hang = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/services/{SLACK_SECRET}"

    @property
    def pagerduty_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v2/enqueue"

    @contextmanager
    def running(self) -> Iterator[Hooks]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def events(self, name: str) -> list[Event]:
        if name == "slack":
            return [_of_headline(each["blocks"][0]["text"]["text"]) for each in self.slack]
        return [
            (
                {"trigger": "started", "resolve": "ended"}[each["event_action"]],
                each["dedup_key"].rpartition("/")[2],
            )
            for each in self.pagerduty
        ]

    def take(self, name: str, payload: Any) -> Answer:
        """Answer one request, as the service would."""
        self.tries[name] += 1
        if self.answers[name]:
            return self.answers[name].popleft()
        checker = jsonschema.FormatChecker()
        jsonschema.validate(payload, {"slack": SLACK, "pagerduty": PAGERDUTY}[name],
                            format_checker=checker)  # fmt: skip
        if name == "slack":
            self.slack.append(payload)
            return Answer(200, b"ok", {"Content-Type": "text/html"})
        self.pagerduty.append(payload)
        told = {"status": "success", "message": "Event processed",
                "dedup_key": payload["dedup_key"]}  # fmt: skip
        return Answer(202, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = "slack" if self.path == f"/services/{SLACK_SECRET}" else "pagerduty"
                if self.path not in (f"/services/{SLACK_SECRET}", "/v2/enqueue"):
                    answer = Answer(404, b"no_service")
                elif hooks.hang.is_set():
                    hooks.tries[name] += 1
                    while hooks.hang.is_set():
                        time.sleep(0.02)
                    return
                else:
                    answer = self.judged(name, payload)
                self.send_response(answer.status)
                for header, value in answer.headers.items():
                    self.send_header(header, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def judged(self, name: str, payload: Any) -> Answer:
                try:
                    return hooks.take(name, payload)
                except jsonschema.ValidationError as error:
                    hooks.wrong.append(f"{name}: {error.message}")
                    return Answer(400, b"invalid_payload")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class Topic:
    """An SNS topic at moto, and a queue that has subscribed to it."""

    def __init__(self, engine: LocalEngine) -> None:
        self.endpoint = engine.endpoint
        name = f"alerts-{uuid.uuid4().hex[:8]}"
        sns, self._sqs = self._client("sns"), self._client("sqs")
        self.arn: str = sns.create_topic(Name=name)["TopicArn"]
        self._queue: str = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns.subscribe(
            TopicArn=self.arn, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )  # fmt: skip
        self._seen: list[dict[str, Any]] = []

    def _client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="eu-central-1",
            aws_access_key_id="local", aws_secret_access_key="local",
        )  # fmt: skip

    def notifications(self) -> list[dict[str, Any]]:
        """All that has come, as SNS wraps it."""
        while True:
            got = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
            if not got.get("Messages"):
                return self._seen
            for message in got["Messages"]:
                self._seen.append(json.loads(message["Body"]))
                self._sqs.delete_message(
                    QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
                )

    def events(self) -> list[Event]:
        return [_of_headline(each["Subject"]) for each in self.notifications()]


@dataclass
class Receivers:
    """Everywhere that alerts can arrive."""

    mail: MailServer
    hooks: Hooks
    topic: Topic

    def environment(self) -> dict[str, str]:
        """The variables by which a process finds all of them."""
        return {
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mail.port}",
            "ALERT_EMAIL": "oncall@daylight.example",
            "ALERT_EMAIL_FROM": "alerts@daylight.example",
            "ALERT_SLACK_WEBHOOK": self.hooks.slack_url,
            "ALERT_PAGERDUTY_KEY": ROUTING_KEY,
            "ALERT_PAGERDUTY_URL": self.hooks.pagerduty_url,
            "ALERT_SNS_TOPIC": self.topic.arn,
            "ALERT_SNS_ENDPOINT": self.topic.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "DB_RUNBOOK_URL": "https://runbooks.daylight.example/",
        }

    def events(self) -> dict[str, list[Event]]:
        """What each channel was told, in order."""
        return {
            "email": self.mail.events(),
            "slack": self.hooks.events("slack"),
            "pagerduty": self.hooks.events("pagerduty"),
            "sns": self.topic.events(),
        }

    def all_have(self, events: list[Event]) -> bool:
        """Whether every channel was told just this."""
        assert self.hooks.wrong == []
        return all(found == events for found in self.events().values())


def _of_headline(headline: str) -> Event:
    word = headline.partition("[")[2].partition("]")[0]
    return "ended" if word == "RESOLVED" else "started", headline.rpartition(": ")[2]
