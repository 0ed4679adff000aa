"""What is planted in every table, and the only places where each may be seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

# Places. A store's own files, and Django's database, are not among them: all of it is there.
PAGES = "pages of who may see records"
FORMS = "forms of who may change records"
LETTERS = "what dead letters show"
EXPORT = "the export of their user"
CACHE = "the cache of records"
HOOK = "the hook whose key it is"

HASH = "plantedsalt$plantedhash0001"
TOKEN = "plantedtoken0002"
OLD_SESSION = "planted-session-0003-of-an-earlier-backend"
EMAIL = "planted.0004@post.example"
LATITUDE = "48.7005311"
ADMIN_PASSWORD = "planted-password-0005"
SETTINGS = "planted-of-the-settings-0006"


@dataclass
class Planted:
    """Values that are one kind of secret, and where they belong."""

    kind: str
    values: set[str]
    belongs: frozenset[str] = field(default_factory=frozenset)

    def is_in(self, content: bytes) -> bool:
        return any(form.encode() in content for each in self.values for form in _forms(each))


def planted() -> dict[str, Planted]:
    """By kind; what services give out (ids of sessions, keys) is added when they have."""
    found = [
        Planted("password hash", {HASH, "plantedhash0001"}),
        Planted("session id", {OLD_SESSION}),
        Planted("api key", set()),
        # By it, as by that of a session, one can tell of which key a record is.
        Planted("hash of an api key", set(), frozenset({PAGES, FORMS, EXPORT})),
        Planted("password of staff", {ADMIN_PASSWORD}),
        Planted("secret of the settings", {SETTINGS}),
        # Whoever may change a record gets its JSON as it is: what is masked would be saved so. The
        # cache has records as they are, but for the fields that are declared secret.
        Planted("token in a record's JSON", {TOKEN}, frozenset({FORMS, EXPORT, CACHE})),
        Planted("e-mail address", {EMAIL}, frozenset({PAGES, FORMS, LETTERS, EXPORT, CACHE})),
        Planted("position", {LATITUDE}, frozenset({PAGES, FORMS, LETTERS, EXPORT, CACHE})),
    ]
    return {each.kind: each for each in found}


def seen(secrets: Iterable[Planted], content: bytes, *places: str) -> list[str]:
    """Which kinds are in `content` and do not belong there."""
    return [
        each.kind
        for each in secrets
        if not each.belongs.intersection(places) and each.is_in(content)
    ]


def _forms(value: str) -> set[str]:
    """As it is, as an address has it, and as pages have it."""
    return {value, quote(value, safe=""), value.replace("@", "&#64;"), value.upper()}
