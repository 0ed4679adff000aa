"""`manage.py connect` as a person or a deployment calls it: a table, sentences, an exit status."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from dbcore.connecting import names
from dbcore.local_engine import LocalEngine
from tests.dbcore.wire.server import Server, dynamodb
from tests.support.certificates import Authority
from tests.support.databases import default_database
from tests.support.proxy import FaultProxy, make_error
from tests.support.redis import RedisServer

ROOT = Path(__file__).resolve().parents[3]


def connect(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("connect", "--timeout", "20", *arguments, stdout=out)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code, out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def environment(tmp_path: Path, authority: Authority) -> dict[str, str]:
    """A process's own: DynamoDB is primary, and nothing else is configured."""
    return {
        **os.environ, "DAYLIGHT_ENV": "development", "DAYLIGHT_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "settings.development", "DATABASE_PRIMARY": "dynamodb",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'd.sqlite3'}", "HOME": str(tmp_path),
    }  # fmt: skip


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "connect", "--timeout", "20", *arguments], cwd=ROOT,
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@contextlib.contextmanager
def served(authority: Authority, *hosts: str) -> Iterator[str]:
    with Server(lambda _: dynamodb({}), tls=authority.issue(*hosts).context()) as server:
        yield server.endpoint


def test_a_process_ends_with_0_or_2_and_says_in_words_what_is_wrong(
    environment: dict[str, str], authority: Authority
) -> None:
    only = ("--only", "dynamodb", "--only", "sql")
    Path(environment["DATABASE_URL"].removeprefix("sqlite:///")).write_bytes(b"")
    with served(authority, "localhost") as endpoint:
        done = run({**environment, "DYNAMODB_ENDPOINT": endpoint}, *only)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("healthy at ") and "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    with served(authority, "db.example") as endpoint:
        done = run({**environment, "DYNAMODB_ENDPOINT": endpoint}, *only)
    assert (done.returncode, done.stderr) == (2, "")
    (sentence,) = [each for each in done.stdout.splitlines() if each.startswith("critical dyn")]
    assert "its certificate is for db.example, and not for localhost. Name the host in" in sentence


def test_json_is_one_document_on_one_line_with_every_fact(
    settings: Any, authority: Authority, tmp_path: Path
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "gone")}
    with served(authority, "localhost") as endpoint, default_database(given):
        settings.DYNAMODB_ENDPOINT = endpoint
        code, out = connect("--format", "json")
    (line,) = out.splitlines()
    told = json.loads(line)
    assert (code, told["status"]) == (1, "warning"), "there is no file yet"
    targets = {each["name"]: each for each in told["targets"]}
    assert list(targets) == [
        "credentials", "sts", "dynamodb", "s3", "sns", "cloudwatch", "sql", "cache", "mail",
        "slack", "pagerduty", "sentry", "clock",
    ]  # fmt: skip
    found = targets["dynamodb"]
    assert set(found) == {
        "name", "status", "unused", "endpoint", "addresses", "facts", "tls", "authorities",
        "clock_skew", "answer", "seconds", "troubles",
    }  # fmt: skip
    assert found["endpoint"] == endpoint and "127.0.0.1" in found["addresses"]
    assert found["tls"]["chain"][0]["names"] == ["localhost"]
    assert found["tls"]["chain"][0]["days_left"] == 90
    assert targets["slack"]["unused"] == "not configured: ALERT_SLACK_WEBHOOK is empty"
    assert targets["sql"]["troubles"][0]["status"] == "warning"


def test_one_that_hangs_holds_up_neither_the_others_nor_the_end(
    redis_server: RedisServer, settings: Any
) -> None:
    settings.DATABASE_PRIMARY = "dynamodb"
    settings.CACHES = {
        **settings.CACHES,
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_server.url,
        },
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.DYNAMODB_ENDPOINT = f"http://127.0.0.1:{silent.getsockname()[1]}"
        only = ("--only", "dynamodb", "--only", "cache")
        code, out = connect(*only, "--timeout", "1", "--format", "json")
    assert code == 2
    dynamodb, cache, _ = json.loads(out)["targets"]
    assert "can be reached and does not answer the call" in dynamodb["troubles"][0]["what"]
    assert dynamodb["endpoint"], "what was found before is told"
    assert cache["status"] == "healthy" and cache["answer"].startswith("PING: ")


def test_ctrl_c_ends_it_in_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "manage.py", "connect", "--timeout", "60"], cwd=ROOT,
            env={**environment, "DYNAMODB_ENDPOINT": endpoint}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            with silent.accept()[0], silent.accept()[0]:  # the second has the call
                process.send_signal(signal.SIGINT)
                out, told = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, out) == (130, "")
    assert told == "CommandError: interrupted: not everything was asked\n"


def test_a_wrong_argument_ends_with_1(environment: dict[str, str]) -> None:
    done = run({**environment, "DYNAMODB_ENDPOINT": ""}, "--only", "dynamo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no target dynamo; there are: credentials, sts, dynamodb, " in done.stderr


def test_what_is_asked_for_by_name_and_not_configured_is_a_warning(settings: Any) -> None:
    code, out = connect("--only", "slack")
    assert code == 1
    assert "it is not configured: ALERT_SLACK_WEBHOOK is empty" in out
    (line,) = [each for each in connect()[1].splitlines() if each.startswith(" slack ")]
    assert line.split() == [
        "slack",
        "-",
        "not",
        "configured:",
        "ALERT_SLACK_WEBHOOK",
        "is",
        "empty",
    ]
    code, out = connect("--format", "json")
    slack = next(each for each in json.loads(out)["targets"] if each["name"] == "slack")
    assert slack["status"] == "healthy", "nobody asked for it"


def test_what_is_not_in_use_is_asked_by_its_name(dynamodb: LocalEngine, settings: Any) -> None:
    settings.DATABASE_PRIMARY = "sqlite"
    settings.DYNAMODB_ENDPOINT = ""
    _, out = connect("--format", "json")
    found = next(each for each in json.loads(out)["targets"] if each["name"] == "dynamodb")
    assert found["unused"] == "not in use: DATABASE_PRIMARY is sqlite (--only dynamodb asks it)"
    settings.DYNAMODB_ENDPOINT = dynamodb.endpoint
    code, out = connect("--only", "dynamodb")
    assert code == 0 and "GetItem" in out


def test_what_the_other_side_says_is_no_markup_and_no_control_of_the_terminal(
    dynamodb: LocalEngine, settings: Any
) -> None:
    evil = "Evil\x1b[2J[red]\u202e:smile:Exception"
    with FaultProxy(dynamodb.endpoint, [lambda call: make_error(400, evil, evil)]) as proxy:
        settings.DYNAMODB_ENDPOINT = proxy.endpoint
        code, out = connect("--only", "dynamodb")
    assert code == 2 and "[red]" in out and ":smile:" in out
    assert all(each.isprintable() for each in out.splitlines())


def test_the_help_names_every_target(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    with pytest.raises(SystemExit):
        call_command("connect", "--help")
    said = " ".join(capsys.readouterr().out.split())
    settings.DATABASE_REPLICAS = []
    assert all(name in said for name in names())
    assert "2 something cannot be used" in said
