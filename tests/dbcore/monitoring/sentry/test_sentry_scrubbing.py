"""Whatever an application tells Sentry, what it is not known to be safe stays here."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import sentry_sdk

from dbcore.monitoring.sentry.events import error_event
from dbcore.monitoring.sentry.words import WITHHELD
from tests.dbcore.monitoring.sentry.conftest import Told
from tests.dbcore.monitoring.sentry.pages import EMAIL, PLACE, SECRETS, ask, ask_as_served
from tests.dbcore.monitoring.sentry.server import SentryServer

ALLOWED = {
    "breadcrumbs", "contexts", "environment", "event_id", "exception", "level", "logentry",
    "logger", "modules", "platform", "release", "request", "sdk", "server_name", "tags",
    "timestamp", "transaction", "transaction_info",
}  # fmt: skip


@pytest.fixture
def told(sentry: Told, other_service: SentryServer, caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level(logging.INFO)
    answer = ask_as_served("talkative", **{"X-Other": other_service.host})
    assert answer.startswith("500")
    return sentry


def test_an_application_that_tells_all_it_knows(told: Told) -> None:
    first, second, last = told.events
    assert {name for each in told.events for name in each} <= ALLOWED
    told.assert_no_secret()
    assert {kind for kind, _ in told.server.items} == {"event"}, "no attachment goes with them"
    assert first["logentry"] == {"message": "%s cannot be reached"}
    assert second["logentry"] == {"message": WITHHELD}
    assert first["logger"] == second["logger"] == "planted.application"
    kinds = [each["type"] for each in last["exception"]["values"]]
    assert kinds == ["FileNotFoundError", "ValueError", "KeyError", "ExceptionGroup"]
    said = {each["value"] for each in last["exception"]["values"]}
    assert said == {"No such file or directory", WITHHELD}
    assert set(last["tags"]) == {"error.type", "request_id"}
    assert last["tags"]["error.type"] == "ExceptionGroup"
    assert re.fullmatch(r"[0-9a-f-]{36}", last["tags"]["request_id"]), "ours, not what it set"


def test_breadcrumbs_keep_their_shape_alone(told: Told) -> None:
    crumbs = told.events[-1]["breadcrumbs"]["values"]
    found = [(each["category"], each.get("message"), each.get("data")) for each in crumbs]
    assert ("redis", None, None) in found
    assert ("query", None, None) in found
    assert ("planted.application", "%s looks for %s", None) in found
    assert ("planted.application", WITHHELD, None) in found
    assert ("diary", WITHHELD, None) in found
    assert ("httplib", None, {"http.method": "GET", "http.response.status_code": 200}) in found


def test_a_path_that_no_route_has(sentry: Told, settings: Any) -> None:
    settings.ALLOWED_HOSTS = []
    settings.DEBUG = False
    assert ask("nowhere").status_code == 400
    settings.ALLOWED_HOSTS = ["*"]
    assert ask("nowhere").status_code == 404
    logging.getLogger("planted").error("%s", PLACE)
    assert sentry.events[-1].get("transaction", "(no route)") == "(no route)"
    sentry.assert_no_secret()


def test_messages_of_an_application_are_withheld(sentry: Told) -> None:
    sentry_sdk.capture_message(f"{EMAIL} has signed in")
    assert sentry.event["logentry"] == {"message": WITHHELD}
    sentry.assert_no_secret()


def planted(**safe: Any) -> dict[str, Any]:
    """These fields, and others that nobody has thought of."""
    return {**safe, "email": EMAIL, "new": {"place": [PLACE]}}


def test_of_every_part_of_an_event_only_what_is_known_is_sent() -> None:
    frame = planted(filename="a.py", function="f", lineno=1, context_line="f()", vars=planted())
    stack = planted(frames=[frame])
    sampling = planted(trace_id="a" * 32, sampled="true", public_key=EMAIL, transaction=PLACE)
    event = planted(
        event_id="1" * 32,
        exception=planted(values=[planted(
            type="KeyError", module="builtins", value=EMAIL, stacktrace=stack,
            mechanism=planted(type="django", handled=False, data=planted(), meta=planted()),
        )]),
        threads=planted(values=[planted(id=1, name=PLACE, stacktrace=stack)]),
        breadcrumbs=planted(values=[planted(category="x", message=PLACE, data=planted())]),
        contexts=planted(
            runtime=planted(name="CPython"), device=planted(),
            trace=planted(trace_id="a" * 32, data=planted(), description=PLACE,
                          dynamic_sampling_context=sampling),
        ),
        request=planted(method="GET", url=PLACE, headers=planted(), env=planted()),
        logentry=planted(message=PLACE, formatted=PLACE, params=[EMAIL]), message=PLACE,
        transaction=PLACE, transaction_info=planted(source="url"), tags=planted(command="x"),
        spans=[planted()], user=planted(), extra=planted(), fingerprint=[EMAIL],
    )  # fmt: skip
    told = error_event(event, {})
    for secret in (EMAIL, PLACE, "email", "new"):
        assert secret not in str(told)
    assert told is not None
    (value,) = told["exception"]["values"]
    assert value["mechanism"] == {"type": "django", "handled": False}
    assert value["stacktrace"]["frames"] == [
        {"filename": "a.py", "function": "f", "lineno": 1, "context_line": "f()"}
    ]
    assert told["contexts"]["trace"]["dynamic_sampling_context"] == {
        "trace_id": "a" * 32, "sampled": "true"
    }  # fmt: skip
    assert told["tags"].keys() == {"command", "run_id"}


class _Bad(dict[str, Any]):
    def get(self, *_: object) -> Any:
        raise RuntimeError(PLACE)


def test_an_event_that_cannot_be_scrubbed_says_only_that(sentry: Told) -> None:
    event = _Bad(event_id="0" * 32, level="error", extra={"email": EMAIL}, user={"id": EMAIL})
    told = error_event(event, {"attachments": [EMAIL]})
    assert told == {
        "event_id": "0" * 32, "level": "error",
        "logentry": {"message": "an event could not be scrubbed: RuntimeError"},
    }  # fmt: skip


def test_an_incoming_trace_brings_nothing_of_its_sender_along(sentry: Told) -> None:
    trace, release = "a" * 32, PLACE.replace(" ", "")
    assert ask_as_served(
        "typo", **{
            "Sentry-Trace": f"{trace}-{'b' * 16}-1",
            "Baggage": f"sentry-trace_id={trace},sentry-transaction={EMAIL},sentry-public_key=1,"
                       f"sentry-user_id={SECRETS[0]},sentry-release={release}",
        }
    ).startswith("500")  # fmt: skip
    assert len(sentry.events) == 1 and sentry.all("transaction") == []
    sentry.assert_no_secret(release)
