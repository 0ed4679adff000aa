"""`demo`: parse, call, print. It must never delete a record: what is there is a developer's."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from daylight.demo import Demo
from dbcore.local_engine import release
from dbcore.management.tool import PlainCommand


class Command(PlainCommand):
    """Show the main job, on databases of its own."""

    help = (
        "Migrates the records of the development database to a local DynamoDB engine, verifies "
        "them and reports; where there are none, it makes sample data first. Nothing is deleted. "
        "`make demo` runs it on the files in var/ that `make serve` shows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rows", type=int, default=20_000, help="sample rows to make, where none are (20000)"
        )

    def handle(self, *args: Any, **given: Any) -> None:
        places = (settings.DATABASES["default"]["NAME"], settings.LOCAL_DYNAMODB_PATH)
        if any(settings.VAR_DIR not in Path(place).parents for place in places):
            raise CommandError(f"The demo's databases must be in {settings.VAR_DIR}: `make demo`.")
        if settings.DYNAMODB_ENDPOINT != "local":
            raise CommandError("The demo runs on the local engine: DYNAMODB_ENDPOINT=local.")
        try:
            status = Demo(given["rows"], timezone.now(), self.stdout._out).run()
        finally:
            release()
        if status:
            sys.exit(status)
