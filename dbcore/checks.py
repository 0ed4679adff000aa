"""System checks: a declaration that DynamoDB, or the layer, cannot keep is an error at start.

They read fields and `storage` alone, and must never raise: what they look for is what makes an
`ItemLayout` raise. Every id keeps its meaning for good; docs/checks.md lists them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.cache.backends.redis import RedisSerializer
from django.core.checks import CheckMessage, Error, register
from django.db import models

from dbcore.addresses import parse_endpoint
from dbcore.append_only import AppendOnly, AppendOnlyQuerySet
from dbcore.attributes import Codec, TextCodec, attribute_name, codec_for
from dbcore.errors import ConfigurationError
from dbcore.fields import RecordKeyField
from dbcore.items import DERIVED, DUE_DAY_INDEX, lowered_field
from dbcore.schema import has_storage, own_tables
from dbcore.tables import DayIndex, GlobalIndex, LocalIndex, Retention, Table

Finding = tuple[str, str]  # number, message
Rule = Callable[["Subject"], Iterator[Finding]]
Reference = tuple[str, str]  # what names the field, and the field's name

HINTS = {
    "E001": "Give the model a `storage`, or move it to an application without stored models.",
    "E002": "Use a field type that dbcore/attributes.py maps, or add its codec there.",
    "E003": "Name a field that the model has and DynamoDB keeps (not a RecordKeyField).",
    "E004": "Remove null=True: an item without its key cannot be written.",
    "E005": "Key by text, a date with a time or, but for a key of two fields, a number.",
    "E006": "Name DateTimeFields: expiry, retention and days are counted from instants.",
    "E007": "Choose a name of its own: with the prefix, 3 to 255 of a-z A-Z 0-9 _ . -",
    "E008": "Give each index of a table a name of its own, 3 to 255 of a-z A-Z 0-9 _ . -",
    "E009": "A table may have 5 local indexes, if it has a range key, and 20 global ones.",
    "E010": "Rename the field: in camelCase each needs an attribute of its own, not a derived one.",
    "E011": "Key by one field that is the primary key, or by two that a RecordKeyField is made of.",
    "E012": "Use unique=True on one text field, or UniqueConstraint(Lower(field), name=…) alone.",
    "E013": "Set DYNAMODB_ENDPOINT to nothing (AWS), local, an https URL, or http on this machine.",
    "E014": "Remove null=True, or add a `since` field that is always set.",
    "E015": "Derive the model from dbcore.append_only.AppendOnly, with no manager of its own.",
    "E022": "Use Redis with OPTIONS serializer dbcore.stores.plain_json.PlainJson (for the records "
    "plain_bytes.PlainBytes), or the process's own memory.",
    "E023": "Remove null=True: of a record that is given out without its secrets they are None.",
}
OWN_MEMORY = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
)
REDIS = "django.core.cache.backends.redis.RedisCache"
PICKLES = "django.core.cache.backends.redis.RedisSerializer"
MAX_LOCAL_INDEXES = 5
MAX_GLOBAL_INDEXES = 20
_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")


@register("dbcore")
def check_declarations(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What is wrong with the models' declarations, the endpoint and the caches."""
    found = check_models(apps.get_models())
    if app_configs is not None:
        labels = {config.label for config in app_configs}
        found = [error for error in found if error.obj._meta.app_label in labels]
    return [*found, *check_endpoint(settings.DYNAMODB_ENDPOINT), *check_caches(settings.CACHES)]


def check_models(candidates: Iterable[type[models.Model]]) -> list[CheckMessage]:
    """What is wrong with these models, taken as all that there are."""
    found: list[CheckMessage] = []
    known = list(candidates)
    subjects = [Subject(model) for model in known if has_storage(model)]
    labels = {subject.model._meta.app_label for subject in subjects}
    for model in known:
        meta = model._meta
        if meta.app_label in labels and not (has_storage(model) or meta.proxy or meta.swapped):
            found.append(_error("E001", f"{model.__name__} has no `storage`.", model))
    for subject in subjects:
        for rule in RULES:
            found += [_error(*finding, subject.model) for finding in rule(subject)]
    found += [_error("E007", message, model) for model, message in _bad_table_names(subjects)]
    return found


def check_endpoint(setting: str) -> list[CheckMessage]:
    """What is wrong with the endpoint that a setting names."""
    if setting in ("", "local"):
        return []
    try:
        parse_endpoint(setting)
    except ConfigurationError as error:
        return [_error("E013", f"{error}.")]
    return []


