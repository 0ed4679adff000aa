"""Secrets are planted in every table, everything is run as real processes on both stores, and then
every page, file, cache entry, log line, metric, mail and web hook is searched for them."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from dbcore.local_engine import LocalEngine
from tests.daylight.planted.secrets import (
    CACHE,
    EMAIL,
    EXPORT,
    FORMS,
    HASH,
    HOOK,
    LATITUDE,
    LETTERS,
    OLD_SESSION,
    PAGES,
    SETTINGS,
    TOKEN,
    Planted,
    planted,
    seen,
)
from tests.daylight.planted.walk import Visitor
from tests.daylight.serving import gunicorn
from tests.dbcore.migration.legacy_file import build
from tests.dbcore.migration.runs import ROOT, Outcome, Project
from tests.dbcore.monitoring.alerts.receivers import ROUTING_KEY, SLACK_SECRET, Hooks, MailServer
from tests.support.redis import RedisServer

# In one worker: they look at the same processes' output.
pytestmark = pytest.mark.xdist_group("planted")

BELONGS = {"outsider": (), "": (), "viewer": (PAGES, LETTERS), "operator": (PAGES, FORMS, LETTERS)}


@dataclass
class Site:
    """An installation, and all that was seen of it."""

    project: Project
    secrets: dict[str, Planted]
    said: dict[str, Outcome] = field(default_factory=dict)
    pages: dict[str, dict[str, bytes]] = field(default_factory=dict)
    metrics: bytes = b""
    mails: list[str] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)
    cache: dict[bytes, bytes] = field(default_factory=dict)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Outcome:
        outcome = self.project.run(*arguments)
        assert outcome.code in codes, (
            arguments,
            outcome.code,
            outcome.err[-3000:],
            outcome.out[-3000:],
        )
        self.said[" ".join(arguments)] = outcome
        return outcome

    def live(self, primary: str) -> str:
        """Have the services live on a store; the user's id."""
        process = subprocess.run(
            [sys.executable, "-m", "tests.daylight.planted.living"], cwd=ROOT, text=True,
            capture_output=True, timeout=180, check=False,
            env={**self.project.environment(), "DATABASE_PRIMARY": primary,
                 "DJANGO_SETTINGS_MODULE": "settings.development"},
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        given = json.loads(process.stdout)
        (user,) = given.pop("user")
        for kind, values in given.items():
            self.secrets[kind].values.update(values)
        self.said[f"services on {primary}"] = Outcome(0, "", process.stderr)
        return str(user)

    @property
    def letters(self) -> list[dict[str, Any]]:
        """A dead letter of each table."""
        found = {each["source_table"]: each for each in self.project.rows("deadletter")}
        return list(found.values())

    def found(self, content: bytes | str, *places: str) -> list[str]:
        text = content.encode() if isinstance(content, str) else content
        return seen(self.secrets.values(), text, *places)


def plant_earlier(file: Path) -> None:
    """A file of the earlier backend, with secrets in good rows and in bad ones of each table."""
    legacy = build(file, places=24, history=12, users=24, profiles=12, sessions=24)
    place = json.dumps({"lat": float(LATITUDE), "lng": 11.5, "api_token": TOKEN})
    legacy.execute("UPDATE users SET password_hash = ?", HASH)
    legacy.execute("UPDATE users SET email = ? || email WHERE id = 'user-1'", EMAIL)
    legacy.execute("UPDATE users SET username = ? WHERE id = 'maybe'", EMAIL)
    legacy.execute("UPDATE location_history SET location = ? WHERE id != 'bad-json'", place)
    legacy.execute("UPDATE location_history SET location = ? WHERE id = 'bad-json'", place[:-1])
    legacy.execute("UPDATE history SET lat = ? WHERE lat < 1e9", float(LATITUDE))
    legacy.execute("UPDATE user_sessions SET session_id = ? || session_id", OLD_SESSION)
    legacy.execute("UPDATE user_sessions SET data = ? WHERE data != '\"text\"'", place)
    legacy.execute("UPDATE user_profiles SET settings = ?", place)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, dynamodb_engine: LocalEngine) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        mail = stack.enter_context(MailServer().running())
        hooks = stack.enter_context(Hooks().running())
        redis = stack.enter_context(contextlib.closing(RedisServer()))
        folder = tmp_path_factory.mktemp("planted")
        found = planted()
        found["secret of the settings"].values.add(SLACK_SECRET)
        found["key of a hook"] = Planted("key of a hook", {ROUTING_KEY}, frozenset({HOOK}))
        environment = {
            "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "DJANGO_DEBUG": "false",
            "DB_LATENCY_THRESHOLD": "0", "RETENTION_LOOKBACK_DAYS": "30",
            "ARCHIVE_DIR": str(folder / "archives"), "CACHE_URL": redis.url,
            "APP_CACHE_TTL": "3600",
            "METRICS_TOKEN": SETTINGS, "DJANGO_SECRET_KEY": SETTINGS * 3,
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}", "ALERT_EMAIL": "oncall@site.example",
            "ALERT_SLACK_WEBHOOK": hooks.slack_url, "ALERT_PAGERDUTY_KEY": ROUTING_KEY,
            "ALERT_PAGERDUTY_URL": hooks.pagerduty_url, "DB_ALERTS_SOURCE": "planted",
            "DB_METRICS_INTERVAL": "1",
        }  # fmt: skip
        project = Project(
            folder, dynamodb_engine.endpoint, f"p{uuid.uuid4().hex[:8]}-", environment
        )
        made = Site(project, found)
        run_everything(made)
        made.mails = [read(each) for each in mail.mails]
        made.hooks = [*hooks.slack, *hooks.pagerduty]
        with redis.client() as client:
            made.cache = {key: client.get(key) for key in client.scan_iter()}
        yield made


