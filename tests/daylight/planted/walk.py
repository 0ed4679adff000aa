"""A browser that goes wherever links of the admin lead, without a picture of it."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, deque
from html import unescape
from http.cookiejar import CookieJar

from tests.daylight.planted.secrets import ADMIN_PASSWORD

_LINK = re.compile(r'(?:href|src)="(/[^"#]*)"')
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
OF_A_KIND = 2  # pages of the same view that are looked at; of one with a query one


class Visitor:
    """Somebody with a browser, who signs in where `name` is said."""

    def __init__(self, url: str, name: str = "") -> None:
        self._url, self.name = url, name
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)
        if name:
            form = {"username": name, "password": ADMIN_PASSWORD, "next": "/admin/"}
            token = _TOKEN.search(self.get("/admin/login/").decode())
            assert token
            answer = self.post("/admin/login/", {**form, "csrfmiddlewaretoken": token[1]})
            assert b"Log out" in answer, f"{name} could not sign in"

    def get(self, path: str) -> bytes:
        """The page's headers and content, whatever its status."""
        return self._open(urllib.request.Request(self._url + path))

    def post(self, path: str, form: dict[str, str]) -> bytes:
        data = urllib.parse.urlencode(form).encode()
        return self._open(urllib.request.Request(self._url + path, data))

    def walk(self) -> dict[str, bytes]:
        """Pages by path, as far as links lead; of one view with other arguments a few."""
        found: dict[str, bytes] = {}
        waiting, kinds = deque(["/admin/", "/metrics", "/health/"]), Counter[str]()
        while waiting:
            path = waiting.popleft()
            if path in found or "logout" in path or "/static/" in path:
                continue
            kind = _kind(path)
            kinds[kind] += 1
            if kinds[kind] > (1 if "?" in kind else OF_A_KIND) or "," in kind:
                continue
            found[path] = self.get(path)
            base = path.partition("?")[0]
            text = found[path].decode(errors="replace")
            waiting += [unescape(each) for each in _LINK.findall(text)]
            waiting += [base + unescape(each) for each in re.findall(r'href="(\?[^"]*)"', text)]
        return found

    def _open(self, request: urllib.request.Request) -> bytes:
        try:
            with self._opener.open(request, timeout=60) as answer:
                return str(answer.headers).encode() + answer.read()  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            with error:
                assert error.code < 500 or request.selector == "/health/", request.full_url
                return str(error.headers).encode() + error.read()


def _kind(path: str) -> str:
    """The view of a path: without keys, and of a query only its names."""
    path, _, query = path.partition("?")
    parts = path.strip("/").split("/")
    view = [part if at < 3 or part in ("change", "history", "delete", "add") else "*"
            for at, part in enumerate(parts)]  # fmt: skip
    asked = {name.partition("__")[0] for name in urllib.parse.parse_qs(query, True)}
    return (
        "/".join(view) + ("?" if query else "") + ",".join(sorted(asked - {"_changelist_filters"}))
    )