def check_caches(caches: Mapping[str, Any]) -> list[CheckMessage]:
    """Which of these caches would run what somebody else has put there."""
    return [
        _error("E022", f"The cache {alias!r} unpickles whatever it finds.")
        for alias, cache in caches.items()
        if cache.get("BACKEND") not in OWN_MEMORY and not _has_plain_serializer(cache)
    ]


def _has_plain_serializer(cache: Mapping[str, Any]) -> bool:
    serializer = (cache.get("OPTIONS") or {}).get("serializer", PICKLES)
    return cache.get("BACKEND") == REDIS and serializer not in (PICKLES, RedisSerializer)


def _error(number: str, message: str, model: type[models.Model] | None = None) -> CheckMessage:
    return Error(message, hint=HINTS[number], obj=model, id=f"dbcore.{number}")


class Subject:
    """A model under check: its declaration, and its fields by name (those that are attributes)."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.table: Table = model.storage  # type: ignore[attr-defined]
        self.fields: dict[str, models.Field[Any, Any]] = {
            field.name: field
            for field in model._meta.concrete_fields
            if not isinstance(field, RecordKeyField)
        }

    def codec(self, name: str) -> Codec | None:
        """The codec of a field; None where there is no such field, or no codec for it."""
        try:
            return codec_for(self.fields[name])
        except (KeyError, ConfigurationError, TypeError):
            # TypeError: a DecimalField without its places, which Django's own check reports.
            return None

    def key_references(self) -> Iterator[Reference]:
        """The fields that key the table or an index."""
        yield from (("the key", name) for name in self.table.key_fields)
        for index in self.table.indexes:
            if isinstance(index, GlobalIndex):
                yield f"index {index.name}", index.hash_key
            if not isinstance(index, DayIndex) and index.range_key is not None:
                yield f"index {index.name}", index.range_key

    def instant_references(self) -> Iterator[Reference]:
        """The fields that something is counted from."""
        yield from (("expiry", deadline.field) for deadline in self.table.expires)
        yield from (("retention", name) for name in self.since())
        for index in self.table.indexes:
            if isinstance(index, DayIndex):
                yield f"index {index.name}", index.timestamp

    def since(self) -> tuple[str, ...]:
        """The fields that retention is counted from."""
        policy = self.table.retention
        return policy.since if isinstance(policy, Retention) else ()


def _codecs(subject: Subject) -> Iterator[Finding]:
    for field in (*subject.fields.values(), *subject.model._meta.many_to_many):
        if subject.codec(field.name) is None:
            kind = type(field).__name__
            yield "E002", f"{field.name} is a {kind}, for which no DynamoDB attribute is mapped."


def _references(subject: Subject) -> Iterator[Finding]:
    references = [*subject.key_references(), *subject.instant_references()]
    policy = subject.table.retention
    if isinstance(policy, Retention) and policy.while_kept is not None:
        references.append(("retention", policy.while_kept))
    # One that is mistyped would be shown, or be left behind by an erasure.
    references += [("secret", name) for name in subject.table.secret]
    references += [("personal", name) for name in subject.table.personal]
    references += [("owner", name) for name in filter(None, [subject.table.owner])]
    if subject.table.final is not None:
        references.append(("final", subject.table.final.field))
    for what, name in references:
        if name not in subject.fields:
            yield "E003", f"{what} names {name}, which is not a field."


def _key_fields(subject: Subject) -> Iterator[Finding]:
    for name in subject.table.key_fields:
        if name in subject.fields and subject.fields[name].null:
            yield "E004", f"{name} keys the table and may be null."
    for what, name in subject.key_references():
        codec = subject.codec(name)
        if codec is not None and codec.tag not in ("S", "N"):
            yield "E005", f"{what} names {name}, which DynamoDB cannot key by."
    if subject.table.range_key is not None:
        for name in subject.table.key_fields:
            # Their joined text is Django's primary key, which RecordKeyField makes of these only.
            codec = subject.codec(name)
            if codec is not None and codec.tag == "N":
                yield "E005", f"{name} is a number in a key of two fields."


def _instants(subject: Subject) -> Iterator[Finding]:
    for what, name in subject.instant_references():
        field = subject.fields.get(name)
        if field is not None and not isinstance(field, models.DateTimeField):
            yield "E006", f"{what} counts from {name}, which is not a DateTimeField."


def _secrets(subject: Subject) -> Iterator[Finding]:
    for name in subject.table.secret:
        if _may_be_null(subject, name):
            yield "E023", f"{name} is secret and may be null."


def _missing_instants(subject: Subject) -> Iterator[Finding]:
    day_index = subject.table.day_index
    if day_index is not None and _may_be_null(subject, day_index.timestamp):
        yield "E014", f"{day_index.timestamp} gives a record its day, and may be null."
    if isinstance(subject.table.retention, Retention):
        since = subject.since()
        if all(_may_be_null(subject, name) for name in since):
            fields = " and ".join(since) or "no field"
            yield "E014", f"retention counts from {fields}: there may be nothing to count from."


def _may_be_null(subject: Subject, name: str) -> bool:
    field = subject.fields.get(name)
    return field is not None and field.null


def _indexes(subject: Subject) -> Iterator[Finding]:
    table = subject.table
    names = [index.name for index in table.indexes]
    if table.needs_due_day:
        names.append(DUE_DAY_INDEX)
    for name, uses in Counter(names).items():
        if not _NAME.fullmatch(name):
            yield "E008", f"{name!r} cannot be the name of an index."
        if uses > 1:
            yield "E008", f"{uses} indexes are called {name}."
    local = sum(isinstance(index, LocalIndex) for index in table.indexes)
    if local and table.range_key is None:
        yield "E009", "there is a local index, and the table has no range key."
    if local > MAX_LOCAL_INDEXES:
        yield "E009", f"{local} local indexes are more than {MAX_LOCAL_INDEXES}."
    if len(names) - local > MAX_GLOBAL_INDEXES:
        yield "E009", f"{len(names) - local} global indexes are more than {MAX_GLOBAL_INDEXES}."


def _attribute_names(subject: Subject) -> Iterator[Finding]:
    owners: dict[str, list[str]] = {}
    for name in subject.fields:
        owners.setdefault(attribute_name(name), []).append(name)
    for attribute, names in owners.items():
        if attribute in DERIVED:
            yield "E010", f"{names[0]} would be the attribute {attribute}, which is derived."
        if len(names) > 1:
            yield "E010", f"{' and '.join(names)} would all be the attribute {attribute}."


def _primary_key(subject: Subject) -> Iterator[Finding]:
    key = subject.table.key_fields
    primary = subject.model._meta.pk
    of = primary.of if isinstance(primary, RecordKeyField) else (primary.name,)
    if of != key or (len(key) > 1) != isinstance(primary, RecordKeyField):
        yield "E011", f"the key is {', '.join(key)}, and Django's primary key is {primary.name}."


def _append_only(subject: Subject) -> Iterator[Finding]:
    meta = subject.model._meta
    kept = all(
        isinstance(manager.get_queryset(), AppendOnlyQuerySet)
        for manager in (meta.base_manager, *meta.managers)
    )
    if subject.table.append_only and not (issubclass(subject.model, AppendOnly) and kept):
        yield "E015", "the table is append-only, and Django would change its records in SQL."


def _uniqueness(subject: Subject) -> Iterator[Finding]:
    meta = subject.model._meta
    for name, field in subject.fields.items():
        if field.unique and not field.primary_key and not _is_text(subject, name):
            yield "E012", f"{name} is unique, and not text."
    for fields in meta.unique_together:
        yield "E012", f"unique_together of {', '.join(fields)} is not a single field."
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            why = _why_unguarded(subject, constraint)
            if why is not None:
                yield "E012", f"constraint {constraint.name} {why}."


def _why_unguarded(subject: Subject, constraint: models.UniqueConstraint) -> str | None:
    """What of a unique constraint the guard of a value cannot express."""
    if constraint.condition is not None:
        return "has a condition"
    if constraint.nulls_distinct is False:
        return "lets only one record be without a value"
    name = lowered_field(constraint)
    if name is None:
        return "is not on Lower() of one field"
    return None if _is_text(subject, name) else f"is on {name}, which is not a text field"


def _is_text(subject: Subject, name: str) -> bool:
    return isinstance(subject.codec(name), TextCodec)


def _bad_table_names(subjects: list[Subject]) -> Iterator[tuple[type[models.Model], str]]:
    prefix = settings.DYNAMODB_TABLE_PREFIX
    named = [(subject.model, f"{prefix}{subject.table.name}") for subject in subjects]
    uses = Counter(name for _, name in named)
    uses.update(table.name for table in own_tables())
    for model, name in named:
        if not _NAME.fullmatch(name):
            yield model, f"{name!r} cannot be the name of a table."
        if uses[name] > 1:
            yield model, f"{uses[name]} tables are called {name}."


RULES: tuple[Rule, ...] = (
    _codecs,
    _references,
    _key_fields,
    _instants,
    _missing_instants,
    _secrets,
    _indexes,
    _attribute_names,
    _primary_key,
    _append_only,
    _uniqueness,
)
