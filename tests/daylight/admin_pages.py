"""What the tests of the admin share: its models, records to show, forms as browsers send them."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from daylight.admin.base import RecordAdmin
from daylight.sample_data import sample
from dbcore.models import (
    AcceptedPolicy,
    AlertDelivery,
    AlertState,
    Archive,
    Checkpoint,
    DeadLetter,
    Deployment,
    Erasure,
    LegalHold,
    MigrationRun,
    RestoredRecord,
    Sweep,
)
from dbcore.monitoring.records import RecordWriter, Window
from dbcore.monitoring.totals import Totals

REGISTERED = {
    model: model_admin
    for model, model_admin in admin.site._registry.items()
    if model._meta.app_label in ("daylight", "dbcore")
}
RECORDS = [model for model, each in REGISTERED.items() if isinstance(each, RecordAdmin)]

REPORT = {
    "verified": True,
    "tables": {
        "users": {"read": 12345, "written": 12344, "dead_lettered": 1},
        "plans": {"read": 6, "written": 6, "differences": ["<i>title</i>"]},
    },
    "differences": {"sample": [1, 2]},
}


def fill() -> None:
    """A small sample, and the book-keeping of one migration and one sweep."""
    for model, made in sample(200, seed=3, now=timezone.now()):
        model._default_manager.bulk_create(made)
    Deployment.objects.create(target="ddb", completed_at=timezone.now(), tables=["users"])
    run = MigrationRun.objects.create(
        source="sqlite",
        target="ddb",
        host="web-1",
        pid=7,
        dead_lettered=1,
        report=REPORT,
        error="gave up",
    )
    Checkpoint.objects.create(
        source="sqlite", target="ddb", source_table="users", position={"rowid": 41}
    )
    DeadLetter.objects.create(
        source="sqlite",
        target="ddb",
        source_table="users",
        table="users",
        row_ref="41",
        key="user_41",
        reason="email is <b>missing</b>",
        row={
            "id": "user_41",
            "avatar": {"$bytes": "AP8="},
            "bio": "<script>alert(1)</script>",
            # PostgreSQL's JSON has no such thing.
            **({"half": "\ud83d"} if connection.vendor == "sqlite" else {}),
        },
        run=run,
    )
    fill_retention()
    fill_alerts()


def fill_alerts() -> None:
    """An alert that is firing, and what one channel was told of it."""
    now = timezone.now()
    AlertState.objects.create(
        rule="unhealthy_check", subject="tables", phase="firing", severity="critical",
        incident="incident-1", sentence="plans lacks its index <b>", since=now,
    )  # fmt: skip
    AlertDelivery.objects.create(
        channel="slack", incident="incident-1", created_at=now, next_at=now, state="sent",
        message={"rule": "unhealthy_check", "subject": "tables", "event": "started"},
        answer="200 <ok>",
    )  # fmt: skip


def fill_retention() -> None:
    """The book-keeping of one sweep, a hold, a restore and an erasure."""
    now = timezone.now()
    sweep = Sweep.objects.create(
        store="orm", target="sqlite", as_of=now, host="web-1", pid=7, report=REPORT, error="full"
    )
    archive = Archive.objects.create(
        sweep=sweep, store="orm", target="sqlite", table="plans", tier="warm", key_id="2026",
        object_name="plans/1.json.gz.aes", count=2, manifest={"count": 2, "keys": "AAECAwQFBgc="},
    )  # fmt: skip
    LegalHold.objects.create(
        scope="record", table="plans", subject="u/<p>", reason="case <7>", placed_by="counsel"
    )
    AcceptedPolicy.objects.create(
        table="plans", days=365, declared_days_max=365, accepted_by="the code"
    )
    RestoredRecord.objects.create(table="plans", key="u/p", archive=archive.pk, grace_until=now)
    Erasure.objects.create(subject="ab" * 32, requested_by="clerk", reason="asked", report=REPORT)


def measured(table: str, at: dt.datetime, *, calls: int) -> None:
    """What a process has reported of a minute: so many reads, 10 ms each."""
    totals = Totals(count=calls, seconds=calls / 100, worst=0.01, least=0.01, buckets={0.01: calls})
    key = ("sqlite", table, "SELECT")
    RecordWriter().write(Window(at, at + dt.timedelta(minutes=1), {key: totals}))


class FormValues(HTMLParser):
    """What a browser sends for the main form of a page that nobody touched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._textarea: str | None = None
        self._select: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        name = given.get("name")
        if tag == "textarea":
            self._textarea, self.values[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self.values[self._select] = given.get("value", "")
        elif tag == "input" and name:
            kind, ticked = given.get("type"), "checked" in given
            if kind not in ("submit", "checkbox") or (kind == "checkbox" and ticked):
                self.values[name] = given.get("value") or ("on" if ticked else "")

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea:
            # A browser drops the first line break of a textarea, and sends CRLF for every other.
            text = self.values[self._textarea].removeprefix("\r\n").removeprefix("\n")
            self.values[self._textarea] = text.replace("\r\n", "\n").replace("\n", "\r\n")
            self._textarea = None
        elif tag == "select":
            self._select = None


def page(name: str, model: type[models.Model], record: models.Model | None = None) -> str:
    args = [quote(record.pk)] if record is not None else []
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def stored(record: models.Model) -> dict[str, Any]:
    """The record as the database has it now."""
    return type(record)._default_manager.filter(pk=record.pk).values().get()


def untouched(client: Client, url: str) -> dict[str, str]:
    return FormValues(client.get(url).content.decode()).values


def found(client: Client, model: type[models.Model], query: dict[str, Any]) -> list[models.Model]:
    response = client.get(page("changelist", model), query)
    assert response.status_code == 200, (query, response.get("Location"))
    return list(response.context["cl"].queryset)
