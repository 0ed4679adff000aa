"""The examples of docs/services.md do what the page says, on each store; the page has them word for
word, and every call of every service."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from daylight import database
from daylight.database import (
    location_history_service,
    planning_service,
    session_service,
    user_service,
)
from daylight.services.base import Service
from dbcore.monitoring.starting import STARTING
from dbcore.stores import errors
from dbcore.stores.dynamo import DynamoStore
from dbcore.stores.orm import OrmStore
from tests.daylight import example_views
from tests.daylight.services.conftest import (  # noqa: F401
    dynamodb_tables,
    primary,
    sqlite_tables,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "services.md"
MODULE = Path(example_views.__file__)
BLOCK = re.compile(r"(?<=<!-- example: )(\w+)( -->\n```python\n)(.*?)(?=```\n)", re.DOTALL)
CALLS = re.compile(r"(?<=<!-- calls -->\n)(.*?)(?=<!-- end of calls -->)", re.DOTALL)

KINDS = [kind.__name__ for kind in example_views.STATUS]

on_each_store = pytest.mark.usefixtures("primary", "site")


@pytest.fixture
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.daylight.example_views"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.daylight.example_views.StoreErrors"]


def sign_in(name: str) -> dict[str, Any]:
    """A new user's headers."""
    data = {"id": name, "email": f"{name}@example.org", "password_hash": "hash"}
    user_service.create_user(data)
    session_id, _ = session_service.create_auth_session(name, ttl=dt.timedelta(hours=1))
    return {"Authorization": f"Bearer {session_id}"}


