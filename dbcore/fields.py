"""The primary key that Django needs for a record which DynamoDB keys by two attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models

from dbcore.attributes import timestamp_text

_SEPARATOR = "/"
# Characters of the longest key: two parts of 255, each of which may be escaped, three for one.
MAX_JOINED = 2 * 3 * 255 + len(_SEPARATOR)


def joined_key(parts: Iterable[str]) -> str:
    """Key parts as one text; injective, since the separator is escaped in every part."""
    return _SEPARATOR.join(map(_escaped, parts))


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")


def split_key(text: str) -> list[str]:
    """The parts of a joined key."""
    return [part.replace("%2F", "/").replace("%25", "%") for part in text.split(_SEPARATOR)]


class RecordKeyField(models.CharField):  # type: ignore[type-arg]
    """A text primary key made of the fields in `of`, in order, when the record is first saved.

    Django's admin cannot show a composite primary key (5.2), and a surrogate number would give a
    record read from DynamoDB no `pk`. This one is the same in both stores. It is not an attribute
    in DynamoDB: the key there is the fields themselves.
    """

    # Otherwise Django's default for text, "", would count as a key that is set.
    empty_strings_allowed = False

    def __init__(self, *, of: tuple[str, ...], **kwargs: Any) -> None:
        self.of = tuple(of)
        kwargs.update(primary_key=True, editable=False, serialize=False)
        kwargs.setdefault("max_length", MAX_JOINED)
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("primary_key", "editable", "serialize"):
            kwargs.pop(fixed, None)
        return name, path, args, {**kwargs, "of": self.of}

    def value_for(self, record: models.Model) -> str:
        """The key of `record`, from the fields that make it."""
        return self.value_of([getattr(record, name) for name in self.of])

    @staticmethod
    def value_of(parts: Sequence[Any]) -> str:
        """The key made of `parts`: text, or aware datetimes in DynamoDB's form."""
        return joined_key(part if isinstance(part, str) else timestamp_text(part) for part in parts)

    @staticmethod
    def values_of(columns: Iterable[Sequence[Any]]) -> list[str]:
        """The keys of many records, of the lists of their first parts, second parts, …"""
        return list(map(_SEPARATOR.join, zip(*map(_key_parts, columns), strict=True)))

    def get_pk_value_on_save(self, instance: models.Model) -> str:
        return self.value_for(instance)


def _key_parts(values: Sequence[Any]) -> Sequence[str]:
    """One part of many keys, escaped. That is seldom needed: one look at them all is enough."""
    try:
        together = "".join(values)
    except TypeError:  # not all of them are text
        values = [each if isinstance(each, str) else timestamp_text(each) for each in values]
        together = "".join(values)
    return list(map(_escaped, values)) if "%" in together or "/" in together else values
