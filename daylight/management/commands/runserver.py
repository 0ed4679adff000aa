"""`runserver`: Django's, which says who is in its way and what to do."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.staticfiles.management.commands import runserver
from django.core.management.base import CommandError
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from dbcore.local_engine.listeners import who_listens
from dbcore.local_engine.probe import port_is_taken

HIGHEST = 65_535


class Command(runserver.Command):
    """Refuse a port that is taken before anything is loaded."""

    addr: str  # which Django has parsed by then
    port: str

    def run(self, **options: Any) -> None:
        port = int(self.port)
        if not 0 <= port <= HIGHEST:
            raise CommandError(f"{port} is no port: they go up to {HIGHEST}.")
        is_first = os.environ.get(DJANGO_AUTORELOAD_ENV) != "true"  # not a reloader's child
        if is_first and port and port_is_taken(self.addr, port):
            other = port + 1 if port < HIGHEST else port - 1
            raise CommandError(
                f"Port {port} is taken by {who_listens(port)}: end that, or take another port: "
                f"`PORT={other} make serve`, or `./manage.py runserver {other}`."
            )
        super().run(**options)
