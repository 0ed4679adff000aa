"""What of a dead letter may be seen. It keeps its row whole, so that nothing is lost; no page,
list, report or export shows what its table declares secret, nor what is secret by its name or look.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from dbcore.items import ItemLayout, layout_of
from dbcore.models import DeadLetter
from dbcore.schema import storage_models
from dbcore.secrecy import MASK, is_secret_name, mask_text, mask_values, plain_name

WITHHELD = "(withheld)"
_CODED = ("$text", "$bytes")  # what JSON cannot carry, as base64: see docs/dead-letters.md


def shown_row(letter: DeadLetter) -> dict[str, Any]:
    """The letter's row without its secrets. Of a table that is not known any more, nobody knows
    which columns are secret: then all are withheld."""
    row = letter.row if isinstance(letter.row, dict) else {}
    layout = _layouts().get(letter.table)
    if layout is None:
        return dict.fromkeys(row, WITHHELD)
    secret = secret_columns(layout, letter.source_table)
    return {
        mask_text(name): _kept_back(value)
        if plain_name(name) in secret or is_secret_name(name)
        else _shown(value)
        for name, value in row.items()
    }


def secret_columns(layout: ItemLayout, source_table: str) -> frozenset[str]:
    """What the columns of a table's secrets may be called in a source, as `plain_name` has it."""
    names = (source_columns(layout, field, source_table) for field in layout.table.secret)
    return frozenset(plain_name(name) for each in names for name in each)


def source_columns(layout: ItemLayout, field: str, source_table: str = "") -> set[str]:
    """What a source may call the columns of a field: as Django and DynamoDB do, or as the earlier
    file's table is declared."""
    column = layout.by_name[field]
    found = {column.name, column.attribute, str(column.field.column)}
    for legacy in _legacy_tables():
        if legacy.model is layout.model and legacy.name == source_table and legacy.fields:
            source = legacy.fields.get(field)
            found.update([source] if isinstance(source, str) else getattr(source, "columns", ()))
    return found


def shown_text(text: str, secrets: Iterable[Any]) -> str:
    """A reason that may quote a value, without those which are secret."""
    known = [str(each) for each in secrets if isinstance(each, (str, int)) and len(str(each)) > 3]
    return mask_text(text, known=known)


def _kept_back(value: Any) -> Any:
    """That there is a value, and whether it is an empty one: that may be what is wrong."""
    return value if value in (None, "") else WITHHELD


def _shown(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((kind, coded),) = value.items()
        if kind in _CODED:
            return {kind: _shown_code(coded)}
    return mask_values(value)


def _shown_code(coded: Any) -> str:
    """Base64 as it is, unless there is a secret in what it stands for."""
    try:
        text = base64.b64decode(str(coded)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return MASK
    return str(coded) if mask_text(text) == text else MASK


def _layouts() -> dict[str, ItemLayout]:
    return {layout.table.name: layout for layout in map(layout_of, storage_models())}


def _legacy_tables() -> Iterable[Any]:
    """The tables of an earlier file, as the project declares them for `migrate_to_dynamo`."""
    return _imported(getattr(settings, "DBCORE_LEGACY_TABLES", ""))


@functools.cache
def _imported(name: str) -> tuple[Any, ...]:
    return tuple(import_string(name)) if name else ()
