"""Odd query strings and forms for the admin, as nobody who means well would send them."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from django.contrib import admin
from django.test import Client
from django.test.client import FakePayload
from django.urls import reverse
from hypothesis import strategies as st

from tests.daylight.admin_pages import FormValues, page

DIGITS = "9" * 5000
VALUES = (
    "", " ", "0", "-1", "1", "abc", "\0", "a\0b", "%", "%00", "'\"\\", "{}", "{", "[", "]", "null",
    "true", "NaN", "Infinity", "-Infinity", "1e999", "-0", "0x10", "1_000", "٣", "²", "1.5", "1e5",
    DIGITS, f"-{DIGITS}", f"{DIGITS}.5", "9" * 25, "9223372036854775808", "2147483648", "32768",
    "99999999", "9999", "10000", "13", "1e99999999999", "x" * 300, "x" * 60_000, "x " * 1200,
    "2026-01-01", "2026-02-31", "0000-01-01", "10000-01-01", "9999-12-31", "0001-01-01",
    "2026-01-01 00:00:00+00:00", "2026-01-01 00:00:00", "9999-12-31 23:59:59-23:59", "23:59:60",
    "24:00", "🙂", "\u202e", "\ufeff", "e\u0301", "a/b", "..", "a,b", ",,", "a.b.c", "-1.2.-3",
    "[" * 5000, "[" * 5000 + "]" * 5000, '{"a":' * 3000, "[" * 40 + "]" * 40, f"[{DIGITS}]",
    f'{{"a": {DIGITS}}}', '{"a": 1e400}', '{"a": NaN}', '{"a": "\\ud800"}', '{"\\u0000": 1}',
    '"text"', "5", '{"a": 1, "a": 2}', "[1,]",
)  # fmt: skip
LOOKUPS = (
    "", "exact", "iexact", "contains", "icontains", "startswith", "regex", "iregex", "in", "gt",
    "gte", "lt", "lte", "range", "isnull", "year", "month", "day", "week_day", "date", "time",
    "date__year", "has_key", "contained_by", "lower", "length", "nothing", "0", "a__b",
)  # fmt: skip
OFFERED = ("", "__exact", "__exact", "__isnull", "__gte", "__lt", "__year", "__month", "__day")
# Some of them more than once: they are asked more often.
CONTROLS = (
    *("q", "o", "all", "_facets") * 8, "p", "e", "_popup", "_to_field", "expiry", "state", "pk", "",
    "__",
)  # fmt: skip
Pairs = list[tuple[str, bytes]]


def encoded(pairs: Pairs) -> str:
    """Names and values as they stand in an address or a form, whatever bytes they are."""
    return "&".join(f"{quote_from_bytes(n.encode())}={quote_from_bytes(v)}" for n, v in pairs)


_TEXTS = st.sampled_from(VALUES) | st.text(max_size=30) | st.integers().map(str)
_DATES = st.datetimes().map(str) | st.dates().map(str)
# What a parameter or a field may be given.
ODD = (_TEXTS | _DATES).map(str.encode) | st.binary(max_size=20)


def list_pages() -> dict[str, list[str]]:
    """The address of every list, and names that a query string for it may have: mostly such as the
    list offers, then lookups of all its fields."""
    pages = {}
    for model, shown in admin.site._registry.items():
        filtered = [each[0] if isinstance(each, tuple) else each for each in shown.list_filter]
        near = [each for each in (*filtered, shown.date_hierarchy) if isinstance(each, str)]
        offered = [f"{name}{each}" for name in near for each in OFFERED]
        offered += [*getattr(shown, "linked_lookups", ()), *CONTROLS]
        fields = [each.name for each in model._meta.get_fields()]
        others = [f"{name}__{each}" if each else name for name in fields for each in LOOKUPS]
        often = 1 + 3 * len(others) // len(offered)
        pages[page("changelist", model)] = offered * often + others
    return pages


def list_queries(pages: dict[str, list[str]]) -> st.SearchStrategy[tuple[str, str]]:
    """The address of a list and a query string."""
    return st.sampled_from(
        [
            st.tuples(
                st.just(url),
                st.lists(
                    st.tuples(st.sampled_from(names) | st.text(max_size=10), ODD),
                    min_size=1, max_size=2,
                ).map(encoded),
            )
            for url, names in pages.items()
        ]
    ).flatmap(lambda each: each)  # fmt: skip


def form_pages(client: Client) -> dict[str, dict[str, str]]:
    """The address of every form of the admin, and what a browser sends of it untouched."""
    found = {}
    for model in admin.site._registry:
        urls = [page("add", model)]
        if record := model._default_manager.first():
            urls.append(page("change", model, record))
        for url in urls:
            form = FormValues(client.get(url).content.decode()).values
            form.pop("csrfmiddlewaretoken", None)
            found |= {url: form} if form else {}  # empty: a page to read, or none
    login = reverse("admin:login")
    return {**found, login: {"username": "a", "password": "b", "next": "/"}}


def forms(pages: dict[str, dict[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """The address of a form, and the form with odd values in up to eight of its fields."""
    controls = ["_to_field", "_popup", "_saveasnew", "_continue", "nothing"]

    def spoilt(url: str, odd: Pairs) -> tuple[str, str]:
        changed = {name for name, _ in odd}
        kept = [(name, each.encode()) for name, each in pages[url].items() if name not in changed]
        return url, encoded([*kept, *odd])

    return st.sampled_from(
        [
            st.builds(
                spoilt, st.just(url),
                st.lists(
                    st.tuples(st.sampled_from([*form, *form, *controls]), ODD),
                    min_size=1, max_size=8,
                ),
            )
            for url, form in pages.items()
        ]
    ).flatmap(lambda each: each)  # fmt: skip


def selections(pages: dict[str, list[str]]) -> st.SearchStrategy[tuple[str, str]]:
    """The address of a list, and an action on what was selected in it."""
    actions = st.sampled_from(["delete_selected", "mark_resolved", "nothing"]).map(str.encode)
    action = st.tuples(st.just("action"), actions | ODD)
    selected = st.lists(st.tuples(st.just("_selected_action"), ODD), max_size=3)
    names = st.sampled_from(["index", "select_across", "post", "_save"])
    others = st.lists(st.tuples(names, ODD), max_size=2)
    pairs = st.builds(
        lambda one, some, more: encoded([one, *some, *more]), action, selected, others
    )
    return st.tuples(st.sampled_from(list(pages)), pairs)


def status_of(client: Client, method: str, url: str, pairs: str) -> int:
    """What a request with this query or form is answered with. Past the client's own keeping of
    every template's context, which takes a third of the time."""
    body = b"" if method == "GET" else pairs.encode()
    environ = client._base_environ(
        REQUEST_METHOD=method, PATH_INFO=url, QUERY_STRING=pairs if method == "GET" else "",
        CONTENT_TYPE="application/x-www-form-urlencoded", CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": FakePayload(body)},
    )  # fmt: skip
    return int(client.handler(environ).status_code)
