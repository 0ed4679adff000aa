"""Values such as JSON has, without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbcore.secrecy.looks import MASK
from dbcore.secrecy.names import is_secret_name
from dbcore.secrecy.texts import Bare, mask_text

MAX_DEPTH = 40  # what is nested deeper is not shown
_NAME, _VALUE = ("name", "Name", "key", "Key"), ("value", "Value")
MAX_VALUE = 1_000_000  # characters of one text: more than any item has room for


def mask_values(value: Any) -> Any:
    """Data of others, without what a mapping's key or its look says is secret."""
    return _masked(value, MAX_DEPTH, by_name=True)


def mask_texts(value: Any) -> Any:
    """A report of ours, whose names say nothing: each sentence in it without its secrets."""
    return _masked(value, MAX_DEPTH, by_name=False)


def _masked(value: Any, depth: int, *, by_name: bool) -> Any:
    bare = Bare.ALWAYS if by_name else Bare.EQUALS
    if isinstance(value, str):
        return mask_text(value, bare=bare, limit=MAX_VALUE)
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if depth == 0:
        return MASK
    if isinstance(value, Mapping):
        told = _name_told(value) if by_name else ""
        return {
            mask_text(key, bare=bare) if isinstance(key, str) else key: MASK
            if by_name and _is_kept_back(told if key in _VALUE else key, each)
            else _masked(each, depth - 1, by_name=by_name)
            for key, each in value.items()
        }
    return [_masked(each, depth - 1, by_name=by_name) for each in value]


def _name_told(value: Mapping[Any, Any]) -> str:
    """What is the name in {"name": …, "value": …}, as forms and AWS write a pair; "" in others."""
    return next((each for key in _NAME if isinstance(each := value.get(key), str)), "")


def _is_kept_back(name: Any, value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and is_secret_name(str(name))
