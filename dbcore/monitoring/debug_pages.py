"""The pages on which Django explains an error to who develops (DJANGO_DEBUG): they show settings,
requests and every variable of every frame, and must show no secret among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from dbcore.monitoring.scrub import mask_secrets
from dbcore.secrecy import MASK, is_secret_name

_ITEMS = ("filtered_POST_items", "request_GET_items", "request_COOKIES_items")
_TEXTS = ("exception_value", "exception_notes", "request_insecure_uri", "unicode_hint")


class Filter(SafeExceptionReporterFilter):
    """For DEFAULT_EXCEPTION_REPORTER_FILTER: settings, headers and cookies."""

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        """A setting or header, and what is in it."""
        return _shown(key, super().cleanse_setting(key, value))


class Reporter(ExceptionReporter):
    """For DEFAULT_EXCEPTION_REPORTER: what was sent, and the variables of frames."""

    def get_traceback_data(self) -> dict[str, Any]:
        """What the page shows."""
        data = super().get_traceback_data()
        for frame in data["frames"]:
            # Django has made texts of them.
            frame["vars"] = _each(frame.get("vars", ()))
        data |= {name: _each(data[name]) for name in _ITEMS if name in data}
        # Django 6.0 gives the error itself.
        return data | {name: mask_secrets(str(data[name])) for name in _TEXTS if data.get(name)}


def _each(items: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(name, _shown(name, value)) for name, value in items]


def _shown(name: Any, value: Any) -> Any:
    if is_secret_name(str(name)) and value is not None and not isinstance(value, bool):
        return MASK
    return mask_secrets(value) if isinstance(value, str) else value