class Site:
    """One user's requests: by the test client, or by the async one through ASGI."""

    def __init__(self, headers: dict[str, Any], *, asynchronous: bool) -> None:
        kind = AsyncClient if asynchronous else Client
        self._client: Any = kind(raise_request_exception=False)
        self._headers = headers
        self._asynchronous = asynchronous

    def ask(self, method: str, url: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        call: Any = getattr(self._client, method)
        if self._asynchronous:
            call = async_to_sync(call)
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = call(url, headers=self._headers, **given)
        is_json = answer.headers.get("Content-Type") == "application/json"
        return answer.status_code, answer.json() if is_json else None


@pytest.fixture(params=[False, True], ids=["client", "async_client"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def ana(primary: str, asynchronous: bool) -> Site:  # noqa: F811
    return Site(sign_in("ana"), asynchronous=asynchronous)


@pytest.fixture
def bea(primary: str, asynchronous: bool) -> Site:  # noqa: F811
    return Site(sign_in("bea"), asynchronous=asynchronous)


def follow(site: Site, url: str) -> Iterator[list[Any]]:
    """The pages of a list, by its cursors."""
    cursor = ""
    while cursor is not None:
        status, page = site.ask("get", url + (f"&cursor={cursor}" if cursor else ""))
        assert status == 200
        yield page["places"]
        cursor = page["next"]


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_a_json_api_adds_places_and_lists_them_by_its_cursors(ana: Site, bea: Site) -> None:
    for at in range(5):
        body = {"location": {"lat": at}, "activity": "walk"}
        status, added = ana.ask("post", "/places", body)
        assert status == 201 and added["location"] == {"lat": at} and added["metadata"] == {}
    pages = list(follow(ana, "/places?limit=2"))
    assert [[each["location"]["lat"] for each in page] for page in pages] == [[4, 3], [2, 1], [0]]
    assert bea.ask("get", "/places") == (200, {"places": [], "next": None})


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_a_bad_cursor_limit_or_body_is_told(ana: Site, bea: Site) -> None:
    for site, _ in ((each, at) for each in (ana, bea) for at in range(2)):
        site.ask("post", "/places", {"location": {}})
    hers = bea.ask("get", "/places?limit=1")[1]["next"]
    asked = {
        "cursor": [("get", "/places?cursor=x", None), ("get", f"/places?cursor={hers}", None)],
        "limit": [("get", "/places?limit=0", None), ("get", "/places?limit=x", None)],
        "body": [("post", "/places", "{"), ("post", "/places", "[]")],
        "location": [("post", "/places", {"activity": "walk"})],
        "user_id": [("post", "/places", {"location": {}, "user_id": "bea"})],
        "activity": [("post", "/places", {"location": {}, "activity": 5})],
    }
    for field, requests in asked.items():
        for request in requests:
            status, answer = ana.ask(*request)
            assert (status, answer["error"], answer["field"]) == (400, "InvalidRecord", field)
    assert len(ana.ask("get", "/places")[1]["places"]) == 2


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_nobody_reaches_what_another_user_owns(ana: Site, bea: Site) -> None:
    _, place = ana.ask("post", "/places", {"location": {"lat": 1}})
    _, plan = ana.ask("post", "/plans", {"title": "Lake"})
    missing = {"error": "RecordNotFound"}
    for method, url, body in (
        ("delete", f"/places/{place['id']}", None),
        ("get", f"/plans/{plan['id']}", None),
        ("patch", f"/plans/{plan['id']}", {"title": "Sea"}),
    ):
        status, answer = bea.ask(method, url, body)
        assert status == 404 and missing.items() <= answer.items()
    assert ana.ask("get", f"/plans/{plan['id']}") == (200, {"id": plan["id"], "title": "Lake"})
    assert ana.ask("delete", f"/places/{place['id']}") == (204, None)
    assert ana.ask("delete", f"/places/{place['id']}")[0] == 404


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_async_views_read_and_write(ana: Site) -> None:
    _, lake = ana.ask("post", "/plans", {"title": "Lake"})
    ana.ask("post", "/plans", {"title": "Sea"})
    changed = ana.ask("patch", f"/plans/{lake['id']}", {"title": "Lake and hut"})
    assert changed == (200, {"id": lake["id"], "title": "Lake and hut"})
    home = {"email": "ana@example.org", "plans": ["Sea", "Lake and hut"]}
    assert ana.ask("get", "/home") == (200, home)
    assert ana.ask("post", "/plans", {"title": "", "description": "x"})[1]["field"] == "title"


@on_each_store
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["/places", "/home"])
def test_who_is_not_signed_in_is_refused(url: str, primary: str, asynchronous: bool) -> None:  # noqa: F811
    headers = sign_in("ana")
    for other in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer " + "x" * 99}):
        assert Site(other, asynchronous=asynchronous).ask("get", url)[0] == 403
    signed_in = Site(headers, asynchronous=asynchronous)
    assert signed_in.ask("get", url)[0] == 200
    session_service.end_all_of_user("ana")
    assert signed_in.ask("get", url)[0] == 403


@on_each_store
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["/places", "/home"])
def test_a_store_out_of_reach_is_a_503_that_tells_nothing(
    url: str, ana: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def query(*_: Any) -> Any:
        raise errors.StoreUnavailable("secret.host does not answer")

    for store in (OrmStore, DynamoStore):
        monkeypatch.setattr(store, "query", query)
    assert ana.ask("get", url) == (503, {"error": "try again"})


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_what_is_no_store_error_stays_what_it_is(
    ana: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def query(*_: Any) -> Any:
        raise ZeroDivisionError

    for store in (OrmStore, DynamoStore):
        monkeypatch.setattr(store, "query", query)
    assert ana.ask("get", "/home")[0] == ana.ask("get", "/places")[0] == 500


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_a_whole_list_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(3):
        location_history_service.add_location_history("ana", {"at": at}, "walk")
    kind: Any = type(location_history_service)
    read = kind.aget_user_location_history

    async def in_ones(self: Any, owner: str, limit: int, cursor: str | None) -> Any:
        assert limit == 1000
        return await read(self, owner, 1, cursor)

    monkeypatch.setattr(kind, "aget_user_location_history", in_ones)
    found = async_to_sync(example_views.all_places)("ana")
    assert [each.location["at"] for each in found] == [2, 1, 0]


@on_each_store
@pytest.mark.django_db(transaction=True)
def test_a_process_makes_itself_ready_within_an_event_loop_too() -> None:
    async def imported() -> None:
        example_views.start()
        assert not STARTING.waiting

    example_views.start()
    assert not STARTING.waiting
    async_to_sync(imported)()
    assert planning_service.create_plan("ana", {"title": "Lake"}).title == "Lake"


def test_every_store_error_has_a_status() -> None:
    classes = (each for each in vars(errors).values() if inspect.isclass(each))
    kinds = {each for each in classes if issubclass(each, errors.StoreError)}
    assert set(example_views.STATUS) == kinds - {errors.StoreError}


def parts() -> dict[str, str]:
    """The module's parts by name, as they stand there."""
    found = re.split(r"^# --- (\w+) -+\n", MODULE.read_text(), flags=re.MULTILINE)[1:]
    return {
        name: text.strip("\n") + "\n" for name, text in zip(found[::2], found[1::2], strict=True)
    }


def services() -> dict[str, Service]:
    """The services that views import, by name."""
    found = {name: getattr(database, name) for name in sorted(database.__all__)}
    return {name: each for name, each in found.items() if isinstance(each, Service)}


def calls_of(service: Service) -> list[Any]:
    """A service's calls without their async twins, in the order in which they were written."""
    written = vars(type(service))
    public = {name: call for name, call in written.items() if not name.startswith("_")}
    return [call for name, call in public.items() if f"a{name}" in public]


def row(call: Any) -> str:
    """A call's row: how it is called, what it does, what it raises, whether it may lag."""
    signature = inspect.signature(call)
    given = [
        each.replace(annotation=inspect.Parameter.empty)
        for name, each in signature.parameters.items()
        if name != "self"
    ]
    how = call.__name__ + str(inspect.Signature(given))
    text = inspect.getdoc(call) or ""
    # Its first paragraph, up to the errors, which have a column of their own.
    what = re.split(rf"[;.]? *\b(?:{'|'.join(KINDS)})\b", " ".join(text.split("\n\n")[0].split()))[
        0
    ]
    what = what.rstrip(".") or call.__name__.replace("_", " ").capitalize()
    raised = [kind for kind in KINDS if re.search(rf"\b{kind}\b", text)]
    lags = "may lag" if "ventually consistent" in text else ""
    return f"| `{how}` | {what} | {', '.join(raised)} | {lags} |".replace("|  |", "| |")


def tables() -> str:
    """All services' calls."""
    lines: list[str] = []
    for name, service in services().items():
        about = " ".join((inspect.getdoc(type(service)) or "").split())
        lines += [f"### {name}", "", about, ""]
        lines += ["| call | what it does | raises | |", "|---|---|---|---|"]
        lines += [*map(row, calls_of(service)), ""]
    lines += ["### The process", "", "| call | what it does |", "|---|---|"]
    for name in sorted(database.__all__):
        call = getattr(database, name)
        if inspect.isfunction(call):
            what = " ".join((inspect.getdoc(call) or "").split("\n\n")[0].split())
            lines.append(f"| `{name}()` | {what} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_examples_and_the_calls_as_they_are_now() -> None:
    examples, page = parts(), PAGE.read_text()
    assert sorted(found[0] for found in BLOCK.findall(page)) == sorted(examples)
    wanted = BLOCK.sub(lambda found: found[1] + found[2] + examples[found[1]], page)
    wanted = CALLS.sub(lambda _: tables(), wanted)
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "docs/services.md is old: UPDATE_DOCS=1 make test"
    assert "get_user_location_history(user_id, limit=50, cursor=None)" in wanted


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    page = PAGE.read_text()
    headings = {
        heading.lower().replace(" ", "-") for heading in re.findall(r"^##+ (.+)$", page, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) - headings == set()
