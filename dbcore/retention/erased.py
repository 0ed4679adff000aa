"""Who was erased, and what is left of a record that has to stay without them.

The book of erasures names nobody: it keeps a digest of each id. The digest has no key, since with
one that rotated or was lost the erasures could no longer be honoured; whoever has an id may so see
that it was erased, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.db import models

from dbcore.attributes import AttributeValue, Item
from dbcore.errors import ConfigurationError
from dbcore.items import DERIVED, Column, ItemLayout
from dbcore.models import Erasure
from dbcore.retention.records import owner_of

_LOOKUP = 500  # subjects in one question to Django's database
_TEXTS = (models.CharField, models.TextField)


def subject_of(user: str) -> str:
    """What the book of erasures knows a user by: 64 hexadecimal digits."""
    return hashlib.blake2b(user.encode(), digest_size=32, person=b"dbcore.erasure").hexdigest()


def erasure_of(user: str) -> Erasure | None:
    """A user's erasure, begun or completed."""
    return Erasure.objects.filter(subject=subject_of(user)).first()


def erased_among(layout: ItemLayout, items: Iterable[Item]) -> dict[str, Erasure]:
    """The users, by id, to whom some of these records belong and who were erased."""
    owners = {owner for item in items if (owner := owner_of(layout, item)) is not None}
    users = {subject_of(owner): owner for owner in owners}
    subjects = list(users)
    found: dict[str, Erasure] = {}
    for start in range(0, len(subjects), _LOOKUP):
        rows = Erasure.objects.filter(subject__in=subjects[start : start + _LOOKUP])
        found.update({users[row.subject]: row for row in rows.iterator()})
    return found


def pseudonym_of(erasure: Erasure) -> str:
    """What stands for the user's id in records that stay: the same for all of one user's."""
    # From the erasure's random part, not from the digest: it tells nothing to who has an id.
    return f"erased-{erasure.id.replace('-', '')[-12:]}"


def known_as(user: str) -> str:
    """A user's id; of one who was erased, what stands for it."""
    erasure = erasure_of(user)
    return user if erasure is None else pseudonym_of(erasure)


def stays_redacted(layout: ItemLayout) -> bool:
    """Whether a record outlives its user's erasure, without what is personal."""
    table = layout.table
    return bool(table.personal) and not set(table.personal) & set(table.key_fields)


def redacted(layout: ItemLayout, item: Item, pseudonym: str) -> Item:
    """The item without what is personal: the owner is the pseudonym, all else is empty.

    Attributes that no field has are left out: nobody has said that they are not personal.
    """
    known = {column.attribute for column in layout.columns} | set(DERIVED)
    kept = {name: value for name, value in item.items() if name in known}
    for name in layout.table.personal:
        column = layout.by_name[name]
        value = _emptied(layout, column, item, pseudonym)
        if value is None:
            kept.pop(column.attribute, None)
        else:
            kept[column.attribute] = value
    return kept


def _emptied(
    layout: ItemLayout, column: Column, item: Item, pseudonym: str
) -> AttributeValue | None:
    """What stands in a personal field's place; None: nothing."""
    if column.name == layout.table.owner:
        return {"S": pseudonym}
    if column.nullable:
        return None
    if isinstance(column.field, models.JSONField):
        return {"L": []} if "L" in item.get(column.attribute, {}) else {"M": {}}
    if isinstance(column.field, _TEXTS):
        return {"S": ""}
    raise ConfigurationError(
        f"{layout.table.name}.{column.name} is personal and cannot be emptied: make it nullable"
    )
