"""The admin's styles and scripts, served by the process itself: no deployment may come up without
them because a step was forgotten."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from pathlib import Path
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware

Answer = HttpResponseBase


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, under ASGI too, and with no word of a folder that collectstatic has not made."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def add_files(self, root: Any, prefix: str | None = None) -> None:
        if Path(root).is_dir():
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        if not self._is_async:
            return cast("Answer", super().__call__(request))
        return self._answer(request)

    async def _answer(self, request: HttpRequest) -> Answer:
        found = super().__call__(request)  # a file, or what the next ones will answer
        if isawaitable(found):
            return cast("Answer", await found)
        # A file that streams blocks the loop, a block at a time: these are small.
        whole = HttpResponse(b"".join(found), status=found.status_code, headers=found.headers)
        if found.file_to_stream is not None:
            found.file_to_stream.close()  # not the answer: that would be the end of the request
        return whole
