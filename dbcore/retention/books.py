"""What the layer's own books, and the admin's, say of one user; and how they come to forget it.

They keep what happened and when. Who it happened to is replaced by the erasure's pseudonym where
the entry has to stay, and goes with the entry where it has not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Q

from dbcore.attributes import Item
from dbcore.fields import joined_key
from dbcore.items import ItemLayout
from dbcore.letters import source_columns
from dbcore.models import DeadLetter, LegalHold, MigrationRun, RestoredRecord, Sweep
from dbcore.retention.records import key_text, layouts

_ABOUT_A_RECORD = ("why", "reason")  # texts of an entry beside its key: they may quote a value
_CHUNK = 200  # dead letters in hand at once: a row may be hundreds of kilobytes


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many entries of each book are without the user now."""

    dead_letters: int = 0
    restored_records: int = 0
    holds: int = 0
    reports: int = 0
    admin_log: int = 0


def letters_of(user: str) -> Iterator[DeadLetter]:
    """The dead letters whose row belongs to the user, open and resolved ones."""
    owned = {each.table.name: each for each in layouts() if each.table.owner is not None}
    for letter in DeadLetter.objects.filter(table__in=owned).iterator(chunk_size=_CHUNK):
        row = letter.row if isinstance(letter.row, dict) else {}
        layout = owned[letter.table]
        columns = source_columns(layout, str(layout.table.owner), letter.source_table)
        if any(_as_text(row.get(column)) == user for column in columns):
            yield letter


def _as_text(value: Any) -> str | None:
    """A stored value as text, as a dead letter keeps it (docs/dead-letters.md)."""
    if isinstance(value, dict):
        coded = value.get("$text") or value.get("$bytes")
        try:
            return base64.b64decode(str(coded)).decode("utf-8", "replace")
        except binascii.Error:
            return None
    return None if value is None else str(value)


def forget_letters(user: str) -> int:
    """Remove the user's dead letters: each is a whole record of theirs. How many there were."""
    count = 0
    for letter in letters_of(user):
        count += DeadLetter.objects.filter(pk=letter.pk).delete()[0]
    return count


def forget_graces(layout: ItemLayout, items: Sequence[Item]) -> int:
    """Remove the grace of records that are being erased: there is nothing left for it to spare,
    and its key may name the user."""
    keys = [key_text(layout, item) for item in items]
    found = RestoredRecord.objects.filter(table=layout.table.name, key__in=keys)
    return found.delete()[0]


def forget_in_books(user: str, pseudonym: str) -> Forgotten:
    """Make the books forget the user: dead letters, graces, ended holds, reports, admin log.

    A hold stays, with its dates, its reason and who placed it: that it was there has to be
    accounted for. Only its subject goes; none that is in force is on the user, or there would be
    no erasure. Safe to do twice.
    """
    keys = Q(key=user) | Q(key__startswith=_prefix(user))
    owned = [layout.table.name for layout in layouts() if _is_keyed_by_owner(layout)]
    subjects = Q(scope="user", subject=user) | Q(
        Q(subject=user) | Q(subject__startswith=_prefix(user)), scope="record", table__in=owned
    )
    return Forgotten(
        dead_letters=forget_letters(user),
        restored_records=RestoredRecord.objects.filter(keys, table__in=owned).delete()[0],
        holds=LegalHold.objects.filter(subjects).update(subject=pseudonym),
        reports=sum(_scrub(model, user, pseudonym) for model in (MigrationRun, Sweep)),
        admin_log=_forget_admin_log(user, pseudonym),
    )


def _prefix(user: str) -> str:
    return joined_key((user,)) + "/"


def _is_keyed_by_owner(layout: ItemLayout) -> bool:
    return layout.table.owner is not None and layout.table.hash_key == layout.table.owner


def _scrub(model: type[models.Model], user: str, pseudonym: str) -> int:
    """Replace the user's id, and keys that begin with it, in what runs have reported."""
    count = 0
    for key, *told in model._default_manager.values_list("pk", "report", "error").iterator():
        report, error = (_without(each, user, pseudonym) for each in told)
        if [report, error] != told:
            rows = model._default_manager.filter(pk=key)
            count += rows.update(report=report, error=error)
    return count


def _without(value: Any, user: str, pseudonym: str) -> Any:
    if isinstance(value, dict):
        clean = {name: _without(each, user, pseudonym) for name, each in value.items()}
        if clean.get("key") != value.get("key"):
            clean |= {name: "" for name in _ABOUT_A_RECORD if name in clean}
        return clean
    if isinstance(value, list):
        return [_without(each, user, pseudonym) for each in value]
    if not isinstance(value, str):
        return value
    starts = (_prefix(user), *(f"{name}{end}" for name in _names(user) for end in (" ", ":")))
    if value in _names(user) or value.startswith(starts):
        return pseudonym  # all of it: it is about the user, or a record of theirs
    return re.sub(rf"(?<!\S){re.escape(_prefix(user))}\S*", pseudonym, value)


def _names(user: str) -> tuple[str, str]:
    """The user's id, and as the key of a record."""
    return user, joined_key((user,))


def _forget_admin_log(user: str, pseudonym: str) -> int:
    """The admin's log of changes to records that are keyed by the user."""
    ids = Q(object_id=user) | Q(object_id__startswith=_prefix(user))
    return sum(
        _rewrite_log(layout, ids, {"object_id": pseudonym}, pseudonym)
        for layout in layouts()
        if _is_keyed_by_owner(layout)
    )


def forget_log_of(layout: ItemLayout, items: Sequence[Item], pseudonym: str) -> int:
    """Take the user's words out of the admin's log of changes to these records."""
    single = len(layout.key) == 1
    attribute = layout.key[0].attribute
    ids = [
        str(next(iter(item[attribute].values()))) if single else key_text(layout, item)
        for item in items
    ]
    return _rewrite_log(layout, Q(object_id__in=ids), {}, pseudonym)


def _rewrite_log(layout: ItemLayout, ids: Q, also: dict[str, str], pseudonym: str) -> int:
    if not apps.is_installed("django.contrib.admin"):
        return 0
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    kind = ContentType.objects.get_for_model(layout.model)
    # What was done, when and by whom stays; what the record said of itself does not.
    found = LogEntry.objects.filter(ids, content_type=kind).exclude(object_repr=pseudonym)
    return found.update(object_repr=pseudonym, change_message="", **also)