def read(mail: EmailMessage) -> str:
    """A mail as it is read: its parts may be sent in base64."""
    parts = [each for each in mail.walk() if each.get_content_maintype() == "text"]
    return "\n".join([str(mail.items()), *(str(each.get_content()) for each in parts)])  # type: ignore[attr-defined]


def run_everything(site: Site) -> None:
    file = site.project.folder / "earlier.sqlite3"
    plant_earlier(file)
    site.run("migrate")
    site.run("sync_tables")
    site.run("migrate_to_dynamo", "--source", str(file), codes=(3,))
    site.run("migrate_to_dynamo", "--source", str(file), "--format", "json", codes=(3,))
    site.run("dead_letters", "list")
    site.run("dead_letters", "list", "--format", "json")
    user = site.live("sqlite")
    site.live("dynamodb")
    site.run("db_health", codes=(0, 1, 2))
    site.run("monitor", "--once", "--interval", "0.1", codes=(0, 1, 2))
    site.run("send_test_alert")
    site.run("enforce_retention", "--dry-run")
    site.run("enforce_retention", "--accept-large-sweep", "--no-input", "--format", "json")
    site.run("reconcile_archives", "--deep")
    site.run("restore_archive", "--user", "old", "--export-to", str(site.project.folder / "out"),
             "--who", "clerk", "--why", "asked", "--no-input")  # fmt: skip
    site.run("export_user", user, "--who", "clerk", "--why", "asked", "--output",
             str(site.project.folder / "export.json"))  # fmt: skip
    site.run("legal_hold", "place", "--user", user, "--who", "clerk", "--why", "asked")
    site.run("configuration")
    for letter in site.letters:
        site.run("dead_letters", "show", str(letter["id"]))
    look_at_pages(site)


def without(path: str, content: bytes) -> bytes:
    """A page without the address that it was asked for by, which it may say."""
    for form in (path, urllib.parse.quote(path), path.replace("&", "&amp;")):
        content = content.replace(form.encode(), b"")
    return content


def look_at_pages(site: Site) -> None:
    given = site.project.environment()
    with gunicorn(site.project.folder, "--threads", "4", **given) as server:
        server.wait_for(200)
        for name in ("operator", "viewer"):
            visitor = Visitor(server.url, name)
            letters = [f"/admin/dbcore/deadletter/{each['id']}/change/" for each in site.letters]
            site.pages[name] = visitor.walk() | {path: visitor.get(path) for path in letters}
        for name in ("outsider", ""):
            visitor = Visitor(server.url, name)
            site.pages[name] = {path: visitor.get(path) for path in site.pages["operator"]}
        answer = server.get("/metrics", Authorization=f"Bearer {SETTINGS}")
        assert answer is not None and answer.status == 200
        site.metrics = answer.text.encode()


def test_none_is_on_a_page_that_it_is_not_for(site: Site) -> None:
    found = {
        (name, path): kinds
        for name, pages in site.pages.items()
        for path, content in pages.items()
        if (kinds := site.found(without(path, content), *BELONGS[name]))
    }
    assert found == {}
    assert len(site.pages["operator"]) > 150 and len(site.pages["viewer"]) > 100
    assert site.pages[""].keys() == site.pages["operator"].keys()


def test_none_is_in_what_a_command_says_or_a_process_logs(site: Site) -> None:
    for name, outcome in site.said.items():
        places = [LETTERS] if name.startswith("dead_letters") else []
        assert site.found(outcome.out, *places) == [], name
        assert site.found(outcome.err) == [], name
    assert site.found((site.project.folder / "server.log").read_bytes()) == []


def test_none_is_in_a_metric_a_mail_or_a_web_hook(site: Site) -> None:
    assert site.found(site.metrics) == []
    assert site.hooks and any("planted" in each for each in site.mails), "they name the site"
    assert [kinds for each in site.mails if (kinds := site.found(each))] == []
    assert [kinds for each in site.hooks if (kinds := site.found(json.dumps(each), HOOK))] == []


def test_none_is_in_the_cache_but_what_records_have_that_is_no_secret(site: Site) -> None:
    assert any(site.found(value) for value in site.cache.values()), "records are there"
    assert {
        key: k for key, value in site.cache.items() if (k := site.found(key + value, CACHE))
    } == {}


def test_none_is_in_a_file_but_databases_and_what_was_asked_for(site: Site) -> None:
    folder = site.project.folder
    files = [each for each in folder.rglob("*") if each.is_file()]
    found = {}
    for each in files:
        if "sqlite3" in each.name:
            continue
        asked_for = each.name == "export.json" or folder / "out" in each.parents
        content = each.read_bytes()
        content = gzip.decompress(content) if each.suffix == ".gz" else content
        if kinds := site.found(content, *([EXPORT] if asked_for else [])):
            found[str(each.relative_to(folder))] = kinds
    assert found == {}
    assert any(folder / "archives" in each.parents for each in files)


def test_each_was_there_to_be_found(site: Site) -> None:
    """Else nothing above could fail."""
    rows = (site.project.folder / "books.sqlite3").read_bytes()
    rows += (site.project.folder / "earlier.sqlite3").read_bytes()
    for kind in ("password hash", "session id", "hash of an api key", "e-mail address", "position",
                 "token in a record's JSON"):  # fmt: skip
        assert site.secrets[kind].is_in(rows), kind
    assert site.found((site.project.folder / "export.json").read_bytes()) != []
    operator = b"".join(site.pages["operator"].values())
    assert {"e-mail address", "position", "token in a record's JSON"} <= set(site.found(operator))
